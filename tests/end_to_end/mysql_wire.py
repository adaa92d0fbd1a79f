"""MySQL's packets, as few as the tests need to play a client or a server by raw sockets."""

import hashlib
import socket
import ssl
import struct
import threading

import processes

CLIENT_LONG_PASSWORD = 1
CLIENT_CONNECT_WITH_DB = 8
CLIENT_PROTOCOL_41 = 0x200
CLIENT_SSL = 0x800
CLIENT_SECURE_CONNECTION = 0x8000
CLIENT_PLUGIN_AUTH = 0x80000
CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA = 0x200000
CAPABILITIES = (CLIENT_LONG_PASSWORD | CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION
                | CLIENT_PLUGIN_AUTH | 0x2000)
NONCE = b"abcdefghijklmnopqrst"
OK_PAYLOAD = bytes([0, 0, 0, 2, 0, 0, 0])


def packet(sequence_id, payload):
    return len(payload).to_bytes(3, "little") + bytes([sequence_id & 255]) + payload


def err(sequence_id, code, message, state="HY000"):
    """`state` is empty for an ERR that comes instead of a greeting."""
    marker = b"#" + state.encode() if state else b""
    return packet(sequence_id, b"\xff" + struct.pack("<H", code) + marker + message.encode())


def greeting(plugin="caching_sha2_password", version="9.7.4-test", capabilities=CAPABILITIES,
             nonce=NONCE):
    payload = (b"\x0a" + version.encode() + b"\0" + struct.pack("<I", 77) + nonce[:8] + b"\0"
               + struct.pack("<HBHH", capabilities & 0xffff, 45, 2, capabilities >> 16)
               + bytes([21]) + bytes(10) + nonce[8:] + b"\0" + plugin.encode() + b"\0")
    return packet(0, payload)


def ssl_request(sequence_id=1, capabilities=CAPABILITIES):
    return packet(sequence_id, struct.pack("<IIB23x", capabilities | CLIENT_SSL, 1 << 24, 45))


def handshake_response(sequence_id, user="ann", auth=b"", plugin="caching_sha2_password",
                       capabilities=CAPABILITIES):
    payload = (struct.pack("<IIB23x", capabilities, 1 << 24, 45) + user.encode() + b"\0"
               + bytes([len(auth)]) + auth + plugin.encode() + b"\0")
    return packet(sequence_id, payload)


def sha2_scramble(password, nonce):
    once = hashlib.sha256(password).digest()
    twice = hashlib.sha256(hashlib.sha256(once).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(once, twice))


def native_scramble(password, nonce):
    once = hashlib.sha1(password).digest()
    twice = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, twice))


def read_exactly(sock, count):
    data = bytearray()
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError(f"closed after {len(data)} of {count} bytes")
        data += more
    return bytes(data)


def read_packet(sock):
    """(sequence_id, payload); EOFError where the peer has closed."""
    header = read_exactly(sock, 4)
    return header[3], read_exactly(sock, int.from_bytes(header[:3], "little"))


def read_to_end(sock):
    """All that comes until the peer closes, resets, or says nothing for the socket's timeout.
    Gives (bytes, how it ended)."""
    data = bytearray()
    while True:
        try:
            more = sock.recv(65536)
        except ConnectionResetError:
            return bytes(data), "reset"
        except ssl.SSLError as error:
            return bytes(data), f"TLS: {error.reason}"
        except TimeoutError:
            return bytes(data), "still open"
        if not more:
            return bytes(data), "closed"
        data += more


class Err:
    """An ERR_Packet, taken apart."""

    def __init__(self, payload, sequence_id=None):
        if payload[:1] != b"\xff":
            raise ValueError(f"not an ERR packet: {payload[:60]!r}")
        self.sequence_id = sequence_id
        self.code = struct.unpack_from("<H", payload, 1)[0]
        rest = payload[3:]
        self.state = rest[1:6].decode() if rest[:1] == b"#" else ""
        self.message = (rest[6:] if self.state else rest).decode(errors="replace")

    def __str__(self):
        return f"ERR {self.code} ({self.state}) {self.message!r}, sequence id {self.sequence_id}"


def read_err(sock):
    sequence_id, payload = read_packet(sock)
    return Err(payload, sequence_id)


def parse_greeting(payload):
    """(version, capabilities, nonce, plugin)"""
    end = payload.index(b"\0", 1)
    at = end + 1
    low, = struct.unpack_from("<H", payload, at + 4 + 9)
    high, = struct.unpack_from("<H", payload, at + 4 + 9 + 5)
    nonce = payload[at + 4:at + 12] + payload[at + 31:at + 43]
    plugin = payload[at + 44:].split(b"\0")[0].decode()
    return payload[1:end].decode(), low | high << 16, nonce, plugin


def dial(address, timeout=15):
    timeout = processes.patience(timeout)
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(address)
        return sock
    return socket.create_connection(address, timeout)


def tls_context(ca):
    context = ssl.create_default_context(cafile=ca)
    # The server of the tests is 127.0.0.1, which its certificate names.
    return context


def open_tls(sock, ca, request=None):
    """Sends SSLRequest and goes over to TLS; the greeting has been read."""
    sock.sendall(request or ssl_request())
    return tls_context(ca).wrap_socket(sock, server_hostname="127.0.0.1")


class FakeServer:
    """A server whose connections are each handled by `behave(socket)`, which a test may replace.
    What behave() leaves open is closed after it. `received` has the result of each. `path`: of a
    unix socket, instead of a port."""

    def __init__(self, behave=None, path=None):
        self.behave = behave
        self.received = []
        self.accepted = 0
        self.errors = []
        family, address = (socket.AF_UNIX, path) if path else (socket.AF_INET, ("127.0.0.1", 0))
        self._listener = socket.create_server(address, family=family, backlog=128)
        self.port = None if path else self._listener.getsockname()[1]
        self.path = path
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"unix:{self.path}" if self.path else f"127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock, self.behave), daemon=True).start()

    def _serve(self, sock, behave):
        with sock:
            sock.settimeout(processes.patience(20))
            try:
                self.received.append(behave(sock))
            except (OSError, EOFError) as error:
                self.errors.append(error)

    def close(self):
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()


def accept_everybody(sock):
    """A server that believes everybody and answers every command with OK."""
    sock.sendall(greeting())
    sequence_id, _ = read_packet(sock)
    sock.sendall(packet(sequence_id + 1, OK_PAYLOAD))
    while True:
        read_packet(sock)
        sock.sendall(packet(1, OK_PAYLOAD))
