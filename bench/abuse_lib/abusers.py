"""The abusers: each is a process that goes on until it is killed."""

import hashlib
import selectors
import socket
import ssl
import struct
import time

from compare_lib.process import raise_file_limit

CAPABILITIES = 1 | 0x200 | 0x2000 | 0x8000 | 0x80000
CLIENT_SSL = 0x800
GIGABYTE = 1 << 30


def packet(sequence_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence_id]) + payload


def ssl_request() -> bytes:
    return packet(1, struct.pack("<IIB23x", CAPABILITIES | CLIENT_SSL, 1 << 24, 45))


def response(sequence_id: int, scramble: bytes = bytes(20)) -> bytes:
    return packet(sequence_id, struct.pack("<IIB23x", CAPABILITIES, 1 << 24, 45) + b"native\0"
                  + bytes([len(scramble)]) + scramble + b"mysql_native_password\0")


def native_scramble(nonce: bytes) -> bytes:
    once = hashlib.sha1(b"bench").digest()
    twice = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, twice))


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 30)


def slow_logins(port: int, count: int) -> None:
    """`count` log-ins at once, a byte a second each; who is shut out comes again."""
    raise_file_limit()
    selector = selectors.DefaultSelector()
    words = response(1)
    sent: dict[socket.socket, int] = {}
    while True:
        # Some at a time, so that the backlog isn't what is tried.
        for _ in range(min(200, count - len(sent))):
            try:
                sock = dial(port)
            except OSError:
                break
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ)
            sent[sock] = 0
        began = time.monotonic()
        for sock in list(sent):
            try:
                sock.send(words[sent[sock]:sent[sock] + 1])
                sent[sock] += 1
            except BlockingIOError:
                pass
            except OSError:
                forget(selector, sent, sock)
        for key, _ in selector.select(0):
            try:
                if not key.fileobj.recv(65536):
                    forget(selector, sent, key.fileobj)
            except OSError:
                forget(selector, sent, key.fileobj)
        # While it is filling up, faster.
        pause = 1 if len(sent) >= count * 9 // 10 else 0.05
        time.sleep(max(0, pause - (time.monotonic() - began)))


def forget(selector, sent: dict, sock) -> None:
    if sock in sent:
        selector.unregister(sock)
        del sent[sock]
        sock.close()


def scan(port: int, _count: int) -> None:
    """Connects and leaves: by FIN, by RST, after the greeting, after nonsense."""
    number = 0
    while True:
        number += 1
        try:
            with dial(port) as sock:
                if number % 4 == 1:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif number % 4 == 2:
                    sock.recv(100)
                elif number % 4 == 3:
                    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        except OSError:
            time.sleep(0.01)


def handshakes(port: int, count: int) -> None:
    """Full TLS handshakes, and nothing more: `count` connections are sent their ClientHello, and
    when all have, they are gone on with."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    while True:
        socks = []
        for _ in range(count):
            try:
                sock = dial(port)
                sock.recv(1000)
                sock.sendall(ssl_request())
                sock = context.wrap_socket(sock, do_handshake_on_connect=False)
                sock.setblocking(False)
                socks.append(sock)
                sock.do_handshake()
            except (ssl.SSLWantReadError, OSError):
                continue
        for sock in socks:
            try:
                sock.settimeout(10)
                sock.do_handshake()
            except OSError:
                pass
            sock.close()


def never_read(port: int, count: int) -> None:
    """`count` log-ins, every other one over TLS, that ask for 1 GB each and read nothing."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    held = []
    for number in range(count):
        sock = dial(port)
        greeting = sock.recv(1000)
        at = greeting.index(b"\0", 5) + 5
        nonce = greeting[at:at + 8] + greeting[at + 27:at + 39]
        tls = number % 2
        if tls:
            sock.sendall(ssl_request())
            sock = context.wrap_socket(sock)
        sock.sendall(response(1 + tls, native_scramble(nonce)))
        answer = sock.recv(1000)
        if answer[4:5] != b"\0":
            raise RuntimeError(f"not logged in: {answer!r}")
        sock.sendall(packet(0, b"\x03B %d 65536" % GIGABYTE))
        held.append(sock)
    print("all ask", flush=True)
    while True:
        time.sleep(3600)


KINDS = {"slow-logins": slow_logins, "scan": scan, "handshakes": handshakes,
         "never-read": never_read}


def run(kind: str, port: str, count: str) -> int:
    KINDS[kind](int(port), int(count))
    return 0
