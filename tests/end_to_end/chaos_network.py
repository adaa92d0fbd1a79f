#!/usr/bin/python3
"""A firewall that swallows everything between proxy and server, or between proxy and client.

    chaos_network.py --proxy PATH [--io_engine epoll]

Runs in a network namespace of its own, where iptables may drop what it likes. Beside each case a
session on another server must notice nothing.
"""

import os
import shutil
import signal
import subprocess
import time

import chaos_room
import connect_errors
import mysql_wire as wire
import processes
from chaos_room import SOON, Room, Steady
from chaos_victims import Victim, victims
from options import make_parser, parse
from report import Report

# Probed after a silence of 2 s, given up 2 probes later; sent bytes are given up after 6 s.
TIMES = {"connect_timeout": 2, "handshake_timeout": 8, "keepalive": 2, "user_timeout": 6}
GIVEN_UP = 15
LOGGED_IN = ("idle", "in a result", "in an upload", "in a file")


def works(program):
    """Whether it can add a rule: it lists none even where the kernel has no tables."""
    rule = ["INPUT", "-p", "tcp", "--dport", "1", "-j", "DROP"]
    return all(subprocess.run([program, "-w", verb, *rule], check=False,
                              capture_output=True).returncode == 0 for verb in ("-A", "-D"))


def firewall():
    """The iptables that this kernel knows; the legacy one, where it has no nftables."""
    for program in ("iptables", "iptables-legacy"):
        if shutil.which(program) and works(program):
            return program
    raise processes.Skipped("no iptables here, or none that this kernel knows")


class Wall:
    """Drops what goes to or comes from a port."""

    program = "iptables"

    def __init__(self, port):
        self._rules = [[chain, "-p", "tcp", f"--{end}port", str(port), "-j", "DROP"]
                       for chain in ("INPUT",) for end in ("s", "d")]

    def _tell(self, verb):
        for rule in self._rules:
            subprocess.run([self.program, "-w", verb, *rule], check=True)

    def __enter__(self):
        self._tell("-A")
        return self

    def __exit__(self, *_error):
        self._tell("-D")


def unreachable(report, room, steady):
    name = "before connecting"
    descriptors = room.descriptors()
    with Wall(room.hurt.port):
        began = time.monotonic()
        with room.dial() as sock:
            found = wire.read_err(sock)
        seconds = time.monotonic() - began
        report.check(f"{name}: ERR 2003 at the time limit",
                     found.code == 2003 and TIMES["connect_timeout"] - 0.5 < seconds < SOON,
                     f"{found} after {seconds:.1f} s")
        line = room.proxy.wait_line("listener=hurt .*reason=server_unreachable", SOON)
        report.check(f"{name}: one line", line, room.proxy.lines[-1])
        steady.check(report, name)
    chaos_room.check_nothing_left(report, name, room, descriptors, 1)


def swallowed(report, room, steady):
    """For good: each is given up by the limit that is its own, and nobody hangs."""
    name = "swallowed"
    descriptors, mark = room.descriptors(), room.proxy.mark()
    hurt = victims(room, ("in the log in", *LOGGED_IN))
    # The kernel takes the connection of a server that is frozen, but nobody greets.
    room.signal(signal.SIGSTOP)
    hurt.append(Victim(room, "before the greeting", True))
    time.sleep(0.3)

    def expected(victim):
        if victim.logged_in:
            return (None,), ("server_error",)
        # Keepalive or the time limit of a log-in, whichever is first.
        return (1159, 2013), ("handshake_timeout", "server_lost_in_login")
    with Wall(room.hurt.port):
        room.signal(signal.SIGCONT)
        chaos_room.check_ends(report, name, room, hurt, mark, expected, GIVEN_UP)
        chaos_room.check_nothing_left(report, name, room, descriptors, 1)
        steady.check(report, name)
    with Victim(room, "idle", True).sock as sock:
        report.check(f"{name}: without the wall all is well", sock)


def swallowed_for_a_while(report, room, steady):
    """Shorter than any limit: TCP sends it again, and nobody has lost a byte."""
    name = "swallowed for a while"
    descriptors = room.descriptors()
    hurt = victims(room)
    with Wall(room.hurt.port):
        time.sleep(1)
        steady.check(report, name)
    chaos_room.check_goes_on(report, name, hurt)
    chaos_room.check_nothing_left(report, name, room, descriptors, 1)


def sessions_at(server):
    """Those that it couldn't be told of, when the wall was up, included."""
    return int(server.sql("SELECT COUNT(*) FROM information_schema.processlist "
                          "WHERE user NOT IN ('root', 'system user')"))


def clients_vanish(report, room, steady):
    """Without FIN or RST, as a laptop does that is shut."""
    name = "vanished clients"
    before = sessions_at(room.hurt)
    descriptors, mark = room.descriptors(), room.proxy.mark()
    gone = victims(room)
    walls = [Wall(victim.local) for victim in gone]
    for wall in walls:
        wall.__enter__()
    for victim in gone:
        # Who is still in a log-in is over at its own limit.
        reasons = "client_error"
        if not victim.logged_in:
            reasons += "|handshake_timeout|client_left_early"
        line = room.proxy.wait_line(rf"client=127\.0\.0\.1:{victim.local} .*reason=({reasons})",
                                    2 * GIVEN_UP, mark)
        report.check(f"{name}: {victim.name}: one line, with the reason", line,
                     [line for line in room.proxy.lines[mark:] if f":{victim.local} " in line])
    chaos_room.check_nothing_left(report, name, room, descriptors, 1)
    processes.wait_until(lambda: sessions_at(room.hurt) <= before, SOON,
                         "the server to be rid of them")
    report.check(f"{name}: the server is rid of them, too", True)
    for wall in walls:
        wall.__exit__()
    for victim in gone:
        victim.close()
    steady.check(report, name)


def run_inside(options):
    report = Report()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Wall.program = firewall()
    with processes.test_folder() as folder, Room(options, folder, **TIMES) as room:
        steady = Steady(room)
        for case in (unreachable, swallowed, swallowed_for_a_while, clients_vanish):
            report.attempt(case.__name__, case, report, room, steady)
        steady.end()
        report.equal("it stops with 0", room.proxy.stop(), 0)
    return report.exit_code()


def main():
    options = parse(make_parser(__doc__))
    if os.environ.get(connect_errors.INSIDE):
        return run_inside(options)
    return connect_errors.enter_namespaces()


if __name__ == "__main__":
    processes.run_main(main)
