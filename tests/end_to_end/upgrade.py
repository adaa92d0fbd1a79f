#!/usr/bin/python3
"""A new process takes the listening sockets over, from the running one or from systemd.

    upgrade.py --proxy PATH [--load PATH --responder PATH] [--io_engine epoll] [--only WORD]

Under load: new log-ins all the time (bench/load), and sessions that go on (sysbench). Neither may
notice that the process is another one.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import leaks
import life_cycle
import mysql_wire as wire
import processes
import sanitizer
import servers
from life_cycle import answers, exit_within, log_in
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

HERE = os.path.dirname(os.path.realpath(__file__))


class Room(life_cycle.Room):
    """One place to listen, one for the admin, one for the upgrade; a proxy after the other."""

    def __init__(self, report, options, folder, server):
        super().__init__(report, options, folder, server)
        self.port, self.admin_port = processes.free_port(), processes.free_port()
        self.upgrade_socket = os.path.join(folder, "upgrade")

    def next(self, *arguments, workers=2, **more):
        """Its admin_port is the fixed one."""
        return self.proxy(listen=f"127.0.0.1:{self.port}", workers=workers, arguments=[
            f"--admin=127.0.0.1:{self.admin_port}", f"--upgrade_socket={self.upgrade_socket}",
            "--shutdown_timeout=20", *arguments], **more)

    def takes_over(self, *arguments, **more):
        proxy = self.next(*arguments, **more)
        self.report.check("the new process takes over", proxy.wait_line("upgrade: took over", 10),
                          " / ".join(proxy.lines))
        return proxy


def hands_over(room):
    """Everything moves, more than once, and sessions stay where they are."""
    with room.next() as first:
        session = log_in(room.port, room.authority.ca)
        inode = os.stat(room.upgrade_socket)
        room.report.equal("the upgrade socket is its user's alone", inode.st_mode & 0o777, 0o600)
        with room.takes_over() as second:
            room.report.check("the old one says so",
                              first.wait_line("another process serves now sessions=1", 3)
                              and first.wait_line("accepting no more", 3), str(first.lines))
            new = [log_in(room.port, room.authority.ca) for _ in range(20)]
            room.report.check("new clients are served", all(answers(sock) for sock in new))
            for sock in new:
                sock.close()
            processes.wait_until(lambda: len(second.connections()) == 20, 5, "20 lines")
            room.report.equal("none of them by the old one", len(first.connections()), 0)
            room.report.check("an old session goes on", answers(session))
            room.report.check("the admin port has moved",
                              'sallyport_connections_accepted_total 20' in second.get("/metrics"),
                              second.get("/metrics")[:300])
            session.close()
            room.report.equal("the old one ends with its last session", exit_within(first, 5), 0)
            room.report.equal("the admin port answers after that", second.get("/healthz"), "ok")
            room.report.check("and so does the proxy", answers(log_in(room.port)))
            with room.takes_over() as third:
                room.report.equal("the second gives way, too", exit_within(second, 5), 0)
                room.report.check("the third serves", answers(log_in(room.port)))
                room.report.equal("with its admin", third.get("/readyz"), "ok")
                room.report.equal("at the same socket file",
                                  os.stat(room.upgrade_socket).st_ino, inode.st_ino)
    with room.next() as fourth:
        room.report.check("a socket file that nobody serves is no obstacle",
                          answers(log_in(room.port)), str(fourth.lines))


def ends_of_the_old(room):
    with room.next("--upgrade_timeout=1") as first, room.next("--upgrade_timeout=60") as second:
        room.report.equal("without sessions the old one ends at once", exit_within(first, 5), 0)
        _session = log_in(room.port)
        with room.next() as third:
            second.wait_line("accepting no more")
            second.process.terminate()
            second.wait_line(" stopping ")
            time.sleep(0.3)
            room.report.check("SIGTERM leaves it shutdown_timeout", second.alive())
            second.process.terminate()
            room.report.equal("a second one ends it", exit_within(second, 3), 0)
            room.report.check("the new one serves on", answers(log_in(room.port)) and third.alive())
    with room.next("--upgrade_timeout=1") as first:
        _session = log_in(room.port)
        with room.takes_over():
            room.report.equal("upgrade_timeout cuts what is left", exit_within(first, 5), 0)
            first.stop()
            room.report.check("and a line says so", any(
                "ending all sessions why=upgrade_timeout sessions=1" in line
                for line in first.lines), str(first.lines))


def failures(room):
    """Whatever the new process lacks, the old one serves on."""
    def serves_on(what):
        room.report.check(f"{what}: the old one serves on",
                          answers(log_in(room.port)) and old.alive(), str(old.lines))
    with room.next() as old, socket.create_server(("127.0.0.1", 0)) as taken:
        for what, arguments, code, says in (
                ("a bad value", ["--connect_timeout=0"], 2, None),
                ("a bad certificate", ["--tls_cert=/no/such", "--tls_key=/no/such"], 2, None),
                ("a port in use", [f"--listen=127.0.0.1:{taken.getsockname()[1]}"], 1,
                 "upgrade failed, this process serves on"),
                ("an admin port in use", [f"--admin=127.0.0.1:{taken.getsockname()[1]}"], 1,
                 "upgrade failed, this process serves on")):
            start = old.mark()
            with room.next(*arguments) as new:
                room.report.equal(f"{what}: exit code", exit_within(new, 10), code, str(new.lines))
            room.report.check(f"{what}: the old one says so",
                              says is None or old.wait_line(says, 3, start), str(old.lines[start:]))
            serves_on(what)
        start = old.mark()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow:
            slow.connect(room.upgrade_socket)
            old.wait_line("listening sockets given", 3, start)
            with room.next() as new:
                room.report.equal("two at once: the second is refused", exit_within(new, 5), 1)
            room.report.check("and why is told",
                              old.wait_line("another one is under way", 3, start))
            serves_on("one that hangs")
            slow.sendall(b"?")
        room.report.check("one that talks nonsense: is told",
                          old.wait_line("upgrade failed", 3, start), str(old.lines[start:]))
        serves_on("nonsense")
        if os.geteuid() == 0:
            os.chmod(room.folder, 0o711)
            os.chmod(room.upgrade_socket, 0o666)
            with room.next(prefix=["setpriv", "--reuid=65534", "--clear-groups"],
                           pair=None) as new:
                room.report.equal("another user: exit code", exit_within(new, 5), 1)
            room.report.check("another user: is told", old.wait_line(
                "upgrade refused .*belongs to another user", 3, start), str(old.lines[start:]))
            serves_on("another user")
        else:
            print("SKIPPED: another user, which only root can play")
        with room.takes_over() as new:
            room.report.equal("and then a good one takes over", exit_within(old, 5), 0)
            room.report.check("and serves", answers(log_in(room.port)) and new.alive())


def addresses_change(room):
    """What the new configuration has no use for is closed and told; what is new is opened."""
    extra = processes.free_port()
    with room.next(f"--listen=127.0.0.1:{extra}") as _old:
        room.report.check("two addresses", answers(log_in(extra)) and answers(log_in(room.port)))
        new_port = processes.free_port()
        with room.takes_over(f"--listen=127.0.0.1:{new_port}") as new:
            room.report.check("a new address serves", answers(log_in(new_port)))
            room.report.check("one that stays serves", answers(log_in(room.port)))
            room.report.check("one that goes is told", new.wait_line(
                f"not listening any more on 127.0.0.1:{extra}"), str(new.lines))
            processes.wait_until(lambda: life_cycle.refused(extra), 5, "the old address to go")


def start_load(room, seconds):
    """bench/load: 500 log-ins a second, each a connection of its own; half of them over TLS. A
    sanitizer's build gets what it can serve."""
    rate = 25 if sanitizer.name_of(room.options.proxy) else 250
    return [processes.start(
        [room.options.load, "connect", f"--target=127.0.0.1:{room.ports[0]}", f"--tls={tls}",
         f"--rate={rate}", "--warmup=0s", f"--duration={seconds}s", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for tls in ("off", "mysql")]


TWO_LISTENERS = """
upgrade_timeout = 120
upgrade_socket = "{socket}"
[[listener]]
name = "storm"
listen = "127.0.0.1:{ports[0]}"
server = "{servers[0]}"
[[listener]]
name = "sessions"
listen = "127.0.0.1:{ports[1]}"
server = "{servers[1]}"
"""


def start_responder(room):
    process = processes.start([room.options.responder, "--listen=127.0.0.1:0", "--threads=1"],
                              stdout=subprocess.PIPE, text=True)
    return process, re.search(r"127.0.0.1:\d+", process.stdout.readline()).group()


def sysbench(room, account, seconds):
    return processes.start(
        [*leaks.sysbench_command(("127.0.0.1", room.ports[1]), account, "--mysql-ssl=on",
                                 "--threads=4", "--rate=400", f"--time={seconds}"), "run"],
        cwd=room.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def under_load(room):
    """Seven processes one after the other, with 1 to 4 workers."""
    if not (room.options.load and room.options.responder and shutil.which("sysbench")):
        print("SKIPPED: under load; --load, --responder and sysbench are needed")
        return
    for source, name in zip((room.authority.ca, *room.authority.issue("sysbench")),
                            ("cacert.pem", "client-cert.pem", "client-key.pem")):
        shutil.copy(source, os.path.join(room.folder, name))
    responder, address = start_responder(room)
    room.ports = (processes.free_port(), processes.free_port())
    with servers.MariaDB(room.folder).start() as server:
        server.wait()
        account = server.account("native")
        subprocess.run([*leaks.sysbench_command(("127.0.0.1", server.port), account), "prepare"],
                       check=True, capture_output=True)
        config = os.path.join(room.folder, "upgrade.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(TWO_LISTENERS.format(socket=room.upgrade_socket, ports=room.ports,
                                            servers=(address, f"127.0.0.1:{server.port}")))
        check_load(room, account, config)
    processes.stop(responder)


def check_load(room, account, config):
    seconds, proxies = int(processes.patience(room.options.seconds)), []

    def start(workers):
        proxies.append(Proxy(room.options.proxy, None, config=config,
                             io_engine=room.options.io_engine, arguments=[
                                 f"--workers={workers}", f"--tls_cert={room.pair[0]}",
                                 f"--tls_key={room.pair[1]}"]))
    start(2)
    storms, sessions = start_load(room, seconds), sysbench(room, account, seconds)
    time.sleep(1)
    for workers in (2, 1, 4, 3, 1, 2):
        start(workers)
        room.report.check(f"{workers} workers take over",
                          proxies[-1].wait_line("upgrade: took over", 10), str(proxies[-1].lines))
        time.sleep((seconds - 3) / 8)
    for name, storm in zip(("plaintext", "TLS"), storms):
        output, errors = storm.communicate()
        result = json.loads(output)
        print(name, {key: value for key, value in result.items() if not isinstance(value, dict)})
        room.report.equal(f"{name}: no log-in failed", storm.returncode, 0, output + errors)
    output = sessions.communicate()[0]
    room.report.equal("sysbench: exit code", sessions.returncode, 0, output[-500:])
    room.report.check("sysbench: no error, no reconnect", all(
        re.search(word + r":\s+0 ", output) for word in ("ignored errors", "reconnects")),
                      output[-800:])
    codes = [exit_within(proxy, 5) for proxy in proxies[:-1]]
    room.report.equal("each old process has ended with 0", codes, [0] * len(codes))
    room.report.check("each process served log-ins", all(
        any("login=ok" in line for line in proxy.lines) for proxy in proxies))
    room.report.equal("the last one ends with 0", proxies[-1].stop(), 0)


# --- systemd's sockets.

def activate(room, sockets, *arguments, pause="0", **more):
    prefix = [os.path.join(HERE, "with_sockets.py"), "--wait", pause, *sockets, "--"]
    more.setdefault("listen", f"127.0.0.1:{room.port}")
    return room.proxy(prefix=prefix, arguments=arguments, **more)


def socket_activation(room):
    other = processes.free_port()
    with activate(room, [f"sallyport.socket=127.0.0.1:{room.port}"], pause="1.5", workers=3,
                  wait=False) as proxy:
        early = [processes.wait_until(lambda: dial(room.port), 5, "a socket") for _ in range(10)]
        room.report.check("nobody serves yet", not proxy.lines)
        room.report.check("who came before the proxy is served by it",
                          all(wire.read_packet(sock) for sock in early), str(proxy.lines))
        room.report.check("and others are", all(answers(log_in(room.port)) for _ in range(10)))
    with activate(room, [f"default=127.0.0.1:{other}", f"admin=127.0.0.1:{room.admin_port}"],
                  config=two_names(room)) as proxy:
        room.report.check("a name is a listener's, whatever its address", answers(log_in(other)),
                          str(proxy.lines))
        room.report.check("whose own address is not opened", life_cycle.refused(room.port))
        room.report.equal("admin is the admin's", proxy.admin_port, room.admin_port)
        room.report.equal("which answers", proxy.get("/healthz"), "ok")
    for what, sockets, says in (
            ("a socket that nobody wants", [f"x=127.0.0.1:{other}"], f"127.0.0.1:{other}"),
            ("something else", ["x=-"], "no listening stream socket")):
        with activate(room, sockets) as proxy:
            room.report.equal(f"{what}: exit code", exit_within(proxy, 5), 1)
            room.report.check(f"{what}: is told", any(says in line for line in proxy.lines),
                              str(proxy.lines))


def dial(port):
    try:
        return wire.dial(("127.0.0.1", port))
    except OSError:
        return None


def two_names(room):
    path = os.path.join(room.folder, "names.toml")
    with open(path, "w", encoding="ascii") as file:
        file.write(f'[[listener]]\nname = "default"\nlisten = "127.0.0.1:{room.port}"\n'
                   f'server = "{room.server.address}"\n')
    return path


def upgrade_of_activated(room):
    """A socket of systemd's, shared by all workers, goes on to the next process."""
    with activate(room, [f"x=127.0.0.1:{room.port}"], f"--upgrade_socket={room.upgrade_socket}",
                  workers=2) as first:
        with room.next(workers=3) as second:
            room.report.equal("the activated process gives way", exit_within(first, 5), 0)
            room.report.check("the next one serves", answers(log_in(room.port)), str(second.lines))
            second.process.send_signal(signal.SIGTERM)


CHECKS = [hands_over, ends_of_the_old, failures, addresses_change, under_load, socket_activation,
          upgrade_of_activated]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    parser.add_argument("--load", help="bench/load")
    parser.add_argument("--responder", help="bench/responder")
    parser.add_argument("--seconds", type=int, default=9, help="of load")
    options = parse(parser)
    report = Report()
    with wire.FakeServer(wire.accept_everybody) as server:
        for check in CHECKS:
            if options.only in check.__name__:
                with processes.test_folder() as folder:
                    report.attempt(check.__name__, check, Room(report, options, folder, server))
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
