#!/usr/bin/python3
"""A real server is killed, frozen and restarted, with clients in each phase of a conversation.

    chaos.py --proxy PATH [--io_engine epoll]

Beside each case a session on another, healthy server behind the same proxy must notice nothing.
"""

import contextlib
import signal
import socket
import struct
import threading
import time

import pymysql

import chaos_room
import mysql_wire as wire
import processes
import sanitizer
from chaos_room import SOON, Room, Steady
from chaos_victims import Victim, victims
from options import make_parser, parse
from report import Report

# What allocators may keep of some hundred connections and their buffers.
GROWTH_KIB_MAX = 8 << 10
LOST = (2013,)
NO_ERR = (None,)
DEAD = ("server_error", "server_closed")
IN_CHANGE, AT_CHANGE = "in a change of user", "at a change of user"


def ask(asking):
    for victim in asking:
        victim.change_user()
    return asking


def after_death(victim):
    if victim.logged_in:
        return NO_ERR, DEAD
    if victim.phase == "in the tls handshake":
        # Through half a handshake no ERR packet has a way.
        return NO_ERR, ("server_lost_in_login",)
    return LOST, ("server_lost_in_login",)


def unreachable(room):
    with room.dial() as sock:
        return wire.read_err(sock).code


def killed(report, room, steady, frozen):
    """All phases at once; what a frozen server is before its greeting, no living one can be."""
    name = "killed when frozen" if frozen else "killed"
    descriptors, mark = room.descriptors(), room.proxy.mark()
    hurt = victims(room)
    asking = victims(room, (AT_CHANGE,)) if frozen else []
    if frozen:
        room.signal(signal.SIGSTOP)
        hurt.append(Victim(room, "before the greeting", False))
        hurt += ask(asking)
        time.sleep(0.3)
    room.kill()
    chaos_room.check_ends(report, name, room, hurt, mark, after_death)
    report.equal(f"{name}: then it can't be reached", unreachable(room), 2003)
    chaos_room.check_nothing_left(report, name, room, descriptors, 1)
    steady.check(report, name)
    room.restart()
    with contextlib.closing(Victim(room, "idle", True)) as victim:
        victim.finish()
    report.check(f"{name}: it is back, and serves", True)


def frozen_for_a_while(report, room, steady):
    """Less than any time limit: everybody goes on as if nothing had been."""
    descriptors = room.descriptors()
    hurt = victims(room)
    asking = victims(room, (AT_CHANGE,))
    room.signal(signal.SIGSTOP)
    hurt.append(Victim(room, "before the greeting", True))
    hurt += ask(asking)
    time.sleep(1.5)
    steady.check(report, "frozen for a while")
    room.signal(signal.SIGCONT)
    chaos_room.check_goes_on(report, "frozen for a while", hurt)
    chaos_room.check_nothing_left(report, "frozen for a while", room, descriptors, 1)


def frozen_for_long(report, room, steady):
    """Who is logging in, again too, is told 1159 at the time limit; who is logged in waits."""
    name = "frozen for long"
    descriptors, mark = room.descriptors(), room.proxy.mark()
    waiting = victims(room, ("in the log in",))
    patient = victims(room, ("idle", "in a result", "in an upload", "in a file"))
    # Of plaintext the proxy knows no second log-in.
    changing, asking = victims(room, (IN_CHANGE,)), victims(room, (AT_CHANGE,))
    room.signal(signal.SIGSTOP)
    waiting.append(Victim(room, "before the greeting", True))
    for victim in changing + ask(asking):
        (waiting if victim.tls else patient).append(victim)
    chaos_room.check_ends(report, name, room, waiting, mark,
                          lambda _victim: ((1159,), ("handshake_timeout",)))
    steady.check(report, name)
    room.signal(signal.SIGCONT)
    chaos_room.check_goes_on(report, name, patient)
    chaos_room.check_nothing_left(report, name, room, descriptors, 1)


def reset_before_frozen(report, room, steady):
    """The proxy reads no more of an upload that its server doesn't take: that the client is gone
    it must see all the same. No time limit would end it."""
    name = "reset before a frozen server"
    descriptors, mark = room.descriptors(), room.proxy.mark()
    uploading = victims(room, ("idle",))
    room.signal(signal.SIGSTOP)
    for victim in uploading:
        victim.sock.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while True:
                victim.sock.send(wire.packet(0, b"\x03" + b" " * (1 << 20)))
    for victim in uploading:
        victim.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        victim.close()
        pattern = rf"client=127\.0\.0\.1:{victim.local} .*reason=client_error"
        report.check(f"{name}: {victim.name}: one line, with the reason",
                     room.proxy.wait_line(pattern, SOON, mark), room.proxy.lines[mark:])
    steady.check(report, name)
    chaos_room.check_nothing_left(report, name, room, descriptors, 1)
    room.signal(signal.SIGCONT)


class Load:
    """Clients that log in, ask and leave, again and again, and take note of how it went."""

    # Lost in the middle, refused, shutting down, too many (of a server that is starting); and the
    # ERR behind a greeting, of a server that dies then, which crosses the client's response.
    BAD_ENDS = {2013, 2003, 2006, 1053, 1159, 1927,
                "Packet sequence number wrong - got 1 expected 2",
                "Packet sequence number wrong - got 2 expected 3"}  # On TLS.

    def __init__(self, room, count=8):
        self.good, self.bad, self.wrong, self.slowest = 0, 0, [], 0.0
        self._room, self._over, self._lock = room, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True)
                         for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self, number):
        account = self._room.hurt.account("native")
        tls = {"ssl_ca": self._room.ca, "ssl_verify_cert": True} if number % 2 else {}
        while not self._over.is_set():
            began, outcome = time.monotonic(), None
            try:
                with pymysql.connect(host="127.0.0.1", port=self._room.port, user=account.user,
                                     password=account.password, read_timeout=SOON, **tls) as client:
                    with client.cursor() as cursor:
                        for n in range(20):
                            cursor.execute(f"SELECT {n}, REPEAT('x', {n * 1000})")
                            if cursor.fetchall() != ((n, "x" * (n * 1000)),):
                                outcome = "a wrong answer"
            except pymysql.err.MySQLError as error:
                outcome = error.args[0]
            except (OSError, EOFError) as error:  # A reset while connecting or closing.
                outcome = 2013 if isinstance(error, ConnectionError) else str(error)
            with self._lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                if outcome is None:
                    self.good += 1
                else:
                    self.bad += 1
                    if outcome not in self.BAD_ENDS:
                        self.wrong.append(outcome)
            if outcome:
                time.sleep(0.05)

    def goes_well(self):
        """Waits for connections that came about just now."""
        good = self.good
        processes.wait_until(lambda: self.good > good + 20, SOON, "good connections under load")

    def end(self):
        self._over.set()
        for thread in self._threads:
            thread.join(2 * SOON)


def under_load(report, room, steady):
    name = "under load"
    descriptors = room.descriptors()
    load = Load(room)
    load.goes_well()
    for how in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        room.signal(how)
        if how == signal.SIGSTOP:
            time.sleep(1)
            room.signal(signal.SIGCONT)
        else:
            room.hurt.process.wait(processes.patience(30))
            room.restart()
        load.goes_well()
    load.end()
    print(f"        ({load.good} connections went well, {load.bad} were lost, the slowest "
          f"{load.slowest:.1f} s)")
    report.equal(f"{name}: every end was a right one", load.wrong[:5], [])
    report.check(f"{name}: some connections were lost", load.bad > 0)
    report.check(f"{name}: in bounded time", load.slowest < SOON, f"{load.slowest:.1f} s")
    steady.check(report, name)
    chaos_room.check_nothing_left(report, name, room, descriptors, 1)


def main():
    parser = make_parser(__doc__)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder, Room(options, folder) as room:
        steady = Steady(room)
        report.attempt("killed", killed, report, room, steady, False)
        kib = room.proxy.resident_kib()
        report.attempt("killed when frozen", killed, report, room, steady, True)
        report.attempt("frozen for a while", frozen_for_a_while, report, room, steady)
        report.attempt("frozen for long", frozen_for_long, report, room, steady)
        report.attempt("reset before frozen", reset_before_frozen, report, room, steady)
        report.attempt("under load", under_load, report, room, steady)
        grown = room.proxy.resident_kib() - kib
        print(f"memory grew by {grown} KiB")
        if not sanitizer.name_of(options.proxy):
            report.check(f"memory grows by less than {GROWTH_KIB_MAX} KiB", grown < GROWTH_KIB_MAX,
                         f"by {grown} KiB")
        steady.end()
        report.equal("it stops with 0", room.proxy.stop(), 0)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
