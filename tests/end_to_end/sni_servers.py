#!/usr/bin/python3
"""A server by SNI: one listener, and a group of servers for each name that clients ask for.

    sni_servers.py --proxy PATH [--io_engine epoll] [--only WORD]

Two real MariaDB servers and, where it can be had, a MySQL. Each knows the same user by another
password, so that a log-in proves which one it came to. In namespaces of its own, where /etc/hosts
has the names.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
import time
import urllib.error

import pymysql

import accounts
import clients
import connect_errors
import mysql_wire as wire
import processes
import servers
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

A, B, C = "a.example.com", "b.example.com", "any.mysql.example.com"
NOBODY = "nobody.example.com"
NAMES = (A, B, C, NOBODY)
USER = "tenant"

# Those that send no name, whatever host they are told: they get the default. (Nor do MariaDB's
# driver for Node.js and its Connector/J before 3, unless they are told to.)
SILENT = ("mariadb", "perl", "ruby", "node-mariadb", "connector-j")
# What all servers of the listener have is offered, and MariaDB has no zstd.
NOT_OFFERED = ("mysql-zstd",)


class Room:
    """The servers by name, an authority, and the proxy in front of them. The default is A's."""

    def __init__(self, report, options, folder, by_name):
        self.report, self.options, self.folder, self.servers = report, options, folder, by_name
        self.authority = servers.new_authority(folder)
        self.pair = self.authority.issue("proxy", dns=("localhost", *NAMES))
        self.accounts = {}
        for name, server in by_name.items():
            auth = ("WITH caching_sha2_password BY '{password}'" if server.name == "mysql"
                    else "VIA mysql_native_password USING PASSWORD('{password}')")
            account = accounts.Account(USER, auth, f"of-{name}", "")
            second = dataclasses.replace(account, user="second_tenant", password=f"second-{name}")
            for each in (account, second):
                server.sql(each.sql())
            self.accounts[name] = (account, second)
        self.accounts["native"] = (by_name[A].account("native"),)  # Which both MariaDBs have.

    def flags(self, **changed):
        """The listener's, with another server for some of the names."""
        addresses = {name: f"127.0.0.1:{server.port}" for name, server in self.servers.items()}
        addresses.update(changed)
        addresses.pop(A, None)
        if C in addresses:
            addresses["*.mysql.example.com"] = addresses.pop(C)
        return [f"--sni_server={name}={address}" for name, address in addresses.items()]

    def proxy(self, *arguments, server=None, flags=None):
        return Proxy(self.options.proxy, server or f"127.0.0.1:{self.servers[A].port}",
                     pair=self.pair, io_engine=self.options.io_engine,
                     arguments=[*(self.flags() if flags is None else flags), *arguments])

    def connect(self, proxy, name, account_of=None, tls=True, **more):
        account = self.accounts[account_of or name][0]
        return pymysql.connect(
            host=name, port=proxy.port, user=account.user, password=account.password,
            connect_timeout=20, read_timeout=20, ssl={"ca": self.authority.ca} if tls else None,
            **more)

    def port_behind(self, *arguments, **more):
        with contextlib.closing(self.connect(*arguments, **more)) as connection:
            return one(connection, "SELECT @@port")

    def error(self, *arguments, **more):
        """The number of the error that a log-in ends with; 0: it does not."""
        try:
            self.connect(*arguments, **more).close()
            return 0
        except pymysql.err.OperationalError as error:
            return error.args[0]

    def restart(self, name):
        server = self.servers[name]
        server._run(os.path.join(server.folder, "data"),  # pylint: disable=protected-access
                    server.socket, server.port)
        server.wait()

    def kill(self, name):
        self.servers[name].process.kill()
        self.servers[name].process.wait()


def one(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def run_client(room, proxy, client, name):
    """All that it does elsewhere at the server of B's name, and logs in at the others'; where it
    sends no name, the least that shows that. (matrix.py --greets has all of it.)"""
    told = A if client.name in SILENT else name
    account, second = room.accounts[told]
    address, more = (name, proxy.port), {}
    if client.name.startswith("mysql"):  # The command line is told the name.
        address, more = ("127.0.0.1", proxy.port), {"sni": name}
    operations = client.operations
    if client.name in SILENT:
        operations = ("login", "batch") if client.name == "connector-j" else ("login",)
    elif name != B:
        operations = [each for each in operations if each in ("login", "change_user")]
    start = proxy.mark()
    for operation in operations:
        room.servers[told].forget_passwords()
        ok, text = client.run(operation, address, account, room.authority.ca, second, **more)
        room.report.check(f"{client.name} to {name}: {operation}", ok, text)

    def lines():
        return [line for line in proxy.connections(start) if line.get("login") == "ok"]
    logins = sum(operation != "wrong_password" for operation in operations)
    with contextlib.suppress(TimeoutError):
        processes.wait_until(lambda: len(lines()) >= logins, 5, "its lines")
    found = {(line["server"], line["sni"]) for line in lines()}
    expected = (f"127.0.0.1:{room.servers[told].port}", "" if client.name in SILENT else name)
    room.report.equal(f"{client.name} to {name}: who served it, by what name", found, {expected})


def every_client(room):
    """By its driver's own means each reaches the server that it names."""
    with room.proxy("--handshake_timeout=60") as proxy:
        for client in clients.ready():
            if client.name in NOT_OFFERED:
                continue
            for name in [B] if client.name in SILENT else room.servers:
                run_client(room, proxy, client, name)


def choice(room):
    with room.proxy("--balance=round-robin", flags=[
            *room.flags(), f"--sni_server={NOBODY}=127.0.0.1:{room.servers[A].port}",
            f"--sni_server={NOBODY}=127.0.0.1:{room.servers[B].port}"]) as proxy:
        ports = {name: server.port for name, server in room.servers.items()}
        for name in ports:
            room.report.equal(f"{name}: its server", room.port_behind(proxy, name), ports[name])
        room.report.equal("plaintext: the default", room.port_behind(proxy, B, A, tls=False),
                          ports[A])
        room.report.equal("an unknown name: the default",
                          room.port_behind(proxy, "localhost", A), ports[A])
        room.report.equal("another server's password: 1045", room.error(proxy, B, A), 1045)
        room.report.equal("and on plaintext", room.error(proxy, B, B, tls=False), 1045)
        turns = []
        for _ in range(6):
            turns.append(room.port_behind(proxy, NOBODY, "native"))
            room.port_behind(proxy, A)  # Another group's turn is none of this one's.
        room.report.equal("a name with two servers: each in turn", turns,
                          [ports[A], ports[B]] * 3)


def thread_ids(room):
    """Whoever kills by the greeting's id kills nobody; the server's own id goes on working."""
    with room.proxy() as proxy, \
            contextlib.closing(room.connect(proxy, A)) as first, \
            contextlib.closing(room.connect(proxy, A)) as second:
        told = first.thread_id()
        room.report.check("the greeting's id is no server's", told >= 1 << 31
                          and second.thread_id() != told, f"{told}, {second.thread_id()}")
        for what, kill in (("KILL QUERY", lambda: one(second, f"KILL QUERY {told}")),
                           ("COM_PROCESS_KILL", lambda: second.kill(told))):
            try:
                kill()
                number = 0
            except pymysql.err.MySQLError as error:
                number = error.args[0]
            room.report.equal(f"{what} with it: unknown thread id", number, 1094)
        room.report.equal("and nothing is killed", one(first, "SELECT 7"), 7)
        own = one(first, "SELECT CONNECTION_ID()")
        results = []

        def sleep():
            try:
                results.append(one(first, "SELECT SLEEP(20)"))
            except pymysql.err.MySQLError as error:
                results.append(error.args[0])
        sleeper = threading.Thread(target=sleep)
        sleeper.start()
        time.sleep(0.5)
        with contextlib.suppress(TypeError):  # It has no row.
            one(second, f"KILL QUERY {own}")
        sleeper.join(10)
        room.report.check("KILL QUERY with CONNECTION_ID(): killed",
                          results and results[0] in (1, 1317), str(results))


def servers_down(room):
    with room.proxy("--connect_timeout=3") as proxy:
        room.report.equal("both up", (room.error(proxy, A), room.error(proxy, B)), (0, 0))
        room.kill(B)
        start = proxy.mark()
        room.report.equal("a group that is down: 2003", room.error(proxy, B), 2003)
        line = proxy.wait_line("reason=server_unreachable", start=start)
        room.report.check("its line names that server",
                          f"server=127.0.0.1:{room.servers[B].port}" in (line or ""), line)
        room.report.equal("the other goes on", room.error(proxy, A), 0)
        room.restart(B)
        room.report.equal("it is back: the very next client gets it", room.error(proxy, B), 0)
        room.kill(A)
        room.report.equal("the default is down: 2003", room.error(proxy, A), 2003)
        room.report.equal("B's clients are greeted all the same", room.error(proxy, B), 0)
        room.restart(A)
    dead = f"127.0.0.1:{processes.free_port()}"
    flags = [f"--sni_server={A}={dead}", f"--sni_server={B}={dead}"]
    with room.proxy("--connect_timeout=3", flags=flags, server=dead) as proxy:
        began = time.monotonic()
        codes = []
        for _ in range(5):
            with wire.dial(("127.0.0.1", proxy.port)) as sock:
                codes.append(wire.read_err(sock).code)
        room.report.check("no greeting is known and no server is up: 2003, soon",
                          set(codes) == {2003} and time.monotonic() - began < 3, str(codes))
        try:
            status = proxy.get("/readyz")
        except urllib.error.HTTPError as error:
            status = error.code
        room.report.equal("/readyz: 503", status, 503)


def first_client(room):
    """The proxy's first client comes before the servers' greetings are known, and is served."""
    for _ in range(3):
        with room.proxy(flags=room.flags()) as proxy:
            room.report.equal("a client right after the start", room.error(proxy, B), 0)


def bad_clients(room):
    """Who never logs in never reaches a server."""
    with room.proxy("--handshake_timeout=1") as proxy:
        room.connect(proxy, A).close()
        before = connections(room)
        bad = [act for name, act in connect_errors.BAD_CLIENTS.items()
               if not name.startswith("a log-in")]
        for act in bad:
            with contextlib.suppress(OSError, EOFError):
                act(("127.0.0.1", proxy.port))
        processes.wait_until(lambda: len(proxy.connections()) == 1 + len(bad), 5, "all to end")
        # Each look is one itself.
        room.report.equal("bad clients: none reaches a server",
                          [now - then for now, then in zip(connections(room), before)], [1, 1])
        servers_named = {line["server"] for line in proxy.connections()[1:]}
        room.report.equal("their lines name none", servers_named, {"none"})
        old = wire.CAPABILITIES & ~wire.CLIENT_PLUGIN_AUTH
        with wire.dial(("127.0.0.1", proxy.port)) as sock:
            wire.read_packet(sock)
            sock.sendall(wire.handshake_response(1, user=USER, capabilities=old))
            room.report.equal("a client without CLIENT_PLUGIN_AUTH is told",
                              wire.read_err(sock).code, 1251)


def connections(room):
    """How many the MariaDB servers have had."""
    sql = "SHOW GLOBAL STATUS LIKE 'Connections'"
    return [int(room.servers[name].sql(sql).split()[1]) for name in (A, B)]


def interrupted(room):
    """Ctrl-C in `mariadb`: the query goes on, and nobody else's ends."""
    with room.proxy() as proxy, contextlib.closing(room.connect(proxy, A)) as other:
        account = room.accounts[A][0]
        client = processes.start(
            ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={proxy.port}",
             f"--user={account.user}", f"--ssl-ca={room.authority.ca}", "--batch",
             "--skip-column-names", "-e", "SELECT SLEEP(2), 'to its end'"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, MYSQL_PWD=account.password))
        time.sleep(0.7)
        client.send_signal(signal.SIGINT)
        out, _ = client.communicate(timeout=20)
        room.report.check("Ctrl-C in mariadb: nobody else is hit", one(other, "SELECT 7") == 7,
                          out.decode())


def reloaded(room):
    config = os.path.join(room.folder, "sni.toml")
    port_a, port_b = room.servers[A].port, room.servers[B].port

    def write(entries):
        with open(config, "w", encoding="ascii") as file:
            file.write(f'listen = "127.0.0.1:0"\nserver = "127.0.0.1:{port_a}"\n'
                       f'tls_cert = "{room.pair[0]}"\ntls_key = "{room.pair[1]}"\n'
                       f'sni_server = [\n  {entries}]\n')
    write(f'"{B}=127.0.0.1:{port_a}"')
    with Proxy(room.options.proxy, None, config=config,
               io_engine=room.options.io_engine) as proxy:
        room.report.equal("before", room.port_behind(proxy, B, A), port_a)
        write(f'"{B}=127.0.0.1:{port_b}"')
        proxy.process.send_signal(signal.SIGHUP)
        room.report.check("a reload", proxy.wait_line(" reloaded", 5), proxy.lines[-3:])
        room.report.equal("after", room.port_behind(proxy, B), port_b)
        write(f'"*.com=127.0.0.1:{port_b}"')
        proxy.process.send_signal(signal.SIGHUP)
        line = proxy.wait_line("reload refused", 5)
        room.report.check("a name that is none: refused, with file, line and key",
                          "sni.toml:6: sni_server" in (line or ""), line)
        room.report.equal("what was in force stays", room.port_behind(proxy, B), port_b)


def run_inside(options):
    report = Report()
    with processes.test_folder() as folder:
        connect_errors.set_up_network(folder)
        with open("/etc/hosts", "a", encoding="ascii") as hosts:  # In place: the file is a mount.
            hosts.write("".join(f"127.0.0.1 {name}\n" for name in NAMES))
        with contextlib.ExitStack() as stack:
            by_name = {}
            for name, kind in ((A, servers.MariaDB), (B, servers.MariaDB), (C, servers.MySQL)):
                try:
                    by_name[name] = stack.enter_context(kind(folder).start())
                except processes.Skipped as reason:
                    print(f"SKIPPED: {name}: {reason}")
            for server in by_name.values():
                server.wait()
            room = Room(report, options, folder, by_name)
            report.attempt_each((choice, first_client, thread_ids, interrupted, servers_down,
                                 bad_clients, reloaded, every_client), options.only, room)
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
