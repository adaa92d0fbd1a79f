#!/usr/bin/python3
"""Watches the wire between proxy and server while every kind of account logs in over TLS: no
password may be seen there.

    wire_capture.py --proxy PATH [--io_engine epoll]
    wire_capture.py               without a proxy: only that the watcher finds what it should

tcpdump writes what passes the server's port on the loopback interface. Before any verdict is
believed, the watcher has to find a password that was planted there in clear.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time

import clients
import mysql_wire as wire
import processes
import servers
from options import make_parser, parse
from proxy import Proxy
from report import Report

PLANTED = b"Planted-Sesame-99"
# Few, because what goes over the server's link depends on the proxy and not on the driver.
CLIENTS = ["mariadb", "mysql", "php", "node-mysql2", "go"]


class Capture:
    """tcpdump on the loopback interface, for some ports."""

    def __init__(self, folder, ports):
        if not shutil.which("tcpdump"):
            raise processes.Skipped("tcpdump is not installed")
        self.path = os.path.join(folder, f"capture-{ports[0]}.pcap")
        rule = " or ".join(f"tcp port {port}" for port in ports)
        # -U and --immediate-mode: a packet is in the file as soon as it has passed. -Z root: it
        # would give up its rights and then fail to write into our folder.
        self.process = processes.start(
            ["tcpdump", "-i", "lo", "-U", "--immediate-mode", "-s", "0", "-B", "65536",
             *(["-Z", "root"] if os.getuid() == 0 else []), "-w", self.path, rule],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = self.process.stderr.readline()
        while said and "listening on" not in said:
            said = self.process.stderr.readline()
        if not said:
            raise processes.Skipped("tcpdump may not capture here")

    def finish(self):
        """All that was captured, as the file's bytes."""
        time.sleep(0.5)
        processes.stop(self.process)
        with open(self.path, "rb") as file:
            return file.read()


def payloads(capture):
    """The TCP payloads of each direction of each connection, put together in order, so that a
    password split over segments is found as well. pcap of Ethernet frames with IPv4."""
    order = "little" if capture[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else "big"
    streams, at = {}, 24
    while at + 16 <= len(capture):
        size = int.from_bytes(capture[at + 8:at + 12], order)
        frame = capture[at + 16:at + 16 + size]
        at += 16 + size
        if len(frame) < 54 or frame[12:14] != b"\x08\x00":
            continue
        ip = frame[14:]
        ip_size = (ip[0] & 15) * 4
        tcp = ip[ip_size:int.from_bytes(ip[2:4], "big")]
        data = tcp[(tcp[12] >> 4) * 4:]
        if data:
            key = (ip[12:20], tcp[:4])
            streams.setdefault(key, {})[int.from_bytes(tcp[4:8], "big")] = data
    # By sequence number; loopback neither loses nor reorders, and wraps are too rare to matter.
    return [b"".join(parts[number] for number in sorted(parts)) for parts in streams.values()]


def find(capture, passwords):
    """The passwords that are to be seen, as they are or XORed with a nonce that is there too."""
    streams = payloads(capture)
    seen = [password for password in passwords
            if any(password.encode() in stream for stream in streams)]
    return seen, streams


def plant(report, folder):
    """The watcher must find a password in clear: in one piece, in two segments, and by a client
    that does as mysql_clear_password says."""
    with wire.FakeServer(lambda sock: wire.read_to_end(sock)) as server:
        capture = Capture(folder, [server.port])
        with wire.dial(("127.0.0.1", server.port)) as sock:
            sock.sendall(b"xx" + PLANTED + b"\0")
        with wire.dial(("127.0.0.1", server.port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(b"yy" + PLANTED[:7])
            time.sleep(0.05)
            sock.sendall(PLANTED[7:] + b"\0")
        content = capture.finish()
    seen, streams = find(content, [PLANTED.decode(), "Not-There"])
    report.equal("the watcher finds a planted password", seen, [PLANTED.decode()])
    report.equal("the watcher finds one that is split over two segments",
                 sum(PLANTED in stream for stream in streams), 2)


def log_in_everywhere(report, server, proxy, found, ca):
    """All accounts by all clients over TLS; gives the passwords that were used."""
    used = []
    for client in found:
        for account in server.accounts():
            if account.unix_only or account.default_auth and not client.default_auth:
                continue
            if account.cold and not account.user.endswith(client.name.replace("-", "_")):
                continue
            if account.cold:
                server.forget_passwords()
            ok, text = client.run("login", ("127.0.0.1", proxy.port), account, ca)
            if account.password:
                used.append(account.password)
            if account.user in ("native", "sha256", "warm") or account.cold:
                report.check(f"{server.name}: {client.name} logs in as {account.user}", ok, text)
        if "change_user" in client.operations:
            server.forget_passwords()
            first = server.account("native" if server.name == "mariadb" else "warm")
            ok, text = client.run("change_user", ("127.0.0.1", proxy.port), first, ca,
                                  server.account("second"))
            used.append(server.account("second").password)
            report.check(f"{server.name}: {client.name} changes user", ok, text)
    return sorted(set(used))


def refused_cleartext(report, options, pair, ca, folder):
    """A server that asks for the password in clear gets none, and the client is told why."""
    def behave(sock):
        sock.sendall(wire.greeting())
        sequence_id, _ = wire.read_packet(sock)
        sock.sendall(wire.packet(sequence_id + 1, b"\xfemysql_clear_password\0"))
        return wire.read_to_end(sock)
    with wire.FakeServer(behave) as server:
        with Proxy(options.proxy, server.address, pair=pair, io_engine=options.io_engine) as proxy:
            capture = Capture(folder, [server.port])
            sock = wire.dial(("127.0.0.1", proxy.port))
            wire.read_packet(sock)
            sock = wire.open_tls(sock, ca)
            sock.sendall(wire.handshake_response(2, auth=b"x" * 32))
            number, payload = wire.read_packet(sock)
            if payload[:1] == b"\xfe":
                sock.sendall(wire.packet(number + 1, PLANTED + b"\0"))
                number, payload = wire.read_packet(sock)
            sock.close()
            seen, _ = find(capture.finish(), [PLANTED.decode()])
    report.equal("mysql_clear_password: nothing of it on the wire", seen, [])
    found = wire.Err(payload, number)
    report.check("mysql_clear_password: the client is told which option allows it",
                 found.code == 1045 and "allow_cleartext_password" in found.message, str(found))


def main():
    parser = make_parser(__doc__, proxy_required=False)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder, contextlib.ExitStack() as stack:
        plant(report, folder)
        if not options.proxy:
            return report.exit_code()
        authority = servers.new_authority(folder)
        pair = authority.issue("proxy")
        report.attempt("mysql_clear_password", refused_cleartext, report, options, pair,
                       authority.ca, folder)
        found = clients.ready(CLIENTS)
        for kind in (servers.MariaDB, servers.MySQL):
            try:
                server = stack.enter_context(kind(folder)).start().wait()
            except processes.Skipped as reason:
                print(f"SKIPPED: {reason}")
                continue
            proxy = stack.enter_context(Proxy(
                options.proxy, f"127.0.0.1:{server.port}", tls_mode="required", pair=pair,
                io_engine=options.io_engine))
            capture = Capture(folder, [server.port])
            used = log_in_everywhere(report, server, proxy, found, authority.ca)
            seen, streams = find(capture.finish(), used)
            report.check(f"{server.name}: the capture holds the log-ins",
                         len(streams) >= 2 * len(found) and any(b"CURRENT_USER" in stream
                                                                for stream in streams),
                         f"{len(streams)} streams")
            report.equal(f"{server.name}: none of {len(used)} passwords is on the wire", seen, [])
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
