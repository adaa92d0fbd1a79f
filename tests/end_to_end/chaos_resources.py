#!/usr/bin/python3
"""What the proxy itself needs runs out: room for its log, file descriptors, locked memory.

    chaos_resources.py --proxy PATH [--io_engine epoll]

Runs in a mount namespace of its own, with a small disk that it may fill. Beside each case a session
on another server must notice nothing.
"""

import contextlib
import os
import re
import resource
import subprocess
import time

import chaos_room
import connect_errors
import life_cycle
import mysql_wire as wire
import processes
import servers
from chaos_room import SOON, Room, Steady
from chaos_victims import Victim
from options import make_parser, parse
from proxy import Proxy
from report import Report

DISK_KIB = 128
SESSIONS = 60
SPARE_DESCRIPTORS = 24
BEGIN_OF_A_LINE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \w+ +\w"
# Of one core, while accepts fail: it pauses between two tries.
CPU_SHARE_MAX = 0.5


def sessions_in_turn(room, count):
    """Each logs in, is answered, and leaves a line."""
    for _ in range(count):
        with contextlib.closing(Victim(room, "idle", True)) as victim:
            victim.finish()


def lines_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return [line for line in file if "listener=hurt" in line and "login=ok" in line]


def disk_full(report, room, steady, log):
    """It serves on, counts the lines that it can't write, and writes again when there is room."""
    name = "a full disk"
    sessions_in_turn(room, 3)
    processes.wait_until(lambda: len(lines_of(log)) == 3, SOON, "lines in the log")
    filler = os.path.join(os.path.dirname(log), "filler")
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    # What is left of the log's last page is filled, too.
    sessions_in_turn(room, SESSIONS)
    dropped = "sallyport_log_lines_dropped_total"
    processes.wait_until(lambda: room.metric(dropped) > 0, SOON, "a line to be lost")
    time.sleep(0.5)
    written, lost = len(lines_of(log)), room.metric(dropped)
    report.check(f"{name}: each line is in the file or counted as lost",
                 written + lost in (SESSIONS + 3, SESSIONS + 4), f"{written} and {lost}")
    report.check(f"{name}: the proxy is alive", room.proxy.alive())
    os.unlink(filler)
    sessions_in_turn(room, 3)
    processes.wait_until(lambda: len(lines_of(log)) >= written + 3, SOON, "the log to go on")
    report.check(f"{name}: with room again it logs again, each on a line of its own",
                 all(re.match(BEGIN_OF_A_LINE, line) and line.count(" listener=hurt ") == 1
                     for line in lines_of(log)), lines_of(log)[-4:])
    report.equal(f"{name}: and loses no more", room.metric(dropped), lost)
    steady.check(report, name)


def log_to_full(report, options, folder):
    """A log file that never takes a byte, from the start."""
    name = "/dev/full as log"
    with Room(options, folder, log="/dev/full") as room:
        steady = Steady(room)
        sessions_in_turn(room, 5)
        processes.wait_until(lambda: room.metric("sallyport_log_lines_dropped_total") >= 5, SOON,
                             "lost lines to be counted")
        report.check(f"{name}: it serves, and counts what is lost", True)
        steady.check(report, name)
        steady.end()
        report.equal(f"{name}: it stops with 0", room.proxy.stop(), 0)


def cpu_seconds(proxy):
    with open(f"/proc/{proxy.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def no_descriptors(report, room, steady, log):
    """Too few for everybody: some are told 2003, some wait in the backlog until there are more."""
    name = "out of descriptors"
    pid = room.proxy.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    descriptors = room.descriptors()
    highest = max(int(number) for number in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + SPARE_DESCRIPTORS, before[1]))
    crowd = [room.dial() for _ in range(2 * SPARE_DESCRIPTORS)]
    time.sleep(0.5)
    cpu, began = cpu_seconds(room.proxy), time.monotonic()
    time.sleep(2)
    share = (cpu_seconds(room.proxy) - cpu) / (time.monotonic() - began)
    report.check(f"{name}: it doesn't spin", share < CPU_SHARE_MAX, f"{share:.2f} of a core")
    with open(log, encoding="utf-8") as file:
        text = file.read()
    told = "accept failed, pausing" in text or "(24)" in text
    report.check(f"{name}: the log tells", told, text[-500:])
    steady.check(report, name)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    outcomes = {"greeted": 0, "2003": 0, "1159": 0}
    for sock in crowd:
        with sock:
            _, payload = wire.read_packet(sock)
            outcomes[str(wire.Err(payload).code) if payload[:1] == b"\xff" else "greeted"] += 1
    print(f"        (of {len(crowd)}: {outcomes})")
    report.equal(f"{name}: with more, everybody is answered", sum(outcomes.values()), len(crowd))
    # Half of those there was room for at best: clients that are accepted in one batch take what
    # their servers would need.
    report.check(f"{name}: some were served", outcomes["greeted"] > 0, f"{outcomes}")
    chaos_room.check_nothing_left(report, name, room, descriptors, 1)
    sessions_in_turn(room, 3)
    report.check(f"{name}: it serves as before", True)
    steady.check(report, name)


def no_locked_memory(report, options, folder):
    """Kernels that count the ring's memory refuse it to a user who may lock none: an engine that is
    asked for says so, and `auto` goes on with epoll."""
    name = "no locked memory"
    prefix = ["prlimit", "--memlock=0"]
    if os.getuid() == 0:
        prefix += ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]
    pair = servers.new_authority(folder).issue("proxy-memlock")
    with wire.FakeServer(wire.accept_everybody) as server:
        for engine in {"auto", options.io_engine}:
            with Proxy(options.proxy, server.address, pair=pair, prefix=prefix,
                       io_engine=engine) as proxy:
                if engine == "io_uring" and not proxy.port:
                    report.check(f"{name}, {engine}: refused, and told why",
                                 proxy.exit_code == 1 and "RLIMIT_MEMLOCK" in proxy.lines[-1],
                                 proxy.lines)
                    continue
                with life_cycle.log_in(proxy.port) as sock:
                    report.check(f"{name}, {engine}: it serves", life_cycle.answers(sock))
                report.equal(f"{name}, {engine}: it stops with 0", proxy.stop(), 0)


def run_inside(options):
    report = Report()
    with processes.test_folder() as folder:
        disk = os.path.join(folder, "disk")
        os.mkdir(disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", disk],
                       check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        log = os.path.join(disk, "log")
        try:
            with Room(options, folder, log=log) as room:
                steady = Steady(room)
                report.attempt("a full disk", disk_full, report, room, steady, log)
                report.attempt("out of descriptors", no_descriptors, report, room, steady, log)
                steady.end()
                report.equal("it stops with 0", room.proxy.stop(), 0)
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
        report.attempt("/dev/full as log", log_to_full, report, options, folder)
        report.attempt("no locked memory", no_locked_memory, report, options, folder)
    return report.exit_code()


def main():
    options = parse(make_parser(__doc__))
    if os.environ.get(connect_errors.INSIDE):
        return run_inside(options)
    return connect_errors.enter_namespaces()


if __name__ == "__main__":
    processes.run_main(main)
