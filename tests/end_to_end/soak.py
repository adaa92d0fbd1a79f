#!/usr/bin/python3
"""Hours of ordinary life in one go: the proxy must end as it began.

    soak.py --proxy PATH [--io_engine epoll] [--queries 10000000] [--connections 100000]
            [--seconds 420]

Real clients of every kind, sysbench over TLS, and short sessions of PyMySQL, while SIGHUP brings
new certificates again and again. It goes on until both numbers are reached or the time is over,
slice by slice. Then no connection may be open, memory, descriptors, pipes and places for
connections must be what they were after the first slice, and nothing may wait or be lent.
"""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import clients
import leaks
import processes
import sanitizer
from chaos_room import Room
from options import make_parser, parse
from report import Report

HERE = os.path.dirname(os.path.realpath(__file__))
SESSION_PROCESSES = 2
SYSBENCH_THREADS = 8
RELOAD_EVERY = 1
GROWTH_KIB_MAX = 4 << 10
SLOTS_GROWTH_MAX = 64  # Slices differ in how many were open at once, by a client's connections.
IDLE = ("connections_open", "send_queue_bytes", "pipe_bytes", "pipes_lent")
# What the workers' pools may keep: two ends of 64 pipes each.
PIPE_ENDS_MAX = 2 * 2 * 64


@dataclasses.dataclass
class Counts:
    queries: int = 0
    connections: int = 0
    reloads: int = 0
    runs_of_clients: int = 0


class Soak:
    def __init__(self, report, options, room, ready, account):
        self.report, self.options, self.room, self.ready = report, options, room, ready
        self.account = account
        self.counts = Counts()
        self._turn = 0
        self._reloads = 0
        self._pairs = [room.authority.issue(f"soak-{name}") for name in "abc"]

    def slice(self, seconds):
        """Everything at once for so long; each failure is a check that failed."""
        sysbench = processes.start(
            [*leaks.sysbench_command(("127.0.0.1", self.room.port), self.account, "--mysql-ssl=on",
                                     f"--threads={SYSBENCH_THREADS}", f"--time={seconds}"), "run"],
            cwd=self.room.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        sessions = [processes.start(
            ["/usr/bin/python3", os.path.join(HERE, "soak_client.py"), str(self.room.port),
             self.room.ca, self.account.user, str(seconds)], stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, SALLYPORT_PASSWORD=self.account.password))
            for _ in range(SESSION_PROCESSES)]
        over = threading.Event()
        others = [threading.Thread(target=work, args=(over,))
                  for work in (self._real_clients, self._reload)]
        for thread in others:
            thread.start()
        outputs = [process.communicate()[0] for process in (sysbench, *sessions)]
        over.set()
        for thread in others:
            thread.join()
        self._count(outputs, sysbench.returncode)

    def _count(self, outputs, code):
        found = re.search(r"queries:\s+(\d+)", outputs[0])
        clean = "ignored errors:                      0  " in outputs[0] and code == 0
        self.report.check("sysbench: no error", found and clean, outputs[0][-600:])
        self.counts.queries += int(found.group(1)) if found else 0
        self.counts.connections += SYSBENCH_THREADS
        for output in outputs[1:]:
            *wrong, last = output.splitlines()
            self.report.equal("short sessions: none failed", wrong, [])
            self.counts.connections += int(last.split()[0])
            self.counts.queries += int(last.split()[1])

    def _real_clients(self, over):
        """One after another, each operation of each."""
        runs = [(client, operation) for client in self.ready for operation in client.operations
                if operation != "wrong_password"]
        while not over.is_set():
            client, operation = runs[self._turn % len(runs)]
            self._turn += 1
            ok, text = client.run(operation, ("127.0.0.1", self.room.port), self.account,
                                  self.room.ca, self.room.hurt.account("second"))
            if not ok:
                self.report.check(f"{client.name}: {operation}", False, text)
            self.counts.runs_of_clients += 1
            self.counts.connections += 1

    def _reload(self, over):
        """A certificate that differs, under the names of the old."""
        while not over.wait(RELOAD_EVERY):
            self._reloads += 1
            for new, old in zip(self._pairs[self._reloads % 3], self.room.pair):
                shutil.copy(new, old + ".new")
                os.rename(old + ".new", old)
            mark = self.room.proxy.mark()
            self.room.proxy.process.send_signal(signal.SIGHUP)
            line = self.room.proxy.wait_line(" (reloaded|reload refused)", 10, mark) or "no line"
            if " reloaded" not in line:
                # Between the two renames certificate and key don't fit, but then nobody asks.
                self.report.check("a reload succeeds", False, line)
            self.counts.reloads += 1

    def state(self):
        """(KiB, descriptors, pipes' ends) once nothing is open any more."""
        processes.wait_until(lambda: self.room.open_count() == 0, 30, "connections to go")
        time.sleep(1)  # The admin port's connection, too, through which that was asked.
        descriptors = self.room.descriptors()
        found = (self.room.proxy.resident_kib(), descriptors,
                 self.room.proxy.descriptors() - descriptors)
        for name in IDLE:
            self.report.equal(f"{name}, when all is over", self.room.metric(f"sallyport_{name}"), 0)
        return found


def soak(report, options, room, ready):
    certificate, key = room.authority.issue("sysbench")
    for source, name in ((room.authority.ca, "cacert.pem"), (certificate, "client-cert.pem"),
                         (key, "client-key.pem")):
        shutil.copy(source, os.path.join(room.folder, name))
    account = room.hurt.account("native")
    subprocess.run([*leaks.sysbench_command(("127.0.0.1", room.hurt.port), account), "prepare"],
                   check=True, capture_output=True)
    soak_run = Soak(report, options, room, ready, account)
    began = time.monotonic()
    soak_run.slice(options.slice)
    first = soak_run.state()
    slots = room.metric("sallyport_connection_slots")
    counts = soak_run.counts
    while ((counts.queries < options.queries or counts.connections < options.connections)
           and time.monotonic() - began + options.slice < options.seconds):
        soak_run.slice(options.slice)
        print(f"        {time.monotonic() - began:.0f} s: {counts}, "
              f"{room.proxy.resident_kib()} KiB")
        room.proxy.forget_lines()
    last = soak_run.state()
    print(f"{counts}\nKiB, descriptors, pipes' ends after the first slice: {first}; at the end: "
          f"{last}")
    report.check("queries were answered", counts.queries > 1000, str(counts))
    report.check("every client had its turn or the time was short",
                 counts.runs_of_clients >= min(len(ready), 3), str(counts))
    report.equal("descriptors are as they were", last[1], first[1])
    slots = room.metric("sallyport_connection_slots") - slots
    report.check("places for connections are as many", slots <= SLOTS_GROWTH_MAX, f"{slots} more")
    report.check(f"pipes stay under {PIPE_ENDS_MAX} ends", last[2] <= PIPE_ENDS_MAX, str(last))
    if not sanitizer.name_of(options.proxy):
        report.check(f"memory grew by less than {GROWTH_KIB_MAX} KiB",
                     last[0] - first[0] < GROWTH_KIB_MAX, f"by {last[0] - first[0]} KiB")
    report.equal("log lines that were lost", room.metric("sallyport_log_lines_dropped_total"), 0)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--queries", type=int, default=10_000_000)
    parser.add_argument("--connections", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=36_000, help="at the longest")
    parser.add_argument("--slice", type=int, default=20, help="seconds")
    options = parse(parser)
    if not shutil.which("sysbench"):
        raise processes.Skipped("sysbench is not installed")
    report = Report()
    ready = [client for client in clients.ready() if client.name != "mysql-zstd"]  # Not MariaDB's.
    # A JVM on a busy machine takes its time to log in.
    with processes.test_folder() as folder, Room(options, folder, handshake_timeout=9) as room:
        report.attempt("soak", soak, report, options, room, ready)
        report.equal("it stops with 0", room.proxy.stop(), 0)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
