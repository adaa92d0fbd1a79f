"""What hostile clients do: how far they go before they misbehave, and then their moves.

A move is a function of the Peer. `say` goes through TLS where the peer has it, `raw` beneath it.
"""

import socket
import struct
import time

import mysql_wire as wire
import tls_records as tls
from hostile import Wrong
from hostile_peer import PATIENCE, Peer

# Of the account: its server asks for another plugin's answer.
CHANGE_TO_ED25519 = (b"\x11ed25519\0\x14" + b"x" * 20 + b"\0" + b"\x2d\0"
                     + b"mysql_native_password\0")

# --- How far a peer goes before it misbehaves.
WAYS = {
    "dialled": lambda peer: None,
    "reply": Peer.read_greeting,
    "tls": lambda peer: (peer.read_greeting(), peer.ssl_request()),
    "flight": lambda peer: (peer.read_greeting(), peer.ssl_request(), peer.raw(peer.begin_tls()),
                            peer.receive()),
    "response": lambda peer: (peer.read_greeting(), to_tls(peer)),
    "auth": lambda peer: (peer.read_greeting(), to_tls(peer),
                          peer.packet(peer.response("client_ed25519")), take_switch(peer)),
    "command": lambda peer: (peer.read_greeting(), to_tls(peer), peer.log_in()),
    "reauth": lambda peer: (peer.read_greeting(), to_tls(peer), peer.log_in(),
                            peer.packet(CHANGE_TO_ED25519, 0), take_switch(peer)),
}


def to_tls(peer):
    if peer.version:
        peer.ssl_request()
        peer.raw(peer.begin_tls())
        peer.finish_tls()


def take_switch(peer):
    """MariaDB asks whoever comes with another plugin to use the account's."""
    request = peer.read_packet()
    if request[:1] != b"\xfe":
        raise Wrong(f"no AuthSwitchRequest, but {request[:60]!r}")
    peer.nonce = request[-21:-1]


# --- Moves.
def raw(data):
    return lambda peer: peer.raw(data)


def say(data):
    """Bytes that begin with a packet's header: an ERR will be numbered after it."""
    def move(peer):
        peer.last_id = data[3] if len(data) > 3 else peer.last_id
        peer.say(data)
    return move


def part(data):
    """Bytes of a packet whose header doesn't matter."""
    return lambda peer: peer.say(data)


def packet(payload, number=None):
    return lambda peer: peer.packet(payload, number)


def payload_of(make):
    """A packet whose payload is make(peer)."""
    return lambda peer: peer.packet(make(peer))


def slowly(payload, pause, number=None):
    """A packet (None: the log-in) of which each byte is a segment, and record, of its own."""
    def move(peer):
        peer.last_id = peer.last_id + 1 if number is None else number
        for byte in wire.packet(peer.last_id, payload or peer.response()):
            peer.say(bytes([byte]))
            time.sleep(pause)
            if pause and dropped(peer):
                return
    return move


def dropped(peer):
    """Whether the proxy has said something, or closed: to a slow talker that is the end."""
    peer.sock.settimeout(0.001)
    try:
        peer.sock.recv(1, socket.MSG_PEEK)
        return True
    except TimeoutError:
        return False
    finally:
        peer.sock.settimeout(PATIENCE)


def record(kind, data, times=1, damage=False):
    """`times` sealed records of ours."""
    return lambda peer: peer.raw(b"".join(peer.forge(kind, data, damage) for _ in range(times)))


def key_updates(times):
    """Each under the keys that the one before made."""
    def move(peer):
        for _ in range(times):
            peer.raw(peer.forge(tls.HANDSHAKE, tls.message(tls.KEY_UPDATE, b"\1")))
            peer.forger.update()
    return move


def hello_in(size, pause=0.0, records=True):
    """The ClientHello in pieces: each a record of its own, or a segment alone; then all goes on."""
    def move(peer):
        hello = peer.begin_tls()
        body = hello[5:] if records else hello
        for at in range(0, len(body), size):
            part = body[at:at + size]
            peer.raw(tls.clear_record(tls.HANDSHAKE, part) if records else part)
            if pause:
                time.sleep(pause)
                if dropped(peer):
                    return
        if not pause:
            peer.finish_tls()
    return move


def glued_hello(before=b""):
    """SSLRequest, something, and the ClientHello in one segment; then all goes on."""
    def move(peer):
        peer.last_id += 1
        peer.raw(wire.ssl_request(peer.last_id) + before + peer.begin_tls())
        if not before:
            peer.finish_tls()
    return move


def old_tls(peer):
    """A ClientHello that knows TLS 1.1 at best."""
    body = (b"\x03\x02" + bytes(32) + b"\0" + b"\0\x02\xc0\x14" + b"\x01\0")
    peer.raw(tls.clear_record(tls.HANDSHAKE, tls.message(tls.CLIENT_HELLO, body)))


def fin(peer):
    peer.sock.shutdown(socket.SHUT_WR)


def rst(peer):
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()
    peer.how = "left"


def leave(peer):
    peer.sock.close()
    peer.how = "left"


def close_notify(peer):
    peer.raw(peer.forge(tls.ALERT, tls.alert("close_notify", tls.WARNING)))


def wait(seconds):
    return lambda peer: time.sleep(seconds)


def log_in(peer):
    peer.log_in()


def served(peer):
    """All is well after all: a query is answered."""
    peer.query()
    leave(peer)
    peer.how = "served"


def answered(peer):
    """The log-in's OK or the query's answer comes, and the session goes on."""
    peer.read_answer()
    served(peer)


def query(sql):
    return lambda peer: peer.packet(b"\x03" + sql, 0)


def pipelined(*payloads):
    """The log-in and commands behind it, in one segment."""
    def move(peer):
        peer.last_id += 1
        peer.say(wire.packet(peer.last_id, peer.response())
                 + b"".join(wire.packet(0, payload) for payload in payloads))
        for _ in range(1 + len(payloads)):
            peer.read_answer()
        served(peer)
    return move


def chain(payloads):
    """One logical packet of pieces; a piece of 16 MiB - 1 says that more follow."""
    def move(peer):
        for number, payload in enumerate(payloads):
            peer.packet(payload, number)
        peer.read_answer()
        served(peer)
    return move
