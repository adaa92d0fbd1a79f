"""Servers that misbehave, and what the client in front of the proxy must be told."""

import contextlib
import dataclasses
import time
from typing import Callable

import mysql_wire as wire
import processes

# The 1024-bit and elliptic keys are real PEM, but nothing that a password may be encrypted to.
EC_KEY = (b"-----BEGIN PUBLIC KEY-----\n"
          b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWZz1Bp1K3tWWZ9mM1lwPp5xXKRVV\n"
          b"-----END PUBLIC KEY-----\n")
PASSWORD = b"Raw-Sesame-91"


@dataclasses.dataclass
class Case:
    """`server()` is a context manager of something with `address`; `act(proxy, ca, server)` plays
    the client and gives a complaint, or nothing."""
    name: str
    server: Callable
    act: Callable


def _first_err(address):
    sock = wire.dial(address)
    with sock:
        return wire.read_err(sock)


def told(*codes, begins=""):
    """The first thing that the client reads is an ERR with one of these codes."""
    def act(address, _ca, _server):
        try:
            found = _first_err(address)
        except (EOFError, OSError) as error:
            return f"expected ERR {codes}, got {type(error).__name__}: {error}"
        good = found.code in codes and found.sequence_id == 0 and found.message.startswith(begins)
        return "" if good else f"expected ERR {codes} {begins!r}, got {found}"
    return act


def logging_in(*codes, sequence_id=None, tls=True, client=None):
    """The client gets a greeting, sends its response, and somewhere on the way an ERR."""
    def act(address, ca, server):
        sock = wire.dial(address)
        with sock:
            wire.read_packet(sock)
            if tls:
                sock = wire.open_tls(sock, ca)
            sock.sendall(wire.handshake_response(2 if tls else 1, auth=b"x" * 32))
            try:
                while True:
                    number, payload = wire.read_packet(sock)
                    if payload[:1] == b"\xff":
                        break
                    if client:
                        client(sock, number, payload)
            except (EOFError, OSError) as error:
                return f"expected ERR {codes}, got {type(error).__name__}: {error}"
            found = wire.Err(payload, number)
        if found.code not in codes or sequence_id not in (None, found.sequence_id):
            return f"expected ERR {codes} with sequence id {sequence_id}, got {found}"
        time.sleep(0.2)
        if any(PASSWORD in (data or b"") for data in server.received):
            return "the password went to the server in clear"
        return ""
    return act


def send_password(sock, number, _payload):
    """A client that does as it is told: the password, in clear, since this is TLS."""
    sock.sendall(wire.packet(number + 1, PASSWORD + b"\0"))


def says(*parts, pause=0.0, stay=0.0):
    """A server that sends these, whatever it is sent, and closes `stay` seconds later."""
    def behave(sock):
        for part in parts:
            sock.sendall(part)
            time.sleep(pause)
        time.sleep(stay)
    return lambda: wire.FakeServer(behave)


def after_response(*steps, plugin="caching_sha2_password"):
    """A server that greets, reads the response, and then, step by step, sends and reads. Gives all
    that it was sent. A step is a payload; None closes."""
    def behave(sock):
        sock.sendall(wire.greeting(plugin))
        sequence_id, everything = wire.read_packet(sock)
        for step in steps:
            if step is None:
                return everything
            sock.sendall(wire.packet(sequence_id + 1, step))
            try:
                sequence_id, payload = wire.read_packet(sock)
            except (EOFError, OSError):
                return everything
            everything += payload
        return everything
    return lambda: wire.FakeServer(behave)


@contextlib.contextmanager
def nobody():
    """An address that refuses connections."""
    yield wire_address(processes.free_port())


@dataclasses.dataclass
class wire_address:  # pylint: disable=invalid-name
    port: int
    received: tuple = ()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def no_such_socket():
    class Nowhere:  # pylint: disable=too-few-public-methods
        address = "unix:/tmp/sallyport-no-such.sock"
        received = ()
    yield Nowhere


GREETING = wire.greeting()
FULL_AUTH, ASK_AGAIN = b"\x01\x04", b"\xfe" + b"caching_sha2_password\0" + wire.NONCE + b"\0"
CLEAR = b"\xfemysql_clear_password\0"
DIALOG = b"\xfedialog\0\x04Password: "

SERVER_CASES = [
    Case("refuses the connection", nobody, told(2003, begins="Can't connect to MySQL server on")),
    Case("has no socket", no_such_socket, told(2003, 2002, begins="Can't connect to")),
    Case("closes at once", says(), told(2013)),
    Case("sends half a greeting and closes", says(GREETING[:30]), told(2013)),
    Case("sends half a greeting and waits", says(GREETING[:30], stay=12), told(1159, 2013)),
    Case("sends nothing", says(stay=12), told(1159, 2013)),
    Case("sends nonsense", says(b"\x20\x00\x00\x00" + b"\x55" * 32, stay=1), told(2027)),
    Case("is an SSH server", says(b"SSH-2.0-OpenSSH_9.2p1\r\n", stay=1), told(2027)),
    Case("sends an empty packet", says(wire.packet(0, b""), stay=1), told(2027)),
    Case("announces a greeting of 16 MB", says(b"\xff\xff\xff\x00\x0a", stay=1), told(2027)),
    Case("greets by protocol 9", says(wire.packet(0, b"\x09" + GREETING[5:]), stay=1), told(2027)),
    Case("greets without an end", says(wire.packet(0, b"\x0a" + b"8" * 60), stay=1), told(2027)),
    Case("says 1040 instead of a greeting",
         says(wire.err(0, 1040, "Too many connections", ""), stay=0.3),
         told(1040, begins="Too many connections")),
    Case("says 1129 instead of a greeting",
         says(wire.err(0, 1129, "Host 'x' is blocked", ""), stay=0.3), told(1129)),
    Case("greets byte by byte and refuses",
         lambda: wire.FakeServer(_slowly_refuse), logging_in(1045, sequence_id=3)),
    Case("refuses after the response, TLS",
         after_response(wire.err(0, 1045, "no", "28000")[4:]), logging_in(1045, sequence_id=3)),
    Case("refuses after the response, plaintext",
         after_response(wire.err(0, 1045, "no", "28000")[4:]),
         logging_in(1045, sequence_id=2, tls=False)),
    Case("closes instead of answering", after_response(None), logging_in(2013)),
    Case("asks for a cleartext password", after_response(CLEAR),
         logging_in(1045, client=send_password)),
    Case("asks for a cleartext password by dialog", after_response(DIALOG),
         logging_in(1045, client=send_password)),
    Case("sends a key that is none", after_response(FULL_AUTH, b"\x01not a key"),
         logging_in(1043, 1045, 2027, 2061, client=send_password)),
    Case("sends an elliptic key", after_response(FULL_AUTH, b"\x01" + EC_KEY),
         logging_in(1043, 1045, 2027, 2061, client=send_password)),
    Case("has no key", after_response(FULL_AUTH, wire.err(0, 1045, "no keys", "28000")[4:]),
         logging_in(1045, client=send_password)),
    Case("closes instead of sending its key", after_response(FULL_AUTH, None),
         logging_in(2013, client=send_password)),
    Case("asks again, then sends a key that is none",
         after_response(ASK_AGAIN, FULL_AUTH, b"\x01not a key"),
         logging_in(1043, 1045, 2027, 2061, client=send_password)),
    Case("sends a key that nobody asked for", after_response(b"\x01" + EC_KEY, None),
         logging_in(1043, 1045, 2027, 2013, client=send_password)),
]


def _slowly_refuse(sock):
    for byte in GREETING:
        sock.sendall(bytes([byte]))
        time.sleep(0.002)
    sequence_id, _ = wire.read_packet(sock)
    sock.sendall(wire.err(sequence_id + 1, 1045, "no", "28000"))
