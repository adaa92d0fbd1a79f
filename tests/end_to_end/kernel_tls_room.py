"""What kernel_tls.py and its key_updates.py share: the proxy with kernel TLS, a server that
believes everybody, and what both kernel and proxy count."""

import hashlib
import re

import mysql_wire as wire
from proxy import Proxy

CIPHERS = [
    ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("TLSv1.3", "TLS_AES_128_GCM_SHA256"),
    ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
    ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"),
]
BULK = (1 << 19) + 7
MORE_THAN_SOCKETS_HOLD = 8 << 20
MORE_THAN_ALL_HOLDS = 48 << 20
COM_QUIT, COM_QUERY, COM_CHANGE_USER = b"\x01", b"\x03", b"\x11"
BLOCK = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(2048))


def pattern(size):
    return (BLOCK * (size // len(BLOCK) + 1))[:size]


def behave(sock):
    """A server that believes everybody. A query says what to answer; see below."""
    sock.settimeout(600)  # An emulator takes its time to make all sessions.
    sock.sendall(wire.greeting())
    sequence_id, _ = wire.read_packet(sock)
    sock.sendall(wire.packet(sequence_id + 1, wire.OK_PAYLOAD))
    while True:
        _, payload = wire.read_packet(sock)
        if payload[:1] == COM_QUIT:
            return
        if payload[:1] == COM_CHANGE_USER:
            # By another plugin, so that the proxy's own packets go both ways.
            sock.sendall(wire.packet(1, b"\xfemysql_native_password\0" + wire.NONCE + b"\0"))
            sequence_id, _ = wire.read_packet(sock)
            sock.sendall(wire.packet(sequence_id + 1, wire.OK_PAYLOAD))
            continue
        word, _, argument = payload[1:].partition(b" ")
        if word == b"give":
            sock.sendall(pattern(int(argument)))
        elif word == b"last":  # And then end.
            sock.sendall(pattern(int(argument)))
            return
        else:
            sock.sendall(hashlib.md5(payload).digest())


def tls_stat():
    with open("/proc/net/tls_stat", encoding="ascii") as file:
        return {name: int(value) for name, value in (line.split() for line in file)}


def counter(proxy, name):
    found = re.search(rf"^sallyport_{re.escape(name)} (\d+)", proxy.get("/metrics"), re.MULTILINE)
    return int(found.group(1))


def from_server(proxy):
    """(bytes received from servers, those among them that were spliced)"""
    ways = {way: int(count) for way, count in re.findall(
        r'^sallyport_received_bytes_total{side="server",way="(\w+)"} (\d+)', proxy.get("/metrics"),
        re.MULTILINE)}
    return sum(ways.values()), ways.get("spliced", 0)


class Room:
    def __init__(self, report, options, pair, server):
        self.report, self.options, self.pair, self.server = report, options, pair, server

    def proxy(self, mode, more_arguments=()):
        return Proxy(self.options.proxy, self.server.address, pair=self.pair,
                     io_engine=self.options.io_engine,
                     arguments=["--kernel_tls", mode, *more_arguments])


def small_and_bulk(room, name, client):
    client.command(COM_QUERY + b"give 100")
    room.report.check(f"{name}: small", client.read(100) == pattern(100))
    client.command(COM_QUERY + b"give %d" % BULK)
    room.report.check(f"{name}: bulk down", client.read(BULK) == pattern(BULK))
    payload = COM_QUERY + pattern(BULK)
    client.command(payload)
    room.report.check(f"{name}: bulk up", client.read(16) == hashlib.md5(payload).digest())
