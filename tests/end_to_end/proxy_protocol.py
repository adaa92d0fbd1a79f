#!/usr/bin/python3
"""The PROXY protocol: HAProxy in front, MariaDB behind, and every kind of bad header.

    proxy_protocol.py --proxy PATH [--io_engine epoll]

The load balancer is 127.0.0.2, which the proxy is told to believe; 127.0.0.1 is anybody.
"""

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import time

import pymysql

import mysql_wire as wire
import processes
import servers
from options import make_parser, parse
from proxy import Proxy
from report import Report

BALANCER = "127.0.0.2"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 3306\r\n"
LOCAL = SIGNATURE + b"\x20\0\0\0"


def v2(source, destination, ports=(4711, 3306), tlvs=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = (socket.inet_pton(family, source) + socket.inet_pton(family, destination)
                 + struct.pack(">HH", *ports) + tlvs)
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + bytes([0x21, kind]) + struct.pack(">H", len(addresses)) + addresses


def dial(port, source=BALANCER):
    return socket.create_connection(("127.0.0.1", port), 15, source_address=(source, 0))


def log_in(sock):
    """Plays a client behind the header; gives the first byte of the answer to its log-in."""
    wire.read_packet(sock)
    sock.sendall(wire.handshake_response(1))
    return wire.read_packet(sock)[1][:1]


def last_line(proxy, start):
    processes.wait_until(lambda: proxy.connections(start), 5, "a connection's line")
    return proxy.connections(start)[-1]


def headers_in(report, options):
    with wire.FakeServer(wire.accept_everybody) as server, \
            Proxy(options.proxy, server.address, io_engine=options.io_engine,
                  arguments=[f"--proxy_protocol_networks={BALANCER}/32"]) as proxy:
        for name, header, client in (
                ("v1", V1, "192.0.2.7:4711"),
                ("v1, IPv6", b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "[2001:db8::7]:1"),
                ("v2", v2("192.0.2.7", "192.0.2.8"), "192.0.2.7:4711"),
                ("v2, IPv6", v2("2001:db8::7", "::1"), "[2001:db8::7]:4711"),
                ("v2 with TLVs", v2("192.0.2.7", "192.0.2.8", tlvs=b"\x02\0\3a.b" * 40),
                 "192.0.2.7:4711"),
                ("v1 UNKNOWN", b"PROXY UNKNOWN\r\n", None),
                ("v2 LOCAL", LOCAL, None)):
            for way in ("whole", "in bytes"):
                start = proxy.mark()
                with dial(proxy.port) as sock:
                    own = "%s:%d" % sock.getsockname()
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for piece in [header] if way == "whole" else \
                            [header[i:i + 1] for i in range(len(header))]:
                        sock.sendall(piece)
                    report.equal(f"{name}, {way}: logs in", log_in(sock), b"\0")
                line = last_line(proxy, start)
                report.equal(f"{name}, {way}: the log has the client", line["client"],
                             client or own)
                report.equal(f"{name}, {way}: and the load balancer", line.get("via"),
                             own if client else None)
        start = proxy.mark()
        with dial(proxy.port, "127.0.0.1") as sock:
            report.equal("from elsewhere, without a header: logs in", log_in(sock), b"\0")
            own = "%s:%d" % sock.getsockname()
        report.equal("from elsewhere: the log has the client", last_line(proxy, start)["client"],
                     own)


def bad_headers(report, options):
    with wire.FakeServer(wire.accept_everybody) as server, \
            Proxy(options.proxy, server.address, io_engine=options.io_engine,
                  arguments=[f"--proxy_protocol_networks={BALANCER}"]) as proxy:
        for name, header in (("garbage", b"GET / HTTP/1.0\r\n\r\n"),
                             ("a log-in", wire.handshake_response(1)),
                             ("a bad address", b"PROXY TCP4 192.0.2.7 192.0.2.800 1 2\r\n"),
                             ("an endless line", b"PROXY UNKNOWN " + b"x" * 200),
                             ("v2 of 64 KiB", SIGNATURE + b"\x21\x11\xff\xff" + bytes(0xffff)),
                             ("v2, too short", SIGNATURE + b"\x21\x11\0\4abcd")):
            start = proxy.mark()
            with dial(proxy.port) as sock:
                sock.sendall(header)
                sock.settimeout(processes.patience(10))
                report.equal(f"{name}: closed without a word", wire.read_to_end(sock)[0], b"")
            report.equal(f"{name}: one line says why", last_line(proxy, start)["reason"],
                         "bad_proxy_header")
        start = proxy.mark()
        with dial(proxy.port) as sock:
            sock.sendall(V1[:20])
        report.equal("half a header: one line", last_line(proxy, start)["reason"],
                     "client_left_early")
        report.equal("no server was dialled", server.accepted, 0)
        with dial(proxy.port) as sock:
            began = time.monotonic()
            error = wire.read_err(sock)
            report.check("no header: the time is limited, and the answer tells",
                         4 < time.monotonic() - began < 8 and error.code == 1159
                         and "PROXY" in error.message, str(error))
        report.equal("no server was dialled for that either", server.accepted, 0)
        with dial(proxy.port, "127.0.0.1") as sock:
            wire.read_packet(sock)
            sock.sendall(V1)
            sock.settimeout(processes.patience(10))
            report.check("from elsewhere a header is a bad log-in",
                         wire.read_to_end(sock)[0][4:5] == b"\xff")
        report.check("the proxy is alive", proxy.alive())


HAPROXY = """
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen mysql
  bind 127.0.0.1:{port}
  server proxy 127.0.0.1:{to} source {source} {how}
"""


@contextlib.contextmanager
def haproxy(folder, to, how):
    if not shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        raise processes.Skipped("haproxy is not installed")
    port = processes.free_port()
    file = os.path.join(folder, "haproxy.cfg")
    with open(file, "w", encoding="ascii") as config:
        config.write(HAPROXY.format(port=port, to=to, source=BALANCER, how=how))
    process = processes.start([shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", file],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False
        processes.wait_until(listens, 10, "haproxy to listen")
        yield port
    finally:
        processes.stop(process, 5)


def user_seen(port, account, ca=None, source=None):
    """USER(), as the server has it: with the address that it believes."""
    tls = ({"ssl_ca": ca, "ssl_verify_cert": True, "ssl_verify_identity": True} if ca
           else {"ssl_disabled": True})
    with contextlib.closing(pymysql.connect(
            host="127.0.0.1", port=port, user=account.user, password=account.password,
            connect_timeout=int(processes.patience(15)), bind_address=source, **tls)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT USER()")
        return cursor.fetchone()[0]


def behind_haproxy(report, options, folder, server, authority):
    account = server.account("native")
    for how in ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"):
        with Proxy(options.proxy, f"127.0.0.1:{server.port}", pair=authority.issue("proxy"),
                   io_engine=options.io_engine,
                   arguments=[f"--proxy_protocol_networks={BALANCER}/32",
                              "--proxy_protocol_out=v2"]) as proxy:
            with haproxy(folder, proxy.port, how) as port:
                for source in ("127.0.0.1", "127.0.0.3"):
                    start = proxy.mark()
                    report.equal(f"haproxy {how}: {source} over TLS, as MariaDB sees it",
                                 user_seen(port, account, authority.ca, source),
                                 f"native@{source}")
                    processes.wait_until(
                        lambda begin=start: any(line["user"] == "native"
                                                for line in proxy.connections(begin)),
                        5, "the line")
                    lines = [line for line in proxy.connections(start)
                             if line["user"] == "native"]
                    report.check(f"haproxy {how}: and the log",
                                 lines[0]["client"].startswith(source + ":")
                                 and lines[0]["via"].startswith(BALANCER + ":"), str(lines))


def header_out(report, options, server, authority):
    account = server.account("native")
    for version in ("v1", "v2"):
        for target in (f"127.0.0.1:{server.port}", f"unix:{server.socket}"):
            with Proxy(options.proxy, target, pair=authority.issue("proxy"),
                       io_engine=options.io_engine,
                       arguments=[f"--proxy_protocol_networks={BALANCER}/32",
                                  f"--proxy_protocol_out={version}"]) as proxy:
                name = f"{version} to {target.split(':')[0]}"
                for ca in (None, authority.ca):
                    report.equal(f"{name}: MariaDB sees the client, {'TLS' if ca else 'plain'}",
                                 user_seen(proxy.port, account, ca, "127.0.0.3"),
                                 "native@127.0.0.3")
                with dial(proxy.port) as sock:
                    sock.sendall(v2("2001:db8::7", "::1"))
                    _, _, nonce, _ = wire.parse_greeting(wire.read_packet(sock)[1])
                    sock.sendall(wire.handshake_response(
                        1, "native", wire.native_scramble(account.password.encode(), nonce),
                        "mysql_native_password"))
                    report.equal(f"{name}: a client on IPv6 logs in",
                                 wire.read_packet(sock)[1][:1], b"\0")
                    sock.sendall(wire.packet(0, b"\x03SELECT 1"))
                    hosts = server.sql("SELECT HOST FROM information_schema.PROCESSLIST "
                                       "WHERE USER = 'native'")
                    report.equal(f"{name}: and the process list has its address",
                                 hosts.strip(), "2001:db8::7:4711")
    target = f"127.0.0.1:{server.port}"
    with Proxy(options.proxy, target, pair=authority.issue("proxy"), io_engine=options.io_engine,
               arguments=["--proxy_protocol_out=v2", f"--sni_server=db.test={target}"]) as proxy:
        report.equal("v2 with TLVs of TLS: MariaDB sees the client",
                     user_seen(proxy.port, account, authority.ca, "127.0.0.3"),
                     "native@127.0.0.3")
    with Proxy(options.proxy, target, pair=authority.issue("proxy"),
               io_engine=options.io_engine) as proxy:
        report.equal("without a header MariaDB sees the proxy",
                     user_seen(proxy.port, account, None, "127.0.0.3"), "native@127.0.0.1")


def first_bytes(report, options):
    """What a server gets, byte by byte; from a client that leaves as well."""
    def take(sock):
        return wire.read_exactly(sock, 28)
    with wire.FakeServer(take) as server, \
            Proxy(options.proxy, server.address, io_engine=options.io_engine,
                  arguments=["--proxy_protocol_out=v2"]) as proxy:
        with dial(proxy.port, "127.0.0.3") as sock:
            port = sock.getsockname()[1]
            processes.wait_until(lambda: server.received, 5, "the header")
        report.equal("v2 out: before the greeting", server.received[0],
                     v2("127.0.0.3", "127.0.0.1", (port, proxy.port)))
        with dial(proxy.port, "127.0.0.3"):
            pass
        processes.wait_until(lambda: len(server.received) == 2, 5, "the second header")
        report.equal("v2 out: for a client that left at once, too", server.received[1][:14],
                     v2("127.0.0.3", "127.0.0.1")[:14])


def read_v2(sock):
    """The header of version 2, and its TLVs by type; None: it is LOCAL, the proxy's own."""
    fixed = wire.read_exactly(sock, 16)
    rest = wire.read_exactly(sock, struct.unpack(">H", fixed[14:])[0])
    if fixed[12] & 1 == 0:
        return None
    return fixed + rest, tlvs_of(rest[12:])


def tlvs_of(data):
    found = {}
    while data:
        kind, size = struct.unpack(">BH", data[:3])
        found[kind] = data[3:3 + size]
        data = data[3 + size:]
    return found


def tls_told(report, options, authority):
    """Where the proxy greets, a client's TLS is known when its server is dialled."""
    headers = []

    def take(sock):
        headers.append(read_v2(sock))
        wire.accept_everybody(sock)
    certificate = authority.issue_client("app")
    with wire.FakeServer(take) as server, \
            Proxy(options.proxy, server.address, pair=authority.issue("proxy"),
                  io_engine=options.io_engine,
                  arguments=["--proxy_protocol_out=v2", f"--sni_server=db.test={server.address}",
                             "--tls_client_certificates=optional",
                             f"--tls_client_ca={authority.ca}"]) as proxy:
        context = wire.tls_context(authority.ca)
        context.check_hostname = False
        for name, pair in (("db.test", None), ("n" * 63 + ".test" * 30, None),
                           ("db.test", certificate)):
            headers.clear()
            if pair:
                context.load_cert_chain(*pair)
            with dial(proxy.port, "127.0.0.3") as sock:
                wire.read_packet(sock)
                sock.sendall(wire.ssl_request())
                with context.wrap_socket(sock, server_hostname=name) as secure:
                    version, cipher = secure.version(), secure.cipher()[0]
                    secure.sendall(wire.handshake_response(2))
                    report.equal(f"{name}: logs in", wire.read_packet(secure)[1][:1], b"\0")
                    port = secure.getsockname()[1]
            header, tlvs = next(filter(None, headers))
            what = f"{name[:8]}, {'a' if pair else 'no'} certificate"
            report.equal(f"{what}: addresses", header[16:28],
                         v2("127.0.0.3", "127.0.0.1", (port, proxy.port))[16:28])
            report.check(f"{what}: within 256 bytes", len(header) <= 256, len(header))
            report.equal(f"{what}: client, verify", tlvs[0x20][:5],
                         b"\7\0\0\0\0" if pair else b"\1\0\0\0\1")
            parts = tlvs_of(tlvs[0x20][5:])
            report.equal(f"{what}: version, cipher", (parts[0x21], parts[0x23]),
                         (version.encode(), cipher.encode()))
            report.equal(f"{what}: CN", parts.get(0x22), b"app" if pair else None)
            report.equal(f"{what}: SNI, where there is room", tlvs.get(2),
                         name.encode() if len(name) < 100 else None)


def main():
    options = parse(make_parser(__doc__))
    report = Report()
    report.attempt("headers in", headers_in, report, options)
    report.attempt("bad headers", bad_headers, report, options)
    report.attempt("first bytes", first_bytes, report, options)
    with processes.test_folder() as folder:
        authority = servers.new_authority(folder)
        report.attempt("TLS told", tls_told, report, options, authority)
        try:
            with servers.MariaDB(folder, extra=[
                    "--proxy-protocol-networks=127.0.0.1,localhost",
                    "--skip-name-resolve"]) as server:
                server.start().wait()
                report.attempt("out", header_out, report, options, server, authority)
                report.attempt("haproxy", behind_haproxy, report, options, folder, server,
                               authority)
        except processes.Skipped as reason:
            print(f"SKIPPED: {reason}")
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
