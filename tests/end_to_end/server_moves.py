"""A server that can do everything wrong, by script, and the honest client in front of the proxy.

A move is a function of the ServerPeer; where one ends in FIN or RST, that is the end of the script.
"""

import contextlib
import socket
import struct
import time

import mysql_wire as wire
import processes
from client_moves import to_tls
from hostile import Wrong
from hostile_peer import Peer

PASSWORD = b"Raw-Sesame-91"
OK = wire.OK_PAYLOAD
ROW_OF_64_KIB = wire.packet(0, b"x" * 65532)


class Done(Exception):
    """The script is over."""


class ServerPeer:
    """One connection of the proxy's. `number` counts them; `bulk` what went through in floods."""

    def __init__(self, sock, number):
        self.sock, self.number, self.last_id, self.heard = sock, number, -1, b""

    def say(self, payload, jump=0):
        self.last_id = (self.last_id + 1 + jump) & 255
        self.sock.sendall(wire.packet(self.last_id, payload))

    def read(self):
        self.last_id, payload = wire.read_packet(self.sock)
        self.heard += payload
        return payload


def script(moves, good_once=False):
    """What a wire.FakeServer does with each connection (`good_once`: but the first); gives all that
    it heard."""
    count = iter(range(1 << 30))

    def behave(sock):
        peer = ServerPeer(sock, next(count))
        try:
            for move in (log_in, serve) if good_once and peer.number == 0 else moves:
                move(peer)
        except (Done, OSError, EOFError):
            pass
        return b"" if good_once and peer.number == 0 else peer.heard
    return behave


@contextlib.contextmanager
def full_server():
    """The address of a listener whose queue is full: whoever connects waits in vain."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        time.sleep(0.1)
        yield f"{address[0]}:{address[1]}"


# --- Moves.
def raw(data):
    return lambda peer: peer.sock.sendall(data)


def say(payload, jump=0):
    return lambda peer: peer.say(payload, jump)


def glued(*payloads):
    """Packets in one segment."""
    def move(peer):
        first = peer.last_id + 1
        peer.last_id += len(payloads)
        peer.sock.sendall(b"".join(
            wire.packet(first + n, payload) for n, payload in enumerate(payloads)))
    return move


def err(code, message="no", state="28000"):
    return say(wire.err(0, code, message, state)[4:])


def greet(plugin="caching_sha2_password"):
    return say(wire.greeting(plugin)[4:])


def drip(data, pause):
    def move(peer):
        for byte in data:
            peer.sock.sendall(bytes([byte]))
            time.sleep(pause)
        peer.last_id = 0
    return move


def split_greeting(peer):
    """In two segments, cut at another byte for each connection."""
    peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = wire.greeting()
    at = peer.number % len(data)
    peer.sock.sendall(data[:at])
    time.sleep(0.02)
    peer.sock.sendall(data[at:])
    peer.last_id = 0


def hear(peer):
    peer.read()


def wait(seconds):
    return lambda peer: time.sleep(seconds)


def fin(_peer):
    raise Done


def half_close(peer):
    peer.sock.shutdown(socket.SHUT_WR)


def rst(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Done


def stay(peer):
    """Says nothing more, and reads until the proxy has enough."""
    while peer.sock.recv(65536):
        pass


def deaf(_peer):
    """Neither says nor reads anything more, for long."""
    time.sleep(processes.patience(4))


def repeat(times, *moves):
    def move(peer):
        for _ in range(times):
            for one in moves:
                one(peer)
    return move


def serve(peer):
    """Answers every command with OK."""
    while True:
        peer.read()
        peer.say(OK)


def log_in(peer):
    """Greets and believes whoever comes."""
    greet()(peer)
    peer.read()
    peer.say(OK)


def flood(limit):
    """Rows until nobody takes them: that must be soon. `limit` in bytes."""
    def move(peer):
        sent = 0
        peer.sock.settimeout(1)
        try:
            while sent < limit:
                sent += peer.sock.send(ROW_OF_64_KIB)
        except TimeoutError:
            peer.heard += b"blocked"
        stay(peer)
    return move


# --- The honest client.
def honest(peer):
    """Does what it is told, by whatever plugin, as a client on its link would, asks one query, and
    leaves when OK answers it. The password goes out in clear on TLS only, where it is asked for."""
    log_in_honestly(peer)
    if not peer.data and not peer.how:
        peer.packet(b"\x03SELECT 1", 0)
        if peer.read_answer()[:1] == b"\0":
            peer.sock.close()
            peer.how = "served"


def log_in_honestly(peer):
    """Until OK, or until there is an ERR or an end to be read."""
    if is_over(peer):
        return
    peer.read_greeting()
    to_tls(peer)
    peer.packet(wire.handshake_response(0, "ann", b"x" * 32)[4:])
    while not answer(peer):
        pass


def is_over(peer):
    """Whether an ERR or the end comes next, which is left to be read."""
    while len(peer.data) < 5:
        if not peer.receive():
            return True
    return peer.data[4:5] == b"\xff"


def answer(peer):
    """Answers a packet of the server's; True when the log-in is over."""
    if is_over(peer):
        return True
    payload = peer.read_packet()
    if payload[:1] == b"\0":
        return True
    if payload == b"\x01\x03":
        return False
    if payload[:1] == b"\xfe" and b"caching_sha2" in payload:
        peer.packet(b"x" * 32)
    elif payload[:1] == b"\xfe" and peer.version or payload == b"\x01\x04" and peer.version:
        peer.packet(PASSWORD + b"\0")
    elif payload == b"\x01\x04":
        peer.packet(b"\x02")
    else:
        peer.packet(b"c" * 256)
    return False


def listens(peer):
    """Says nothing behind the greeting."""
    peer.read_greeting()


def reads_nothing(peer):
    """Asks for a lot, reads none of it, and breaks off."""
    log_in_honestly(peer)
    peer.packet(b"\x03SELECT *", 0)
    time.sleep(processes.patience(2.5))
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()
    peer.how = "left"


def sends_much(peer):
    """Sends to a server that doesn't read: it must come to a halt, and soon."""
    log_in_honestly(peer)
    peer.sock.settimeout(1)
    try:
        for _ in range(1000):
            peer.say(ROW_OF_64_KIB)
    except TimeoutError:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sock.close()
        peer.how = "left"
        return
    raise Wrong("64 MB were taken for a server that reads nothing")


def leaves(peer):
    """Goes once it has the greeting: the proxy finishes the log-in in its place."""
    peer.read_greeting()
    peer.sock.close()
    peer.how = "left"


def send_log_in(peer):
    """To a listener that greets itself; what comes of it can't be there yet."""
    peer.read_greeting()
    to_tls(peer)
    peer.packet(wire.handshake_response(0, "ann", b"x" * 32)[4:])
    time.sleep(0.3)  # In which the server is dialled.


def logs_in_and_reads(peer):
    send_log_in(peer)
    peer.read_packet()


def logs_in_and_ends(peer):
    send_log_in(peer)
    peer.sock.shutdown(socket.SHUT_WR)


def logs_in_and_resets(peer):
    send_log_in(peer)
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()
    peer.how = "left"


def meet(room, port, version, act):
    """One client; gives what it saw."""
    peer = Peer(room, port, "127.0.0.1", version)
    with peer.sock:
        try:
            act(peer)
        except (ConnectionResetError, BrokenPipeError):
            pass
        except Wrong:
            if not peer.how:
                raise
        return peer.end()
