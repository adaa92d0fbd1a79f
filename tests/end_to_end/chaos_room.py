"""What the chaos scripts share: a server to be hurt and a healthy one behind the same proxy, a
steady session on the healthy one, and victims that stand still in each phase of a conversation.
"""

import contextlib
import os
import signal
import ssl
import threading
import time

import pymysql

import mysql_wire as wire
import processes
import servers
from proxy import Proxy

CONFIG = """workers = 2
{top}
[[listener]]
name = "hurt"
listen = "127.0.0.1:{ports[0]}"
server = "{hurt}"
tls_cert = "{pair[0]}"
tls_key = "{pair[1]}"
connect_timeout = {connect_timeout}
handshake_timeout = {handshake_timeout}
keepalive_idle = {keepalive}
keepalive_interval = 1
keepalive_count = 2
user_timeout = {user_timeout}

[[listener]]
name = "healthy"
listen = "127.0.0.1:{ports[1]}"
server = "{healthy}"
tls_cert = "{pair[0]}"
tls_key = "{pair[1]}"
"""
ROWS, ROW = 60, 1_000_000
UPLOAD = 12_000_000
LINES = 400_000
# Bounded time: what a step that needs no time limit of the proxy's may take on a busy machine.
SOON = 10
STEADY_PAUSE = 0.002
SLOWEST = 3


class Room:
    """Two MariaDB servers and one proxy with a listener for each. With `log`, a file, the proxy
    doesn't say on stderr where it listens, so it is told."""

    def __init__(self, options, folder, top="", connect_timeout=2, handshake_timeout=4,
                 keepalive=60, user_timeout=0, prefix=(), log=None):
        self.folder = folder
        self.authority = servers.new_authority(folder)
        self.ca = self.authority.ca
        self.hurt, self.healthy = (servers.MariaDB(folder).start() for _ in range(2))
        for server in (self.hurt, self.healthy):
            server.wait()
        self.port, self.healthy_port = processes.free_port(), processes.free_port()
        config = os.path.join(folder, "chaos.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(
                top=top, ports=(self.port, self.healthy_port), pair=self.authority.issue("proxy"),
                hurt=f"127.0.0.1:{self.hurt.port}", healthy=f"127.0.0.1:{self.healthy.port}",
                connect_timeout=connect_timeout, handshake_timeout=handshake_timeout,
                keepalive=keepalive, user_timeout=user_timeout))
        admin = processes.free_port()
        arguments = ["--admin", f"127.0.0.1:{admin}", "--log_file", log] if log else []
        self.proxy = Proxy(options.proxy, None, config=config, io_engine=options.io_engine,
                           prefix=prefix, arguments=arguments, wait=not log)
        if log:
            self.proxy.admin_port = admin
            processes.wait_until(self._listens, SOON, "the proxy")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.proxy.__exit__(*error)
        self.hurt.stop()
        self.healthy.stop()

    def _listens(self):
        try:
            return self.open_count() == 0 and not self.dial().close()
        except OSError:
            return False

    def signal(self, number):
        """To the server that is hurt, which is setpriv's exec and so the process itself."""
        self.hurt.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.hurt.process.wait()

    def restart(self):
        """On the same data and port, after its death."""
        self.hurt._run(os.path.join(self.hurt.folder, "data"), self.hurt.socket, self.hurt.port)
        self.hurt.wait()

    def dial(self):
        return wire.dial(("127.0.0.1", self.port), SOON)

    def descriptors(self):
        """Without pipes: a worker keeps some for the next bulk, a bounded number."""
        folder = f"/proc/{self.proxy.process.pid}/fd"
        found = []
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(os.path.join(folder, number)))
        return sum(not name.startswith("pipe:") for name in found)

    def open_count(self):
        return self.metric("sallyport_connections_open")

    def metric(self, name):
        return next(int(float(line.split()[-1])) for line in self.proxy.get("/metrics").splitlines()
                    if line.startswith(name + " "))


class Steady:
    """A session of PyMySQL on the healthy server, over TLS, that asks one query after another."""

    def __init__(self, room):
        self.session = self.open(room)
        self.count, self.slowest, self.error = 0, 0.0, ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    @staticmethod
    def open(room):
        account = room.healthy.account("native")
        return pymysql.connect(
            host="127.0.0.1", port=room.healthy_port, user=account.user, read_timeout=SOON,
            password=account.password, ssl_ca=room.ca, ssl_verify_cert=True)

    def _ask(self):
        cursor = self.session.cursor()
        try:
            while not self._over.is_set():
                began = time.monotonic()
                # Every hundredth brings bulk.
                size = 300_000 if self.count % 100 == 0 else 10
                cursor.execute(f"SELECT {self.count}, REPEAT('s', {size})")
                if cursor.fetchall() != ((self.count, "s" * size),):
                    raise ValueError("a wrong answer")
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.count += 1
                time.sleep(STEADY_PAUSE)
            self.session.close()
        except Exception as error:  # pylint: disable=broad-except
            self.error = f"query {self.count}: {type(error).__name__}: {error}"

    def check(self, report, name):
        """Since the last call: it went on, nothing failed, nothing took long."""
        count = self.count
        processes.wait_until(lambda: self.error or self.count > count, SOON, "the steady session")
        report.check(f"{name}: the session beside it noticed nothing",
                     not self.error and self.slowest < SLOWEST,
                     self.error or f"one query took {self.slowest:.1f} s")
        print(f"        ({self.count} queries, the slowest {self.slowest * 1000:.0f} ms)")
        self.slowest = 0.0

    def end(self):
        self._over.set()
        self._thread.join(SOON)


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


PHASES = ("in the tls handshake", "in the log in", "idle", "in a result", "in an upload",
          "in a file")


def victims(room, phases=PHASES):
    """One in each phase, over TLS and in plaintext."""
    return [Victim(room, phase, tls) for phase in phases for tls in (True, False)
            if tls or phase != "in the tls handshake"]


def check_ends(report, name, room, hurt, mark, expected, within=SOON):
    """Each victim comes to its end in time, with the ERR packet that it must get where it hasn't
    logged in, and each leaves one line. `expected(victim)` is (codes, reasons)."""
    began = time.monotonic()
    ends = [None] * len(hurt)

    def wait_for(number):
        ends[number] = (*hurt[number].end(), time.monotonic() - began)
        hurt[number].close()
    waiting = [threading.Thread(target=wait_for, args=(number,)) for number in range(len(hurt))]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join(within + SOON)
    for victim, end in zip(hurt, ends):
        codes, reasons = expected(victim)
        good = (end and end[0] in codes and "still open" not in end[1] and "Timeout" not in end[1]
                and end[2] < within)
        report.check(f"{name}: {victim.name}: the right end in time", good,
                     f"{end}; expected {codes}")
        pattern = rf"client=127\.0\.0\.1:{victim.local} .*reason=({'|'.join(reasons)})( |$)"
        line = room.proxy.wait_line(pattern, SOON, mark)
        others = [line for line in room.proxy.lines[mark:] if f":{victim.local} " in line]
        report.check(f"{name}: {victim.name}: one line, with the reason",
                     line and len(others) == 1, f"{others}; expected {reasons}")


def check_nothing_left(report, name, room, descriptors, connections):
    try:
        processes.wait_until(lambda: room.descriptors() <= descriptors
                             and room.open_count() == connections, SOON, "connections to go")
        problem = ""
    except TimeoutError:
        problem = (f"{room.descriptors()} descriptors, {descriptors} before; "
                   f"{room.open_count()} connections open, {connections} expected")
    report.check(f"{name}: nothing is left open", not problem, problem)
