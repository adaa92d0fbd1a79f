#!/usr/bin/python3
"""A client that asks for new keys again and again (KeyUpdate), and never reads an answer.

    key_update_answers.py --proxy PATH [--io_engine epoll]

With data between them TLS allows as many as it likes, and its server swallows that data without a
word (COM_STMT_SEND_LONG_DATA is answered by nobody). The answers that wait for the client must
stay within a bound: it is read no further. Once it reads, all goes on and nothing is lost.
"""

import hashlib
import socket

import mysql_wire as wire
import processes
import servers
import tls_records as tls
from bursts import metric
from client_moves import to_tls
from hostile_peer import Peer, Room
from options import make_parser, parse
from proxy import Proxy
from report import Report

RESULT = 8 << 20  # Fills every buffer on the way to the client.
LONG_DATA = wire.packet(0, b"\x18" + bytes(2))
# Of 27 bytes each, so they would be more than the bound; some share a receive, and an answer.
ASKED_MAX = 90_000
BOUND = (64 + 3 * 256 + 64) << 10  # kClientQueueMax of proxy/limits.h, and what one receive adds.
WAITING = "sallyport_send_queue_bytes"


def swallow(sock):
    """Answers the log-in and one command, and then nothing any more; gives a digest of the rest."""
    sock.sendall(wire.greeting())
    sequence_id, _ = wire.read_packet(sock)
    sock.sendall(wire.packet(sequence_id + 1, wire.OK_PAYLOAD))
    wire.read_packet(sock)
    sock.sendall(wire.packet(1, bytes(RESULT)))
    digest, count = hashlib.sha1(), 0
    while data := sock.recv(1 << 16):
        digest.update(data)
        count += len(data)
    return count, digest.hexdigest()


def asks(peer):
    """A KeyUpdate that asks for one, and data under the new keys."""
    update = peer.forge(tls.HANDSHAKE, tls.message(tls.KEY_UPDATE, b"\1"))
    peer.forger.update()
    return update + peer.forge(tls.APPLICATION_DATA, LONG_DATA)


def ask_on(peer):
    """Each time in a segment of its own, until nobody takes it for a while. Gives how often it
    asked, and what is left of the last."""
    peer.sock.settimeout(processes.patience(2))
    for count in range(1, ASKED_MAX + 1):
        rest = asks(peer)
        while rest:
            try:
                rest = rest[peer.sock.send(rest):]
            except TimeoutError:
                return count, rest
    return ASKED_MAX, b""


def check(report, proxy, server, room):
    peer = Peer(room, proxy.port, "127.0.0.1", "13")
    with peer.sock:
        peer.read_greeting()
        to_tls(peer)
        peer.log_in()
        peer.packet(b"\x03SELECT", 0)
        processes.wait_until(lambda: metric(proxy, WAITING) > 0, 10, "the buffers to be full")
        before = metric(proxy, WAITING)
        asked, rest = ask_on(peer)
        waiting = metric(proxy, WAITING)
        print(f"asked {asked} times; {waiting - before} bytes more wait for the client")
        report.check("answers were queued", waiting > before, str(waiting))
        report.check("what waits is bounded", waiting < BOUND, str(waiting))
        peer.sock.settimeout(processes.patience(15))
        received = peer.read_packet()
        report.equal("once it reads, all is there", received, bytes(RESULT))
        peer.raw(rest)
        peer.sock.shutdown(socket.SHUT_WR)
        peer.end()
        report.check("and no alert ended it", peer.how in ("close_notify", "FIN"), peer.how)
    digests = processes.wait_until(lambda: server.received, 10, "the server's end")
    whole = LONG_DATA * asked
    report.equal("the server has got all of it", digests,
                 [(len(whole), hashlib.sha1(whole).hexdigest())])


def main():
    options = parse(make_parser(__doc__))
    report = Report()
    with processes.test_folder() as folder, wire.FakeServer(swallow) as server:
        authority = servers.new_authority(folder)
        with Proxy(options.proxy, server.address, workers=1, io_engine=options.io_engine,
                   pair=authority.issue("proxy")) as proxy:
            check(report, proxy, server, Room(folder, authority.ca, "ann", ""))
            report.equal("it stops with 0", proxy.stop(), 0)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
