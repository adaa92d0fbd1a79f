"""What the chaos scripts share: a server to be hurt and a healthy one behind the same proxy, a
steady session on the healthy one, and the judging of what comes of victims (chaos_victims.py).
"""

import contextlib
import os
import signal
import threading
import time

import pymysql

import mysql_wire as wire
import processes
import servers
from processes import patience
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
# Bounded time: what a step that needs no time limit of the proxy's may take on a busy machine.
SOON = patience(10)
STEADY_PAUSE = 0.002
SLOWEST = patience(3)


class Room:
    """Two MariaDB servers and one proxy with a listener for each. With `log`, a file, the proxy
    doesn't say on stderr where it listens, so it is told."""

    def __init__(self, options, folder, top="", connect_timeout=2,
                 handshake_timeout=patience(6), keepalive=60, user_timeout=0, prefix=(), log=None):
        self.folder = folder
        self.authority = servers.new_authority(folder)
        self.ca = self.authority.ca
        self.hurt, self.healthy = (servers.MariaDB(folder).start() for _ in range(2))
        for server in (self.hurt, self.healthy):
            server.wait()
        self.port, self.healthy_port = processes.free_port(), processes.free_port()
        self.pair = self.authority.issue("proxy")
        config = os.path.join(folder, "chaos.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(
                top=top, ports=(self.port, self.healthy_port), pair=self.pair,
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
        """To the server that is hurt, which is setpriv's exec and so the process itself. When it is
        told to stop, all its threads have: none answers what is sent from here on."""
        self.hurt.process.send_signal(number)
        if number == signal.SIGSTOP:
            os.waitid(os.P_PID, self.hurt.process.pid, os.WSTOPPED)

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


def check_goes_on(report, name, waiting):
    """Each victim reaches its good end; all at once, because some time limits are short."""
    threads = [threading.Thread(target=report.attempt, args=(
        f"{name}: {victim.name}", finish_and_tell, report, name, victim)) for victim in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def finish_and_tell(report, name, victim):
    victim.finish()
    victim.close()
    report.check(f"{name}: {victim.name}: went on to its end", True)


def check_nothing_left(report, name, room, descriptors, connections):
    try:
        processes.wait_until(lambda: room.descriptors() <= descriptors
                             and room.open_count() == connections, SOON, "connections to go")
        problem = ""
    except TimeoutError:
        problem = (f"{room.descriptors()} descriptors, {descriptors} before; "
                   f"{room.open_count()} connections open, {connections} expected")
    report.check(f"{name}: nothing is left open", not problem, problem)
