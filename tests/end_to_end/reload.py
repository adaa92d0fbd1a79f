#!/usr/bin/python3
"""One configuration file: several listeners, and what SIGHUP makes of the file's next version.

    reload.py --proxy PATH [--io_engine epoll] [--seconds 6] [--only WORD]

Most checks play clients and servers by raw sockets; one reloads for `--seconds` under sysbench and
a storm of real clients, and neither may notice.
"""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import certificates
import leaks
import life_cycle
import mysql_wire as wire
import processes
import servers
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

HERE = os.path.dirname(os.path.realpath(__file__))
LISTENER = """[[listener]]
name = "{name}"
listen = "127.0.0.1:{port}"
server = "{server}"
tls_cert = "{pair[0]}"
tls_key = "{pair[1]}"
{more}
"""


def named_server(version):
    """A server that believes everybody and tells by its version which one it is."""
    def behave(sock):
        sock.sendall(wire.greeting(version=version))
        sequence_id, _ = wire.read_packet(sock)
        sock.sendall(wire.packet(sequence_id + 1, wire.OK_PAYLOAD))
        while True:
            wire.read_packet(sock)
            sock.sendall(wire.packet(1, wire.OK_PAYLOAD))
    return wire.FakeServer(behave)


def version_of(port):
    with wire.dial(("127.0.0.1", port)) as sock:
        return wire.parse_greeting(wire.read_packet(sock)[1])[0]


def trusts(port, authority):
    """Whether the proxy's certificate is of this authority."""
    try:
        life_cycle.log_in(port, authority.ca).close()
        return True
    except OSError:
        return False


class Room:
    """Two authorities, two servers, and a file with a listener for each."""

    def __init__(self, report, options, folder, a, b):
        self.report, self.options, self.folder = report, options, folder
        self.servers = (a, b)
        self.authorities = tuple(certificates.Authority(folder, f"authority {name}")
                                 for name in "ab")
        self.pairs = tuple(authority.issue(f"pair-{name}")
                           for authority, name in zip(self.authorities, "ab"))
        self.config = os.path.join(folder, "sallyport.toml")
        self.ports = (processes.free_port(), processes.free_port())
        self.write()

    def write(self, server_of=(0, 1), pair_of=(0, 1), top="workers = 2", more=("", "")):
        self.write_text(top + "\n\n" + "".join(
            LISTENER.format(name=name, port=self.ports[i], pair=self.pairs[pair_of[i]],
                            server=self.servers[server_of[i]].address, more=more[i])
            for i, name in enumerate(("one", "two"))))

    def write_text(self, text):
        with open(self.config + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(self.config + ".new", self.config)

    def text(self):
        with open(self.config, encoding="ascii") as file:
            return file.read()

    def line_of(self, text):
        return self.text()[:self.text().index(text)].count("\n") + 1

    def proxy(self, **more):
        return Proxy(self.options.proxy, None, config=self.config,
                     io_engine=self.options.io_engine, leaks=False, **more)


def reload(proxy):
    """The line that a reload leaves."""
    start = proxy.mark()
    proxy.process.send_signal(signal.SIGHUP)
    return proxy.wait_line(" (reloaded|reload refused)", 10, start) or ""


def several_listeners(room):
    room.write(more=("", 'tls_mode = "required"'))
    with room.proxy() as proxy:
        for i, name in enumerate(("one", "two")):
            port, other = room.ports[i], room.authorities[1 - i]
            room.report.check(f"{name}: listens", proxy.wait_line(
                f"listening on 127.0.0.1:{port} listener={name} "), " / ".join(proxy.lines))
            room.report.equal(f"{name}: its server", version_of(port), f"9.0.0-{'ab'[i]}")
            room.report.check(f"{name}: its certificate", trusts(port, room.authorities[i]))
            room.report.check(f"{name}: not the other's", not trusts(port, other))
        life_cycle.log_in(room.ports[0]).close()
        with wire.dial(("127.0.0.1", room.ports[1])) as sock:
            wire.read_packet(sock)
            sock.sendall(wire.handshake_response(1))
            room.report.equal("only the second requires TLS", wire.read_err(sock).code, 3159)


def connection_limits(room):
    room.write(top="workers = 2\nmax_connections = 5", more=("max_connections = 2", ""))
    with room.proxy() as proxy:
        def fits(port):
            try:
                held.append(life_cycle.log_in(port))
                return True
            except (RuntimeError, ValueError, EOFError):
                return False
        held = []
        found = [fits(room.ports[0]) for _ in range(3)] + [fits(room.ports[1]) for _ in range(4)]
        room.report.equal("two in the first, five in all", found,
                          [True, True, False, True, True, True, False])
        room.write(top="workers = 2\nmax_connections = 6", more=("max_connections = 3", ""))
        room.report.check("limits are raised", " reloaded" in reload(proxy), proxy.lines[-1])
        room.report.check("connections of before still count",
                          [fits(room.ports[0]), fits(room.ports[0]), fits(room.ports[1])]
                          == [True, False, False])
        for sock in held:
            sock.close()
        processes.wait_until(lambda: len(proxy.connections()) == 6, 5, "all to end")
        held.clear()
        room.report.equal("and those that ended do not",
                          [fits(room.ports[0]) for _ in range(4)], [True, True, True, False])


def new_values(room):
    room.write()
    with room.proxy() as proxy:
        old = life_cycle.log_in(room.ports[0], room.authorities[0].ca)
        room.write(server_of=(1, 0), pair_of=(1, 0))
        line = reload(proxy)
        room.report.check("a reload is told", line.endswith(" info  reloaded"), line)
        room.report.equal("new clients get the new server", version_of(room.ports[0]), "9.0.0-b")
        room.report.check("and the new certificate", trusts(room.ports[0], room.authorities[1]))
        room.report.check("an old session goes on", life_cycle.answers(old))
        old.close()
        # The same names, other contents: what a certificate's renewal is.
        for source, target in zip(room.pairs[0], room.pairs[1]):
            shutil.copy(target, target + ".kept")
            shutil.copy(source, target + ".new")
            os.rename(target + ".new", target)
        reload(proxy)
        room.report.check("files are read again", trusts(room.ports[0], room.authorities[0]))
        for target in room.pairs[1]:
            os.rename(target + ".kept", target)


def log_level(room):
    """At "error" neither sessions nor the reload itself leave a line."""
    room.write()
    with room.proxy() as proxy:
        def is_told():
            start = proxy.mark()
            life_cycle.log_in(room.ports[0]).close()
            return proxy.wait_line("connection ended", 0.5, start)
        room.report.check("log_level info: a session is told", is_told())
        room.write(top='log_level = "error"')
        proxy.process.send_signal(signal.SIGHUP)
        processes.wait_until(lambda: not is_told(), 10, "silence")
        room.report.check("log_level error: nor is the reload",
                          not any(" reloaded" in line for line in proxy.lines))
        room.write()
        room.report.check("log_level info again: it is", " reloaded" in reload(proxy))
        room.report.check("and sessions are", is_told())


def what_is_wrong_changes_nothing(room):
    garbage = os.path.join(room.folder, "garbage.pem")
    with open(garbage, "w", encoding="ascii") as file:
        file.write("nonsense\n")
    room.write()
    good = room.text()
    cert, key = (path for path in room.pairs[1])
    broken = (
        ("no TOML", good + "\nworkers\n", "workers\n", ""),
        ("an unknown key", good + "tls_certs = 'x'\n", "tls_certs",
         "tls_certs: no such key; the nearest is tls_cert"),
        ("a process's key in a table", good + "workers = 1\n", "workers = 1\n",
         "workers: belongs to the whole process"),
        ("a bad value", good + "connect_timeout = 0\n", "connect_timeout", "connect_timeout: "),
        ("a key of another certificate", good.replace(key, room.pairs[0][1]),
         f'tls_cert = "{cert}"', "tls_cert: "),
        ("a certificate that is not there", good.replace(cert, "/no/such.crt"), "/no/such.crt",
         "tls_cert: /no/such.crt: No such file or directory"),
        ("a key of garbage", good.replace(key, garbage), f'tls_cert = "{cert}"', "tls_cert: "),
        ("a server that is not found", good.replace(room.servers[1].address, "[fe80::1%none]:1"),
         "[fe80::1%none]:1", "server: [fe80::1%none]:1: "))
    with room.proxy() as proxy:
        for what, text, wrong, says in broken:
            # The first listener would get another server: all or nothing.
            room.write_text(text.replace(room.servers[0].address, room.servers[1].address, 1))
            number = room.line_of(wrong)
            line = reload(proxy)
            room.report.check(f"{what}: is told with file, line and key",
                              " error reload refused" in line
                              and f"{room.config}:{number}: {says}" in line, line)
            room.report.equal(f"{what}: the old server stays", version_of(room.ports[0]), "9.0.0-a")
            room.report.check(f"{what}: the old certificate stays",
                              trusts(room.ports[1], room.authorities[1]))
        os.rename(room.config, room.config + ".away")
        line = reload(proxy)
        room.report.check("a missing file is told",
                          f"--config: {room.config}: No such file" in line, line)
        os.rename(room.config + ".away", room.config)
        room.write()
        room.report.check("and then a good one is taken", " reloaded" in reload(proxy))
        room.report.equal("no line but one a reload", sum("reload" in line for line in proxy.lines),
                          len(broken) + 2)


def in_force_at_once(room):
    """Whoever connects behind the line is served by what it tells of."""
    room.write()
    with room.proxy() as proxy:
        found = ""
        for i in range(60):
            room.write(server_of=(i % 2, 1))
            reload(proxy)
            found += version_of(room.ports[0])[-1]
        room.report.equal("a reload is in force at once", found, "ab" * 30)


def what_needs_a_restart(room):
    room.write()
    with room.proxy() as proxy:
        ports, room.ports = room.ports, (room.ports[0], processes.free_port())
        room.write(top="workers = 3\ncore_dumps = true", server_of=(1, 1))
        new_ports, room.ports = room.ports, ports
        line = reload(proxy)
        room.report.check("a restart is asked for by name",
                          line.endswith(" reloaded needs_restart=listen,workers,core_dumps"), line)
        room.report.equal("the rest takes effect", version_of(ports[0]), "9.0.0-b")
        room.report.equal("the old address stays", version_of(ports[1]), "9.0.0-b")
        room.report.check("the new one is not there", life_cycle.refused(new_ports[1]))


def a_listener_that_goes(room):
    """Its addresses stay until the restart, and its certificate may be gone by then."""
    room.write()
    with room.proxy() as proxy:
        whole = room.text()
        room.write_text(whole[:whole.index("[[listener]]", whole.index("[[listener]]") + 1)])
        for path in room.pairs[1]:
            os.rename(path, path + ".kept")
        line = reload(proxy)
        room.report.check("a listener that goes needs a restart",
                          line.endswith(" reloaded needs_restart=listen"), line)
        room.report.check("until then it serves as before",
                          trusts(room.ports[1], room.authorities[1]))
        for path in room.pairs[1]:
            os.rename(path + ".kept", path)
        room.write(server_of=(0, 0))
        room.report.check("it may come back", reload(proxy).endswith(" reloaded"), proxy.lines[-1])
        room.report.equal("with new values", version_of(room.ports[1]), "9.0.0-a")


class Manager:
    """What systemd is to a service of Type=notify: a datagram socket."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify.sock")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.said = []

    def wait(self, word, seconds=5):
        """Whether a message with this word comes; the last of `said` is it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                self.said.append(self.sock.recv(4096).decode())
            except TimeoutError:
                return False
            if word in self.said[-1]:
                return True
        return False


def service_manager(room):
    room.write()
    manager = Manager(room.folder)
    prefix = ["env", f"NOTIFY_SOCKET={manager.path}", "WATCHDOG_USEC=400000"]
    with room.proxy(prefix=prefix) as proxy:
        room.report.check("READY=1 at the start", manager.wait("READY=1"), str(manager.said))
        room.report.check("WATCHDOG=1 again and again",
                          all(manager.wait("WATCHDOG=1", 0.4) for _ in range(5)), str(manager.said))
        before = time.monotonic_ns() // 1000
        reload(proxy)
        room.report.check("RELOADING=1", manager.wait("RELOADING=1"), str(manager.said))
        stamp = dict(word.split("=") for word in manager.said[-1].split()).get("MONOTONIC_USEC", 0)
        room.report.check("with the time", before <= int(stamp) <= time.monotonic_ns() // 1000,
                          manager.said[-1])
        room.report.check("READY=1 after it", manager.wait("READY=1"), str(manager.said))
        room.write_text("nonsense")
        reload(proxy)
        room.report.check("READY=1 after a bad one too",
                          manager.wait("RELOADING=1") and manager.wait("READY=1"))
        proxy.process.terminate()
        room.report.check("STOPPING=1", manager.wait("STOPPING=1"), str(manager.said))


def hung_worker(room):
    """strace delays one system call of one worker: the others alone must not feed the watchdog."""
    if not shutil.which("strace"):
        print("SKIPPED: strace is not installed")
        return
    room.write(top="workers = 2\ncore_dumps = true")
    manager = Manager(room.folder)
    prefix = ["env", f"NOTIFY_SOCKET={manager.path}", "WATCHDOG_USEC=400000"]
    with room.proxy(prefix=prefix) as proxy:
        worker = proxy.threads("worker-1")[0]
        calls = "io_uring_enter,epoll_wait,epoll_pwait,epoll_pwait2"
        tracer = processes.start(
            ["strace", "-qq", "-o", os.devnull, "-p", str(worker), "-e", f"trace={calls}",
             "-e", f"inject={calls}:delay_exit=2500000:when=1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        if tracer.poll() is not None:
            print("SKIPPED: strace may not trace here")
            return
        processes.wait_until(lambda: not manager.wait("WATCHDOG=1", 0.8), 10,
                             "the watchdog's hunger")
        room.report.check("a worker that hangs: the watchdog is not fed", proxy.alive())
        room.report.check("it goes on: the watchdog is fed again", manager.wait("WATCHDOG=1", 5))
        processes.stop(tracer)


def client_storm(port, ca, account, stop, failures, count):
    command = ["mariadb", "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", f"--port={port}",
               f"--user={account.user}", f"--password={account.password}", f"--ssl-ca={ca}",
               "--ssl-verify-server-cert", "--batch", "--skip-column-names", "--execute=SELECT 7"]
    while not stop.is_set():
        done = subprocess.run(command, check=False, capture_output=True, text=True,
                              timeout=processes.patience(60))
        count.append(1)
        if done.returncode or done.stdout.strip() != "7":
            failures.append(done.stderr.strip() or done.stdout)


def under_load(room):
    """Reloads that swap the certificates while sysbench runs and real clients come and go."""
    if not shutil.which("sysbench"):
        print("SKIPPED: sysbench is not installed")
        return
    seconds = room.options.seconds
    authority = room.authorities[0]
    room.pairs = (room.pairs[0], authority.issue("pair-c"))
    for source, name in zip((authority.ca, *authority.issue("sysbench")),
                            ("cacert.pem", "client-cert.pem", "client-key.pem")):
        shutil.copy(source, os.path.join(room.folder, name))
    with servers.MariaDB(room.folder).start() as server:
        server.wait()
        server.address = f"127.0.0.1:{server.port}"
        room.servers = (server, server)
        account = server.account("native")
        subprocess.run([*leaks.sysbench_command(("127.0.0.1", server.port), account), "prepare"],
                       check=True, capture_output=True)
        limit = f"handshake_timeout = {processes.patience(8):.0f}\n"
        room.write(top=limit)
        with room.proxy() as proxy:
            load = processes.start(
                [*leaks.sysbench_command(("127.0.0.1", room.ports[0]), account, "--mysql-ssl=on",
                                         "--threads=8", f"--time={seconds}"), "run"],
                cwd=room.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            stop, failures, count = threading.Event(), [], []
            storm = [threading.Thread(target=client_storm, args=(
                room.ports[1], authority.ca, account, stop, failures, count)) for _ in range(3)]
            for thread in storm:
                thread.start()
            reloads = 0
            while load.poll() is None:
                room.write(pair_of=(reloads % 2, (reloads + 1) % 2),
                           top=f"{limit}workers = 2\nmax_connections = {1000 + reloads}")
                if " reloaded" in reload(proxy):
                    reloads += 1
                time.sleep(0.02)
            output = load.communicate()[0]
            stop.set()
            for thread in storm:
                thread.join()
            print(f"{reloads} reloads, {len(count)} real clients")
            room.report.check("reloads went through all the time",
                              processes.patience(reloads) >= seconds,
                              f"{reloads} in {seconds} s")
            room.report.check("real clients came all the time",
                              processes.patience(len(count)) >= 2 * seconds, str(len(count)))
            room.report.check("no log-in failed", not failures, f"{len(failures)}: {failures[:2]}")
            room.report.equal("sysbench: exit code", load.returncode, 0, output[-500:]
                              + str({line["reason"] for line in proxy.connections()}))
            room.report.check("sysbench: no error, no reconnect", all(
                word in output for word in ("ignored errors:                      0  ",
                                            "reconnects:                          0  ")),
                              output[-800:])
            room.report.equal("it stops with 0", proxy.stop(), 0)


CHECKS = [several_listeners, connection_limits, new_values, log_level,
          what_is_wrong_changes_nothing, in_force_at_once, what_needs_a_restart,
          a_listener_that_goes, service_manager, hung_worker, under_load]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    parser.add_argument("--seconds", type=int, default=6, help="of reloads under load")
    options = parse(parser)
    report = Report()
    with named_server("9.0.0-a") as a, named_server("9.0.0-b") as b:
        for check in CHECKS:
            with processes.test_folder() as folder:
                if options.only in check.__name__:
                    report.attempt(check.__name__, check, Room(report, options, folder, a, b))
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
