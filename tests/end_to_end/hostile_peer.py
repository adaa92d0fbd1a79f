"""A raw client that can do everything wrong, on every link, and knows how far it got."""

import os
import socket
import ssl
import time

import mysql_wire as wire
import processes
import tls_records as tls
from hostile import Seen, Wrong
from tls_records import Forger

PATIENCE = processes.patience(15)  # Seconds to read for an end; then it is "open".
PLUGIN = "mysql_native_password"


class Room:
    """What peers share: the account to log in with, the authority to believe."""

    def __init__(self, folder, ca, user, password):
        self.folder, self.ca, self.user, self.password = folder, ca, user, password.encode()
        self.lines = 0


class Peer:
    """One client; `version` is "", "12" or "13" for its TLS."""

    def __init__(self, room, port, source, version=""):
        self.room, self.version, self.source = room, version, source
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tls = None
        self.shaken = False  # The TLS handshake is finished.
        self.last_id = -1    # The sequence id last seen or sent.
        self.nonce = b""
        self.data = bytearray()  # Received plaintext that nobody has read.
        self.how = ""        # How the peer ended it.
        self.ending = False   # Nothing more will be done but reading.
        self.forger = None
        self.records = 0     # That were sent since the handshake (1.2: behind Finished).
        self._hello = b""    # The first bytes of the server in TLS.

    # --- Bytes.
    def raw(self, data):
        self.sock.sendall(data)

    def say(self, data):
        if self.tls is None:
            return self.raw(data)
        if self.forger:
            return self.raw(self.forge(tls.APPLICATION_DATA, data))
        self.tls.write(data)
        return self.flush()

    def packet(self, payload, sequence_id=None):
        """Sends it as the next packet, or under another number."""
        number = self.last_id + 1 if sequence_id is None else sequence_id
        self.last_id = number & 255
        self.say(wire.packet(number, payload))

    def flush(self):
        data = self.outgoing.read()
        if self.shaken:
            self.records += tls.count_records(data)
        self.raw(data)

    def receive(self):
        """More of the peer's bytes into `data`; False at the end, and then `how` is set."""
        if self.how:
            return False
        try:
            more = self.sock.recv(65536)
        except ConnectionResetError:
            self.how = "RST"
            return False
        except TimeoutError:
            self.how = "open"
            return False
        if self.tls is None:
            self.data += more
            if not more:
                self.how = "FIN"
            elif self.data[:2] == b"\x15\x03" and len(self.data) == 7:  # No packet is so long.
                self.how = "alert " + tls.alert_name(self.data[6])
                self.data.clear()
            return bool(more) and not self.how
        return self._receive_tls(more)


    def _receive_tls(self, more):
        if len(self._hello) < 64:
            self._hello += more
        if more:
            self.incoming.write(more)
        else:
            self.incoming.write_eof()
        if self.ending and not self.shaken:
            self.step_tls()  # For the alert behind the server's flight.
        try:
            while self.shaken:
                part = self.tls.read(1 << 14)
                if not part:
                    self.how = "close_notify"
                    break
                self.data += part
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.how = "close_notify"
        except ssl.SSLEOFError:
            self.how = "FIN"
        except ssl.SSLError as error:
            self.how = error_text(error)
        if not more and not self.how:
            self.how = "FIN"
        return not self.how

    def read_packet(self):
        while True:
            if len(self.data) >= 4:
                end = 4 + int.from_bytes(self.data[:3], "little")
                if len(self.data) >= end:
                    payload = bytes(self.data[4:end])
                    self.last_id = self.data[3]
                    del self.data[:end]
                    return payload
            if not self.receive():
                raise Wrong(f"the connection ended too soon: {self.how}, {bytes(self.data[:60])!r}")

    def read_answer(self):
        """The packets of an answer to a query, up to its end."""
        payload = self.read_packet()
        if payload[:1] in (b"\0", b"\xff"):
            return payload
        ends = 0
        while ends < 2:
            row = self.read_packet()
            ends += row[:1] == b"\xfe" and len(row) < 9
        return row

    # --- The way in.
    def read_greeting(self):
        payload = self.read_packet()
        self.nonce = wire.parse_greeting(payload)[2]

    def ssl_request(self):
        self.last_id += 1
        self.raw(wire.ssl_request(self.last_id))

    def begin_tls(self):
        """The library makes a ClientHello, which is returned."""
        context = wire.tls_context(self.room.ca)
        version = ssl.TLSVersion.TLSv1_2 if self.version == "12" else ssl.TLSVersion.TLSv1_3
        context.minimum_version = context.maximum_version = version
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # That is what we want to see.
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        self.key_log = os.path.join(self.room.folder, f"keys-{self.source}")
        context.keylog_filename = self.key_log
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.step_tls()
        return self.outgoing.read()

    def step_tls(self):
        try:
            self.tls.do_handshake()
            self.shaken = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.how = error_text(error)

    def finish_tls(self):
        self.step_tls()
        while not self.shaken and not self.how:
            self.raw(self.outgoing.read())
            if self.receive() or not self.how:
                self.step_tls()
        if self.how:
            raise Wrong(f"the TLS handshake ended: {self.how}")
        self.raw(self.outgoing.read())

    def forge(self, kind, data, damage=False):
        if self.forger is None:
            with open(self.key_log, encoding="ascii") as file:
                self.forger = Forger(file.read(), self.tls.cipher()[0], self._hello[11:43],
                                     self.records + (self.version == "12"))
        return self.forger.record(kind, data, damage)

    def response(self, plugin=PLUGIN):
        auth = wire.native_scramble(self.room.password, self.nonce) if plugin == PLUGIN else b"x"
        return wire.handshake_response(0, self.room.user, auth, plugin)[4:]

    def log_in(self):
        self.packet(self.response())
        answer = self.read_packet()
        if answer[:1] != b"\0":
            raise Wrong(f"the log-in was answered by {answer[:60]!r}")

    def query(self, sql=b"SELECT 1"):
        self.packet(b"\x03" + sql, 0)
        answer = self.read_answer()
        if answer[:1] == b"\xff":
            raise Wrong(f"the query was answered by {wire.Err(answer)}")

    # --- The end.
    def end(self):
        """Reads to the end."""
        began = time.monotonic()
        next_id = (self.last_id + 1) & 255
        shaken, self.ending = self.shaken, True
        while self.receive():
            pass
        return Seen(bytes(self.data), self.how, time.monotonic() - began, next_id, shaken)


def error_text(error):
    """The alert in one of OpenSSL's errors: TLSV1_ALERT_DECODE_ERROR, ..."""
    reason = (error.reason or "").lower().replace("tlsv13", "tlsv1")
    if isinstance(error, ssl.SSLEOFError) or "unexpected_eof" in reason or not reason:
        return "FIN"
    return "alert " + reason.split("alert_")[1] if "alert_" in reason else "TLS: " + reason
