#!/usr/bin/python3
"""Clients and servers that talk nonsense, stop in the middle, or say nothing, by raw sockets.

    bad_input.py --proxy PATH [--io_engine epoll] [--only WORD]

Each must end as promised: an ERR packet with its code and the right sequence id or a TLS alert,
one line in the log, and nothing left over in a proxy that lives on. All cases run beside each other
on one proxy, because some wait for time limits.
"""

import concurrent.futures
import socket
import ssl
import struct
import time

import mysql_wire as wire
import processes
import servers
from bad_servers import SERVER_CASES
from options import make_parser, parse
from proxy import Proxy
from report import Report

HANDSHAKE_TIMEOUT = 3


class Peer:
    """A raw client of the proxy, which has read the greeting."""

    def __init__(self, room):
        self.room = room
        self.sock = wire.dial(("127.0.0.1", room.proxy.port))
        self.local = self.sock.getsockname()[1]
        self.greeting = wire.read_packet(self.sock)

    def tls(self):
        self.sock = wire.open_tls(self.sock, self.room.ca)
        return self.sock


class Room:
    """What a case may use."""

    def __init__(self, proxy, server, ca):
        self.proxy, self.server, self.ca = proxy, server, ca

    def send(self, data, to_end=False):
        """Sends it behind the greeting; gives (the peer, what came back, how that ended)."""
        peer = Peer(self)
        peer.sock.sendall(data)
        if to_end:
            peer.sock.shutdown(socket.SHUT_WR)
        return (peer, *wire.read_to_end(peer.sock))


def expect_err(codes, sequence_id=None):
    """A check of (peer, bytes, end): exactly one ERR with one of the codes, then the end."""
    def check(_room, answer):
        _peer, data, end = answer
        if len(data) < 4:
            return f"no ERR packet, but {data!r}, {end}"
        found = wire.Err(data[4:], data[3])
        if found.code not in codes or len(found.state) != 5:
            return f"expected {codes}, got {found}"
        if sequence_id is not None and found.sequence_id != sequence_id:
            return f"expected sequence id {sequence_id}, got {found}"
        if len(data) != 4 + int.from_bytes(data[:3], "little"):
            return f"more than one packet: {data!r}"
        return "" if end in ("closed", "reset") else f"then {end}"
    return check


def expect_alert(_room, answer):
    """A TLS alert record, or at least the end; never a MySQL packet."""
    _peer, data, end = answer
    if data[:1] == b"\x15" and end in ("closed", "reset"):
        return ""
    return f"expected a TLS alert, got {data[:60]!r}, {end}"


def expect_end(_room, answer):
    _peer, data, end = answer
    return "" if end in ("closed", "reset") or "EOF" in end else f"got {data[:60]!r}, {end}"


def tls_answer(room, after):
    """Goes over to TLS, calls after(socket), and reads to the end."""
    peer = Peer(room)
    sock = peer.tls()
    after(sock)
    return (peer, *wire.read_to_end(sock))


def glued(room):
    """SSLRequest and ClientHello in one segment: what is behind the SSLRequest is for TLS."""
    peer = Peer(room)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = wire.tls_context(room.ca).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    first = wire.ssl_request()
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            peer.sock.sendall(first + outgoing.read())
            first = b""
            incoming.write(peer.sock.recv(65536))
    tls.write(wire.handshake_response(2))
    peer.sock.sendall(outgoing.read())
    while True:
        incoming.write(peer.sock.recv(65536))
        try:
            data = tls.read(65536)
            break
        except ssl.SSLWantReadError:
            continue
    return peer, data, "closed"


def byte_by_byte(room):
    """A correct client whose every byte is a segment of its own."""
    peer = Peer(room)
    peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in wire.handshake_response(1):
        peer.sock.sendall(bytes([byte]))
        time.sleep(0.001)
    return (peer, *wire.read_to_end(peer.sock))


def silent_after_tls_record_header(room):
    peer = Peer(room)
    peer.sock.sendall(wire.ssl_request() + b"\x16\x03\x01\x02\x00")
    return (peer, *wire.read_to_end(peer.sock))


# The server behind these is a fake that greets and refuses everybody with 1045.
PRE_41 = wire.packet(1, struct.pack("<H", 0x0001) + b"\x00\x00\x01" + b"ann\0" + b"\0")
RECORD_OF_JUNK = b"\x16\x03\x01\x00\x40" + bytes(range(64))

CLIENT_CASES = [
    ("HTTP instead of MySQL", lambda room: room.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
     expect_err((1043, 1153))),
    ("random bytes", lambda room: room.send(bytes([251, 3, 0, 99]) + bytes(range(256)) * 8),
     expect_err((1043, 1153))),
    ("an empty packet", lambda room: room.send(wire.packet(1, b"")), expect_err((1043,), 2)),
    ("a packet of one byte", lambda room: room.send(wire.packet(1, b"\x01")),
     expect_err((1043,), 2)),
    ("a response cut in the middle of its fields",
     lambda room: room.send(wire.packet(1, wire.handshake_response(1)[4:40])),
     expect_err((1043,), 2)),
    ("an SSLRequest that is too short",
     lambda room: room.send(wire.packet(1, wire.ssl_request()[4:24])), expect_err((1043,), 2)),
    ("a user name without an end",
     lambda room: room.send(wire.packet(1, wire.handshake_response(1)[4:36] + b"a" * 100)),
     expect_err((1043,), 2)),
    ("an auth response longer than its packet",
     lambda room: room.send(wire.packet(1, wire.handshake_response(1)[4:36] + b"ann\0\xff12")),
     expect_err((1043,), 2)),
    ("2 MiB announced", lambda room: room.send(b"\x00\x00\x20\x01" + bytes(1000)),
     expect_err((1153,), 2)),
    ("16 MiB announced", lambda room: room.send(b"\xff\xff\xff\x01" + bytes(1000)),
     expect_err((1153,), 2)),
    ("a wrong sequence id", lambda room: room.send(wire.handshake_response(7)),
     expect_err((1043, 1045, 1156))),
    ("COM_QUIT before logging in", lambda room: room.send(wire.packet(0, b"\x01")),
     expect_err((1043, 1156))),
    ("a client older than 4.1", lambda room: room.send(PRE_41), expect_err((1043, 1251), 2)),
    ("closes behind the greeting", lambda room: room.send(b"", to_end=True), expect_end),
    ("closes in the middle of a packet",
     lambda room: room.send(wire.handshake_response(1)[:20], to_end=True), expect_end),
    ("SSLRequest, then closes", lambda room: room.send(wire.ssl_request(), to_end=True),
     expect_end),
    ("SSLRequest, then MySQL in clear",
     lambda room: room.send(wire.ssl_request() + wire.handshake_response(2)), expect_alert),
    ("SSLRequest, then garbage", lambda room: room.send(wire.ssl_request() + b"\x80" * 300),
     expect_alert),
    ("a TLS record of junk", lambda room: room.send(wire.ssl_request() + RECORD_OF_JUNK),
     expect_alert),
    ("TLS without SSLRequest", lambda room: room.send(RECORD_OF_JUNK),
     expect_err((1043, 1153, 1159))),
    ("a second SSLRequest inside TLS",
     lambda room: tls_answer(room, lambda sock: sock.sendall(wire.ssl_request(2))),
     expect_err((1043,), 3)),
    ("garbage inside TLS",
     lambda room: tls_answer(room, lambda sock: sock.sendall(wire.packet(2, b"\xf0" * 9))),
     expect_err((1043,), 3)),
    ("closes behind the TLS handshake",
     lambda room: tls_answer(room, lambda sock: sock.shutdown(socket.SHUT_WR)), expect_end),
    ("SSLRequest glued to ClientHello", glued, expect_err((1045,), 3)),
    ("one byte at a time", byte_by_byte, expect_err((1045,), 2)),
    ("says nothing", lambda room: room.send(b""), expect_err((1159,))),
    ("half a header, then nothing", lambda room: room.send(b"\x20\x00"), expect_err((1159,))),
    ("SSLRequest, then nothing", lambda room: room.send(wire.ssl_request()), expect_end),
    ("the start of a TLS record, then nothing", silent_after_tls_record_header, expect_end),
    ("TLS, then nothing", lambda room: tls_answer(room, lambda sock: None),
     expect_err((1159,), 2)),
]


def refuse_everybody(sock):
    """A server that greets, and refuses whoever comes. Gives what it was sent."""
    sock.sendall(wire.greeting())
    sequence_id, payload = wire.read_packet(sock)
    sock.sendall(wire.err(sequence_id + 1, 1045, "Access denied", "28000"))
    return payload


def run_client_case(report, room, case):
    name, act, check = case
    mark = room.proxy.mark()
    answer = act(room)
    complaint = check(room, answer)
    report.check(f"client: {name}", not complaint, complaint)
    line = room.proxy.wait_line(rf"client=\S*:{answer[0].local}\b.*reason=\S", 15, mark)
    report.check(f"client: {name}: one log line with the reason", line, "no such line")


def run_server_case(report, options, pair, ca, case):
    """Its own proxy in front of its own server, since the server is what differs."""
    with case.server() as target:
        flags = [f"--handshake_timeout={HANDSHAKE_TIMEOUT}", "--connect_timeout=2"]
        with Proxy(options.proxy, target.address, pair=pair, io_engine=options.io_engine,
                   workers=1, admin=False, arguments=flags) as proxy:
            complaint = case.act(("127.0.0.1", proxy.port), ca, target)
            report.check(f"server: {case.name}", not complaint, complaint)
            line = proxy.wait_line(r"client=\S+.*reason=\S", 15)
            report.check(f"server: {case.name}: one log line with the reason", line, "none")
            report.check(f"server: {case.name}: the proxy lives", proxy.alive(),
                         f"exit code {proxy.exit_code}")


def all_clear(proxy, before):
    """Waits for the descriptors to be what they were."""
    try:
        processes.wait_until(lambda: proxy.descriptors() <= before, 20, "descriptors to be closed")
        return ""
    except TimeoutError:
        return f"{before} descriptors before, {proxy.descriptors()} after"


def client_suite(report, options, pair, ca, pool):
    cases = [case for case in CLIENT_CASES if options.only in "client: " + case[0]]
    with wire.FakeServer(refuse_everybody) as server:
        with Proxy(options.proxy, server.address, pair=pair, io_engine=options.io_engine,
                   arguments=[f"--handshake_timeout={HANDSHAKE_TIMEOUT}"]) as proxy:
            if not report.check("the proxy starts", proxy.port, " / ".join(proxy.lines)):
                return
            room = Room(proxy, server, ca)
            # One log-in, so that what the proxy opens once is open when the counting starts.
            room.send(wire.handshake_response(1))
            time.sleep(0.3)
            before = proxy.descriptors()
            list(pool.map(lambda case: report.attempt(
                f"client: {case[0]}", run_client_case, report, room, case), cases))
            problem = all_clear(proxy, before)
            report.check("no connection is left over", not problem, problem)
            answer = room.send(wire.handshake_response(1))
            complaint = expect_err((1045,), 2)(room, answer)
            report.check("it still serves", not complaint, complaint)
            report.check("it is alive", proxy.alive(), f"exit code {proxy.exit_code}")
            report.equal("it stops with 0", proxy.stop(), 0)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--only", default="", help="only cases with this in their name")
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder:
        authority = servers.new_authority(folder)
        pair = authority.issue("proxy")
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            client_suite(report, options, pair, authority.ca, pool)
        # Proxies are started here, not in threads: a child dies with the thread that made it.
        for case in SERVER_CASES:
            if options.only in "server: " + case.name:
                report.attempt(f"server: {case.name}", run_server_case, report, options, pair,
                               authority.ca, case)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
