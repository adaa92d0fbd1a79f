#!/usr/bin/python3
"""Several servers behind one listener: who gets a connection, and what when servers go.

    several_servers.py --proxy PATH [--io_engine epoll] [--only WORD]

Three real MariaDB servers are killed, stopped and started again under load. In namespaces of its
own, as connect_errors.py, where /etc/hosts is the test's, and where a server counts what it holds
against the proxy's address.
"""

import collections
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error

import pymysql

import accounts
import connect_errors
import mysql_wire as wire
import processes
import servers
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

COUNT = 3


class Room:
    """Three servers, an authority, and the proxy in front of them."""

    def __init__(self, report, options, folder, mariadbs):
        self.report, self.options, self.folder, self.servers = report, options, folder, mariadbs
        self.authority = servers.new_authority(folder)
        self.pair = self.authority.issue("proxy")
        self.account = mariadbs[0].account("native")

    def proxy(self, *arguments, server=None, **more):
        server = server or ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
        return Proxy(self.options.proxy, server, pair=self.pair, arguments=arguments,
                     io_engine=self.options.io_engine, **more)

    def connect(self, proxy, tls=False):
        return pymysql.connect(
            host="127.0.0.1", port=proxy.port, user=self.account.user,
            password=self.account.password, connect_timeout=int(processes.patience(20)),
            read_timeout=int(processes.patience(20)),
            ssl={"ca": self.authority.ca} if tls else None)

    def place(self, connection):
        """Which of the servers it is connected to."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@port")
            return [server.port for server in self.servers].index(cursor.fetchone()[0])

    def places(self, proxy, count):
        found = collections.Counter()
        for i in range(count):
            with contextlib.closing(self.connect(proxy, tls=i % 2 == 0)) as connection:
                found[self.place(connection)] += 1
        return found

    def kill(self, place):
        self.servers[place].process.kill()
        self.servers[place].process.wait()

    def restart(self, place):
        server = self.servers[place]
        server._run(os.path.join(server.folder, "data"),  # pylint: disable=protected-access
                    server.socket, server.port)
        server.wait()


def ready(proxy):
    """(status, text) of /readyz."""
    try:
        return 200, proxy.get("/readyz")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(proxy, name, server):
    found = re.search(rf'^{name}{{server="127.0.0.1:{server.port}"[^}}]*}} (\S+)$',
                      proxy.get("/metrics"), re.MULTILINE)
    return float(found.group(1)) if found else None


class Load:
    """Clients on `threads` threads that connect, ask and leave, until stop()."""

    def __init__(self, room, proxy, threads=6):
        self.room, self.proxy = room, proxy
        self.lock = threading.Lock()
        self.done = []    # (when it began, place)
        self.failed = []  # (when it began, when it failed, error)
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i % 2 == 0,))
                         for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self, tls):
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                with contextlib.closing(self.room.connect(self.proxy, tls)) as connection:
                    place = self.room.place(connection)
                with self.lock:
                    self.done.append((began, place))
            except (pymysql.err.MySQLError, OSError) as error:
                with self.lock:
                    self.failed.append((began, time.monotonic(), str(error)))

    def since(self, when):
        with self.lock:
            return (collections.Counter(place for began, place in self.done if began >= when),
                    [error for began, _, error in self.failed if began >= when])

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def policies(room):
    with room.proxy("--balance=round-robin") as proxy:
        room.report.equal("round-robin: each the same", room.places(proxy, 30),
                          {0: 10, 1: 10, 2: 10})
        room.report.equal("a server's connects are counted",
                          metric(proxy, "sallyport_server_connects_total", room.servers[1]), 10)
        room.report.equal("and how long they took",
                          metric(proxy, "sallyport_server_connect_seconds_count",
                                 room.servers[1]), 10)
    with room.proxy("--balance=first-available") as proxy:
        room.report.equal("first-available: the first alone", room.places(proxy, 6), {0: 6})
    with room.proxy("--balance=least-connections") as proxy:
        held = [room.connect(proxy) for _ in range(9)]
        by_place = collections.defaultdict(list)
        for connection in held:
            by_place[room.place(connection)].append(connection)
        room.report.equal("least-connections: level", sorted(map(len, by_place.values())),
                          [3, 3, 3])
        for connection in by_place[1][:2]:
            connection.close()
        processes.wait_until(lambda: metric(proxy, "sallyport_server_connections_open",
                                            room.servers[1]) == 1, 5, "two to end")
        held += [room.connect(proxy), room.connect(proxy)]
        room.report.equal("least-connections: who has fewest gets the next",
                          [room.place(connection) for connection in held[-2:]], [1, 1])
        for connection in held:
            with contextlib.suppress(pymysql.err.Error):
                connection.close()
        processes.wait_until(lambda: all(
            metric(proxy, "sallyport_server_connections_open", server) == 0
            for server in room.servers), 5, "all to end")


def kill_under_load(room):
    """New clients notice nothing; the log says it once."""
    with room.proxy("--balance=round-robin") as proxy:
        load = Load(room, proxy)
        try:
            time.sleep(1)
            room.kill(1)
            killed = time.monotonic()
            time.sleep(3)
            found, failed = load.since(killed + 0.1)
            room.report.check("kill -9 of one of three: no new client notices",
                              not failed and found[1] == 0 and min(found[0], found[2]) > 5,
                              f"{found}, {failed[:3]}")
            room.report.equal("it is not up", metric(proxy, "sallyport_server_up",
                                                     room.servers[1]), 0)
            room.report.equal("the proxy is ready all the same", ready(proxy)[0], 200)
            room.restart(1)
            back = proxy.wait_line(f"server is back server=127.0.0.1:{room.servers[1].port}", 20)
            room.report.check("it is back some time after its restart", back, proxy.lines[-5:])
            returned = time.monotonic()
            time.sleep(1)
            found, failed = load.since(returned)
            room.report.check("and gets its part again", not failed and found[1] > 3,
                              f"{found}, {failed[:3]}")
        finally:
            load.stop()
        said = [line for line in proxy.lines if "server is " in line]
        room.report.equal("one line when it went, one when it came", len(said), 2, str(said))


def hang_under_load(room):
    """SIGSTOP: the kernel goes on accepting connections for it, only a check finds out."""
    with room.proxy("--balance=round-robin", "--health_check_interval=0.2",
                    "--health_check_timeout=0.5") as proxy:
        load = Load(room, proxy, threads=3)
        process = room.servers[2].process
        try:
            time.sleep(0.5)
            process.send_signal(signal.SIGSTOP)
            down = proxy.wait_line("server is down .*health check: no answer in time", 5)
            room.report.check("SIGSTOP: the health check finds it", down, proxy.lines[-3:])
            noticed = time.monotonic()
            found = room.places(proxy, 20)
            room.report.check("from then on no new client waits for it",
                              set(found) == {0, 1} and min(found.values()) > 5  # The load's, too.
                              and time.monotonic() - noticed < processes.patience(3),
                              f"{found} in {time.monotonic() - noticed:.1f} s")
            process.send_signal(signal.SIGCONT)
            room.report.check("SIGCONT: it is back", proxy.wait_line("server is back", 5))
            returned = time.monotonic()
            time.sleep(1)
            found, failed = load.since(returned)
            room.report.check("and gets its part again", not failed and found[2] > 3,
                              f"{found}, {failed[:3]}")
        finally:
            process.send_signal(signal.SIGCONT)
            load.stop()


def hang_without_checks(room):
    """Where nothing checks, a hang costs a client its time; then the server is left out."""
    with room.proxy("--handshake_timeout=1") as proxy:
        process = room.servers[0].process
        try:
            process.send_signal(signal.SIGSTOP)
            with wire.dial(("127.0.0.1", proxy.port)) as sock:
                room.report.equal("SIGSTOP without checks: one client is told",
                                  wire.read_err(sock).code, 1159)
            room.report.check("the server is left out", proxy.wait_line("sent no greeting", 3))
            room.report.equal("the next client gets another", room.places(proxy, 1), {1: 1})
        finally:
            process.send_signal(signal.SIGCONT)


def all_down(room):
    with room.proxy("--balance=round-robin") as proxy:
        room.report.equal("/readyz: ready", ready(proxy), (200, "ok"))
        for place in range(COUNT):
            room.kill(place)
        began = time.monotonic()
        codes = []
        for _ in range(20):
            with wire.dial(("127.0.0.1", proxy.port)) as sock:
                codes.append(wire.read_err(sock).code)
        room.report.check("all down: 2003, at once", set(codes) == {2003}
                          and time.monotonic() - began < 5, str(codes))
        status, text = ready(proxy)
        room.report.check("/readyz: 503 with the reason", status == 503 and all(
            f"127.0.0.1:{server.port}" in text for server in room.servers), f"{status} {text}")
        said = [line for line in proxy.lines if "server is down" in line]
        room.report.equal("one line a server", len(said), COUNT, str(said))
        room.restart(0)
        # Servers that are out are tried last, but they are tried: no quarantine keeps clients out.
        room.report.equal("one is back: the very next client gets it", room.places(proxy, 1),
                          {0: 1})
        room.report.equal("/readyz: ready again", ready(proxy)[0], 200)
        for place in (1, 2):
            room.restart(place)


def kept_over_reload(room):
    """What is known of a server that stays is kept."""
    config = os.path.join(room.folder, "several.toml")
    addresses = [f"127.0.0.1:{processes.free_port()}", f"127.0.0.1:{room.servers[0].port}"]

    def write(more):
        with open(config, "w", encoding="ascii") as file:
            file.write(f'listen = "127.0.0.1:0"\nserver = {addresses}\n'
                       f'tls_cert = "{room.pair[0]}"\ntls_key = "{room.pair[1]}"\n{more}\n')
    write("")
    with Proxy(room.options.proxy, None, config=config,
               io_engine=room.options.io_engine) as proxy:
        room.report.equal("a dead first server: the second, in the same breath",
                          room.places(proxy, 3), {0: 3})
        text = proxy.get("/metrics")
        up = f'sallyport_server_up{{server="{addresses[0]}"}} 0'
        room.report.check("the first is in quarantine", up in text)
        write("connect_timeout = 3")
        start = proxy.mark()
        proxy.process.send_signal(signal.SIGHUP)
        room.report.check("a reload", proxy.wait_line(" reloaded", 5, start), proxy.lines[-3:])
        room.report.check("it still is", up in proxy.get("/metrics"))
        room.report.equal("and nobody is sent there", room.places(proxy, 1), {0: 1})
        room.report.equal("no second line of it",
                          sum("server is down" in line for line in proxy.lines), 1)


# --- Names.

def listen_as(host, port, version):
    """A server that greets with this version, until it is closed."""
    listener = socket.create_server((host, port), backlog=16)

    def serve():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError, EOFError):
                sock.sendall(wire.greeting(version=version))
                sequence_id, _ = wire.read_packet(sock)
                sock.sendall(wire.err(sequence_id + 1, 1045, "no", "28000"))
    threading.Thread(target=serve, daemon=True).start()
    return listener


def version_of(port):
    with wire.dial(("127.0.0.1", port)) as sock:
        return wire.parse_greeting(wire.read_packet(sock)[1])[0]


def write_hosts(*lines):
    """In place: the file is a mount."""
    with open("/etc/hosts", "w", encoding="ascii") as file:
        file.write("127.0.0.1 localhost\n" + f"{connect_errors.HOST} edge.example\n"
                   + "".join(line + "\n" for line in lines))


def names(room):
    port = processes.free_port()
    old = listen_as("127.0.0.2", port, "9.0.0-old")
    new = listen_as("127.0.0.3", port, "9.0.0-new")
    write_hosts("127.0.0.2 db.example")
    with room.proxy("--resolve_interval=0.2", server=f"db.example:{port}") as proxy:
        room.report.equal("a name: its address at the start", version_of(proxy.port), "9.0.0-old")
        kept = wire.dial(("127.0.0.1", proxy.port))
        wire.read_packet(kept)
        write_hosts("127.0.0.3 db.example")
        room.report.check("a new address is told", proxy.wait_line(
            f"server's name looked up name=db.example:{port} addresses=127.0.0.3", 5),
            proxy.lines[-3:])
        time.sleep(processes.patience(0.2))  # It is told before the workers are.
        room.report.equal("new clients get it", version_of(proxy.port), "9.0.0-new")
        kept.sendall(wire.handshake_response(1))
        room.report.equal("an old connection stays", wire.read_err(kept).code, 1045)
        write_hosts()
        start = proxy.mark()
        room.report.check("a name that is gone is told", proxy.wait_line(
            "server's name can't be looked up", 10, start), proxy.lines[-3:])
        time.sleep(1)
        room.report.equal("and the old address stays", version_of(proxy.port), "9.0.0-new")
        room.report.equal("in one line", sum("can't be looked up" in line
                                             for line in proxy.lines), 1)
        write_hosts("127.0.0.3 db.example", "127.0.0.2 db.example")
        room.report.check("it is back, with one address more", proxy.wait_line(
            "looked up .*127.0.0.2:\\d+,127.0.0.3", 10, start), proxy.lines[-3:])
    write_hosts("127.0.0.2 db.example")
    with room.proxy("--resolve_interval=3600", server=f"db.example:{port}") as proxy:
        room.report.equal("an hour's interval", version_of(proxy.port), "9.0.0-old")
        write_hosts("127.0.0.3 db.example")
        old.shutdown(socket.SHUT_RDWR)  # close() alone leaves the accept that waits.
        old.close()
        time.sleep(5)
        with wire.dial(("127.0.0.1", proxy.port)) as sock:
            room.report.equal("the server goes", wire.read_err(sock).code, 2003)
        room.report.check("a failure is a reason to look", proxy.wait_line("looked up", 8),
                          proxy.lines[-3:])
        room.report.equal("and the next client gets the new one", version_of(proxy.port),
                          "9.0.0-new")
    new.close()


# --- What a server holds against us.

def checks_and_max_connect_errors(room):
    limit = 4
    with servers.MariaDB(room.folder, extra=[
            f"--bind-address={connect_errors.HOST}", f"--max-connect-errors={limit}",
            "--performance-schema=ON", "--skip-name-resolve=OFF"]).start() as server:
        server.wait()

        def aborted():
            return int(server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_connects'").split()[1])
        with room.proxy("--health_check_interval=0.05",
                        server=f"{connect_errors.HOST}:{server.port}") as proxy:
            before = aborted()
            time.sleep(3)
            checks = aborted() - before
            room.report.check("health checks come to their end", checks > 5 * limit, str(checks))
            room.report.equal("max_connect_errors doesn't count them",
                              connect_errors.errors_counted(server), 0)
            room.report.check("the host isn't blocked", not connect_errors.is_blocked(
                (connect_errors.HOST, server.port)))
            room.report.check("the server is up all the time", not any(
                "server is" in line for line in proxy.lines), proxy.lines[-3:])
            with contextlib.closing(room.connect(proxy)):
                pass


def pinned_key(room):
    with servers.MySQL(room.folder).start() as server:
        server.wait()
        account = server.account(accounts.cold_user("pymysql"))
        key = os.path.join(server.folder, "data", "public_key.pem")
        other = os.path.join(room.folder, "other.pem")
        subprocess.run(["openssl", "genrsa", "-out", other + ".key", "2048"], check=True,
                       capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", other + ".key", "-pubout", "-out", other],
                       check=True, capture_output=True)

        def log_in(proxy):
            try:
                pymysql.connect(host="127.0.0.1", port=proxy.port, user=account.user,
                                password=account.password,
                                ssl={"ca": room.authority.ca}).close()
                return 0, ""
            except pymysql.err.OperationalError as error:
                return error.args
        address = f"127.0.0.1:{server.port}"
        with room.proxy(f"--server_public_key={other}", server=address) as proxy:
            code, text = log_in(proxy)
            room.report.check("another key than the pinned one: refused, by the option's name",
                              code == 1045 and "server_public_key" in text, f"{code} {text}")
            room.report.check("and told", proxy.wait_line("warning .*reason=server_key_differs"),
                              proxy.lines[-2:])
        with room.proxy(f"--server_public_key={key}", server=address) as proxy:
            room.report.equal("the pinned key: a log-in", log_in(proxy), (0, ""))
            room.report.equal("mediated", proxy.wait_line("mediated=yes") is not None, True)
        done = subprocess.run([room.options.proxy, "--server", address, "--listen", "127.0.0.1:0",
                               "--server_public_key", room.pair[0], "--check_config"],
                              check=False, capture_output=True, text=True)
        room.report.check("a file that holds no key", done.returncode == 2
                          and "server_public_key" in done.stderr, done.stderr)


def run_inside(options):
    report = Report()
    with processes.test_folder() as folder:
        connect_errors.set_up_network(folder)
        with contextlib.ExitStack() as stack:
            mariadbs = [stack.enter_context(servers.MariaDB(folder).start())
                        for _ in range(COUNT)]
            for server in mariadbs:
                server.wait()
            room = Room(report, options, folder, mariadbs)
            for check in (policies, kill_under_load, hang_under_load, hang_without_checks,
                          kept_over_reload, all_down, names, checks_and_max_connect_errors,
                          pinned_key):
                if options.only not in check.__name__:
                    continue
                began = time.monotonic()
                try:
                    report.attempt(check.__name__, check, room)
                except processes.Skipped as reason:
                    print(f"SKIPPED: {check.__name__}: {reason}")
                print(f"        {check.__name__}: {time.monotonic() - began:.1f} s")
    return report.exit_code()


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    if os.environ.get(connect_errors.INSIDE):
        return run_inside(options)
    return connect_errors.enter_namespaces()


if __name__ == "__main__":
    processes.run_main(main)
