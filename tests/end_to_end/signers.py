#!/usr/bin/python3
"""RSA certificates: the signers sign, real clients believe them, and no storm stops a session.

    signers.py --proxy PATH [--io_engine epoll] [--only WORD]
"""

import contextlib
import re
import select
import ssl
import subprocess
import time

import mysql_wire as wire
import processes
import servers
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

QUEUE = 512  # kSignatureQueueMax
# More than it holds, and than is signed while the hellos come.
STORM = 1500


class Room:
    def __init__(self, report, options, folder):
        self.report, self.options, self.folder = report, options, folder
        self.authority = servers.new_authority(folder)
        self.rsa = self.authority.issue("rsa", kind="rsa")

    def proxy(self, server, *arguments, pair=None):
        return Proxy(self.options.proxy, server, pair=pair or self.rsa,
                     io_engine=self.options.io_engine, arguments=arguments)


def counter(proxy, name):
    found = re.search(rf"^sallyport_{name} (\d+)", proxy.get("/metrics"), re.MULTILINE)
    return int(found.group(1))


def signed(proxy):
    return counter(proxy, "signatures_by_pool_total")


def run(command):
    """(whether it ended well, what it said)"""
    done = subprocess.run(command, check=False, timeout=processes.patience(30),
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout


def mariadb(room, proxy, account, version):
    return run(["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={proxy.port}",
                f"--user={account.user}", f"--password={account.password}",
                f"--ssl-ca={room.authority.ca}", "--ssl-verify-server-cert",
                f"--tls-version={version}", "--execute=SELECT CURRENT_USER()"])


def s_client(room, proxy, option):
    return run(["openssl", "s_client", "-starttls", "mysql", "-connect", f"127.0.0.1:{proxy.port}",
                "-CAfile", room.authority.ca, "-verify_return_error", "-verify_ip", "127.0.0.1",
                "-brief", option])


def real_clients(room):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.MariaDB(room.folder)).start().wait()
        account = server.account("native")
        address = f"127.0.0.1:{server.port}"
        for signers in ("0", "1", "-1"):
            with room.proxy(address, f"--signers={signers}") as proxy:
                full = 0
                for version, option in (("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")):
                    ok, text = mariadb(room, proxy, account, version)
                    room.report.check(f"signers={signers}: mariadb logs in with {version}",
                                      ok and "native@" in text, text)
                    ok, text = s_client(room, proxy, option)
                    room.report.check(f"signers={signers}: s_client {option} verifies",
                                      ok and "Signature type: RSA-PSS" in text, text)
                    full += 2
                room.report.equal(f"signers={signers}: who signed", signed(proxy),
                                  0 if signers == "-1" else full)
                line = proxy.wait_line("listening on", 1)
                room.report.equal(f"signers={signers}: the log says how many",
                                  "signers=" in line, signers != "-1", line)
                proxy.wait_line("reason=client_left", 3)
                versions = {line["tls"] for line in proxy.connections()}
                room.report.check(f"signers={signers}: both versions were spoken",
                                  {"TLSv1.2", "TLSv1.3"} <= versions, str(versions))


def no_signers_for_ecdsa(room):
    with wire.FakeServer(wire.accept_everybody) as server:
        with room.proxy(server.address, "--signers=2", pair=room.authority.issue("ec")) as proxy:
            sock = log_in(proxy.port, room.authority.ca)
            room.report.check("ECDSA: serves", answers(sock))
            room.report.equal("ECDSA: no signer signs", signed(proxy), 0)
            room.report.check("ECDSA: nor is there one",
                              "signers=" not in proxy.wait_line("listening on", 1))
            sock.close()


def log_in(port, ca):
    sock = wire.dial(("127.0.0.1", port))
    wire.read_packet(sock)
    sock = wire.open_tls(sock, ca)
    sock.sendall(wire.handshake_response(2))
    wire.read_packet(sock)
    return sock


def answers(sock):
    sock.sendall(wire.packet(0, b"\x0e"))
    return wire.read_packet(sock)[1][:1] == b"\0"


def hello():
    """A ClientHello, as one record."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def greeted(proxy, count):
    """As many clients, each with its greeting."""
    socks = []
    for _ in range(count):
        socks.append(wire.dial(("127.0.0.1", proxy.port)))
        if len(socks) % 50 == 0:
            for sock in socks[-50:]:
                wire.read_packet(sock)
    return socks


def start_handshakes(socks):
    """All at once."""
    said = wire.ssl_request() + hello()
    for sock in socks:
        sock.sendall(said)


def greet_and_wait(sock):
    sock.settimeout(processes.patience(90))  # A storm may take a sanitizer's build that long.
    sock.sendall(wire.greeting())
    wire.read_to_end(sock)


def flights(socks, seconds):
    """How many of them had a server's flight, certificate and all."""
    poller = select.poll()
    left = {sock.fileno(): [sock, 0] for sock in socks}
    for number in left:
        poller.register(number, select.POLLIN)
    whole = 0
    end = time.monotonic() + seconds
    while left and time.monotonic() < end:
        for number, _ in poller.poll(100):
            entry = left[number]
            data = entry[0].recv(65536)
            entry[1] += len(data)
            if not data or entry[1] > 1000:
                whole += bool(data)
                poller.unregister(number)
                del left[number]
    return whole


def a_storm(room):
    """More handshakes than the queue holds: all are served, and an old session is meanwhile."""
    behave = {"first": True}

    def serve(sock):
        if behave.pop("first", False):
            return wire.accept_everybody(sock)
        return greet_and_wait(sock)

    with wire.FakeServer(serve) as server:
        limit = processes.patience(60)
        with room.proxy(server.address, "--signers=1", f"--handshake_timeout={limit:.0f}") as proxy:
            old = log_in(proxy.port, room.authority.ca)
            before = signed(proxy)
            socks = greeted(proxy, STORM)
            start_handshakes(socks)
            room.report.check("storm: an old session answers meanwhile", answers(old))
            room.report.equal("storm: everybody is served", flights(socks, limit), STORM)
            inline = counter(proxy, "signatures_queue_full_total")
            room.report.equal("storm: each signature is counted", signed(proxy) - before + inline,
                              STORM)
            room.report.check("storm: what the queue can't hold is signed by workers", inline > 0,
                              "the queue was never full")
            room.report.check("storm: what it holds is the signer's", STORM - inline >= QUEUE,
                              f"{inline} were not")
            for sock in socks:
                sock.close()
            old.close()


def all_leave(room):
    """Clients that do not wait for their signature leave nothing behind, and whoever takes their
    place is not given theirs."""
    with wire.FakeServer(wire.accept_everybody) as server:
        with room.proxy(server.address, "--signers=1", "--handshake_timeout=60") as proxy:
            for _ in range(3):
                socks = greeted(proxy, 400)
                start_handshakes(socks)
                for sock in socks:
                    sock.close()
                for _ in range(5):
                    sock = log_in(proxy.port, room.authority.ca)
                    room.report.check("clients that leave: the next one is served", answers(sock))
                    sock.sendall(wire.packet(0, b"\x01"))
                    sock.close()
            processes.wait_until(lambda: counter(proxy, "connections_open") == 0, 20,
                                 "the connections to end")
            reasons = {line["reason"] for line in proxy.connections()}
            room.report.equal("clients that leave: why they ended",
                              reasons - {"client_closed", "server_closed", "client_error"},
                              {"client_left_early"})
            room.report.check("clients that leave: the proxy serves on", proxy.get("/healthz"))


def stops_in_a_storm(room):
    with wire.FakeServer(greet_and_wait) as server:
        with room.proxy(server.address, "--signers=1", "--shutdown_timeout=0") as proxy:
            socks = greeted(proxy, 400)
            start_handshakes(socks)
            room.report.equal("SIGTERM in a storm: exit code", proxy.stop(15), 0)
            for sock in socks:
                sock.close()


CHECKS = [real_clients, no_signers_for_ecdsa, a_storm, all_leave, stops_in_a_storm]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder:
        room = Room(report, options, folder)
        report.attempt_each(CHECKS, options.only, room)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
