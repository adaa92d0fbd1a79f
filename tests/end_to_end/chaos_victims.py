"""Clients that stand still in each phase of a conversation, for the chaos scripts to hurt."""

import ssl

import mysql_wire as wire

ROWS, ROW = 60, 1_000_000
UPLOAD = 12_000_000
LINES = 400_000


class Victim:
    """A raw client that has come to `phase` and stands still there. finish() goes on to the good
    end, and raises where that isn't reached; end() reads what comes of a bad one."""

    CAPABILITIES = wire.CAPABILITIES | 0x80  # CLIENT_LOCAL_FILES

    def __init__(self, room, phase, tls):
        self.name = f"{phase}, {'TLS' if tls else 'plaintext'}"
        self.room, self.phase, self.tls = room, phase, tls
        self.sock = room.dial()
        self.local = self.sock.getsockname()[1]
        if phase != "before the greeting":
            self._greeted()
            getattr(self, "_" + phase.replace(" ", "_"))()

    # To the phase.

    def _greeted(self):
        self.nonce = wire.parse_greeting(wire.read_packet(self.sock)[1])[2]

    def _in_the_tls_handshake(self):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.bio = wire.tls_context(self.room.ca).wrap_bio(self.incoming, self.outgoing,
                                                           server_hostname="127.0.0.1")
        try:
            self.bio.do_handshake()
        except ssl.SSLWantReadError:
            self.hello = self.outgoing.read()
        self.sock.sendall(wire.ssl_request(capabilities=self.CAPABILITIES) + self.hello[:100])

    def _respond(self, user, auth):
        if self.tls:
            self.sock = wire.open_tls(self.sock, self.room.ca,
                                      wire.ssl_request(capabilities=self.CAPABILITIES))
        self.sock.sendall(wire.handshake_response(
            2 if self.tls else 1, user, auth, "mysql_native_password", self.CAPABILITIES))
        return wire.read_packet(self.sock)

    def _in_the_log_in(self):
        self.sequence_id, payload = self._respond("ed25519", b"x" * 20)
        if payload[:1] != b"\xfe":
            raise ValueError(f"no AuthSwitchRequest: {payload!r}")

    def _idle(self):
        account = self.room.hurt.account("native")
        auth = wire.native_scramble(account.password.encode(), self.nonce)
        _, payload = self._respond(account.user, auth)
        if payload[:1] != b"\0":
            raise ValueError(f"refused: {payload!r}")

    def _in_a_change_of_user(self):
        """The server has asked for the answer of another plugin than the one announced."""
        self._idle()
        self.change_user()
        self.sequence_id, payload = self._expect(b"\xfe")
        self.nonce = payload[-21:-1]

    def _at_a_change_of_user(self):
        """Its COM_CHANGE_USER is left to be sent, by change_user(), to a server that is frozen."""
        self._idle()

    def change_user(self):
        user = self.room.hurt.account("native").user.encode()
        self.sock.sendall(wire.packet(0, b"\x11" + user + b"\0\x14" + b"x" * 20 + b"\0"
                                      + b"\x2d\0" + b"client_ed25519\0"))

    def _in_a_result(self):
        self._idle()
        self._say("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < "
                  f"{ROWS}) SELECT REPEAT('r', {ROW}) FROM t")
        wire.read_packet(self.sock)  # One column,
        wire.read_packet(self.sock)  # which is this one;
        wire.read_packet(self.sock)  # EOF.
        wire.read_packet(self.sock)

    def _in_an_upload(self):
        self._idle()
        text = b"\x03SELECT LENGTH('" + b"u" * UPLOAD + b"')"
        whole = wire.packet(0, text)
        half = len(whole) // 2
        self.rest = whole[half:]
        self.sock.sendall(whole[:half])

    def _in_a_file(self):
        self._idle()
        for sql in ("CREATE TEMPORARY TABLE test.t (line VARCHAR(40)) ENGINE = Aria",):
            self._say(sql)
            self._expect(b"\0")
        self._say("LOAD DATA LOCAL INFILE 'lines' INTO TABLE test.t")
        self.sequence_id, _ = self._expect(b"\xfb")
        self._send_lines(LINES // 2)

    def _send_lines(self, count):
        at_once = 20_000
        for _ in range(count // at_once):
            self.sequence_id += 1
            self.sock.sendall(wire.packet(self.sequence_id, b"a line of the file\n" * at_once))

    def _say(self, sql):
        self.sock.sendall(wire.packet(0, b"\x03" + sql.encode()))

    def _expect(self, first):
        sequence_id, payload = wire.read_packet(self.sock)
        if payload[:1] != first:
            raise ValueError(f"{self.name}: {payload[:80]!r}")
        return sequence_id, payload

    def _value(self):
        """The one value of a result."""
        for _ in range(3):
            wire.read_packet(self.sock)
        row = wire.read_packet(self.sock)[1]
        wire.read_packet(self.sock)
        return row[1:].decode()

    # To the good end.

    def finish(self):
        if self.phase == "before the greeting":
            self._greeted()
            self._idle()
        elif self.phase == "in the tls handshake":
            self._end_handshake()
            self.tls_send(wire.handshake_response(2, "native", b"x" * 20, "mysql_native_password",
                                                  self.CAPABILITIES))
            return self._expect_code(self.tls_read(), 1045)
        elif self.phase == "in the log in":
            self.sock.sendall(wire.packet(self.sequence_id + 1, b"x" * 64))
            return self._expect_code(wire.read_packet(self.sock)[1], 1045)
        elif self.phase.endswith("a change of user"):
            if self.phase.startswith("at"):
                self.sequence_id, payload = self._expect(b"\xfe")
                self.nonce = payload[-21:-1]
            password = self.room.hurt.account("native").password.encode()
            self.sock.sendall(wire.packet(self.sequence_id + 1,
                                          wire.native_scramble(password, self.nonce)))
            self._expect(b"\0")
        elif self.phase == "in a result":
            rows = 1
            while len(wire.read_packet(self.sock)[1]) > 8:
                rows += 1
            self._same(rows, ROWS)
        elif self.phase == "in an upload":
            self.sock.sendall(self.rest)
            self._same(self._value(), str(UPLOAD))
        elif self.phase == "in a file":
            self._send_lines(LINES // 2)
            self.sock.sendall(wire.packet(self.sequence_id + 1, b""))
            self._expect(b"\0")
        self._say("SELECT COUNT(*) FROM test.t" if self.phase == "in a file" else "SELECT 7")
        return self._same(self._value(), str(LINES) if self.phase == "in a file" else "7")

    def _same(self, found, expected):
        if found != expected:
            raise ValueError(f"{self.name}: {found!r} instead of {expected!r}")

    def _expect_code(self, payload, code):
        self._same(wire.Err(payload).code, code)

    def _end_handshake(self):
        self.sock.sendall(self.hello[100:])
        while True:
            try:
                self.bio.do_handshake()
                return
            except ssl.SSLWantReadError:
                data = self.sock.recv(65536)
                if not data:
                    raise EOFError("closed in the TLS handshake") from None
                self.incoming.write(data)
            finally:
                self.sock.sendall(self.outgoing.read())

    def tls_send(self, data):
        self.bio.write(data)
        self.sock.sendall(self.outgoing.read())

    def tls_read(self):
        """The payload of what came inside the connection's own TLS."""
        while True:
            try:
                return self.bio.read(65536)[4:]
            except ssl.SSLWantReadError:
                data = self.sock.recv(65536)
                if not data:
                    raise EOFError("closed") from None
                self.incoming.write(data)

    # To a bad end.

    def end(self):
        """(code of the ERR packet or None, how the connection ended), after the server's death."""
        data = b""
        try:
            if self.phase == "in the tls handshake":
                self._end_handshake()
                payload = self.tls_read()
                return wire.Err(payload).code, "closed"
            data, how = wire.read_to_end(self.sock)
        except (OSError, EOFError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"
        code = wire.Err(data[4:]).code if data[4:5] == b"\xff" and len(data) < 600 else None
        return code, how

    def close(self):
        self.sock.close()

    @property
    def logged_in(self):
        return self.phase not in ("before the greeting", "in the tls handshake", "in the log in")


PHASES = ("in the tls handshake", "in the log in", "idle", "in a change of user", "in a result",
          "in an upload", "in a file")


def victims(room, phases=PHASES):
    """One in each phase, over TLS and in plaintext."""
    return [Victim(room, phase, tls) for phase in phases for tls in (True, False)
            if tls or phase != "in the tls handshake"]
