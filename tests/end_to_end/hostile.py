"""How a connection may end, and how a table of misbehaviours is run and judged.

A case of either table ends as its row says, in time, with one line in the log that gives the row's
reason. All rows run beside each other on one proxy; a neighbour's session is served meanwhile, and
afterwards memory and descriptors are what they were.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import re
import threading
import time

import mysql_wire as wire
import processes
import sanitizer
from proxy import Proxy

# Seconds. Listeners are hasty where a case is to end by their time-out, and else so patient that no
# busy machine makes one.
HASTY, PATIENT = 4, int(processes.patience(30))
# In which an end comes that waits for nothing; the machine may be busy.
SOON = processes.patience(8)
LATE = HASTY + SOON
THREADS = 40
# What a bulk of hostile connections may cost at a time, and what allocators and the workers' rooms,
# once they were used, may keep of it.
PEAK_KIB_MAX = 96 << 10
GROWTH_KIB_MAX = 24 << 10


class Wrong(Exception):
    """The proxy did something else than the case says; the message tells what."""


@dataclasses.dataclass
class Seen:
    """What a client saw from the misbehaviour on. `how`: FIN, RST, close_notify, "alert NAME",
    served (it did not end), left (the client itself ended it), open (it did not end in time)."""
    data: bytes = b""
    how: str = ""
    seconds: float = 0.0
    next_id: int = 0  # The sequence id that an ERR must have.
    tls: bool = False


@dataclasses.dataclass(frozen=True)
class End:
    """`codes` of the one ERR_Packet that comes before, None for no packet at all, () for
    whatever; `hows` as in Seen."""
    codes: tuple = None
    hows: tuple = ()

    def complaint(self, seen):
        hows = self.hows or (("close_notify",) if seen.tls else ("FIN",))
        if seen.how not in hows:
            return f"expected {' or '.join(hows)}, got {seen.how} behind {seen.data[:90]!r}"
        if self.codes is None:
            return f"expected no packet, got {seen.data[:90]!r}" if seen.data else ""
        return self._err_complaint(seen) if self.codes else ""

    def _err_complaint(self, seen):
        if len(seen.data) < 4 or seen.data[4:5] != b"\xff":
            return f"expected ERR {self.codes}, got {seen.data[:90]!r}, {seen.how}"
        found = wire.Err(seen.data[4:], seen.data[3])
        if found.code not in self.codes:
            return f"expected ERR {self.codes}, got {found}"
        if found.sequence_id != seen.next_id:
            return f"expected sequence id {seen.next_id}, got {found}"
        if len(seen.data) != 4 + int.from_bytes(seen.data[:3], "little"):
            return f"more than one packet: {seen.data!r}"
        return ""


def ERR(*codes):  # pylint: disable=invalid-name
    return End(codes)


def ALERT(*names):  # pylint: disable=invalid-name
    return End(None, tuple("alert " + name for name in names))


CLOSED = End(None)                            # FIN, behind close_notify where TLS stands.
CUT = End(None, ("FIN", "RST"))               # Nothing more can be said.
GONE = End((), ("FIN", "RST", "close_notify"))  # Whatever came before.
BROKEN = End((), (*GONE.hows, "alert internal_error"))  # And perhaps the server's side broke.
RESET = End((), ("RST",))
SERVED = End((), ("served",))
LEFT = End((), ("left",))


@dataclasses.dataclass
class Run:
    """One case on one way of getting there. `key` is what its line in the log is found by."""
    name: str
    end: End
    reason: str
    within: float
    key: str
    act: object  # Gives a Seen.
    times: int = 1
    seen: list = dataclasses.field(default_factory=list)
    complaints: list = dataclasses.field(default_factory=list)

    def hasty(self):
        return self.reason == "handshake_timeout"

    def go(self):
        for _ in range(self.times):
            try:
                self.seen.append(self.act())
            except Wrong as wrong:
                self.complaints.append(str(wrong))
            except Exception as error:  # pylint: disable=broad-except
                self.complaints.append(f"{type(error).__name__}: {error}")

    def judge(self, lines):
        complaints = list(self.complaints)
        for seen in self.seen:
            complaints.append(self.end.complaint(seen))
            if seen.seconds > self.within:
                complaints.append(f"it took {seen.seconds:.1f} s, {self.within} s at most")
        reasons = [line["reason"] for line in lines]
        good = len(reasons) == self.times and all(
            reason in self.reason.split("|") for reason in reasons)
        if not good:
            details = {line.get("detail", "") for line in lines}
            complaints.append(f"expected {self.times} line(s) with {self.reason}, found {reasons} "
                              f"{details}")
        return "; ".join(sorted({complaint for complaint in complaints if complaint}))


class Neighbour:
    """A good session beside the hostile ones: a logged-in Peer that asks all the time, and is each
    time answered soon."""

    def __init__(self, peer):
        self.peer, self.slowest, self.count, self.error = peer, 0.0, 0, ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.05):
            began = time.monotonic()
            try:
                self.peer.query()
            except (Wrong, OSError, EOFError) as error:
                self.error = f"{type(error).__name__}: {error}"
                return
            self.count += 1
            self.slowest = max(self.slowest, time.monotonic() - began)

    def stop(self):
        self._over.set()
        self._thread.join()
        self.peer.sock.close()


def sockets(proxy):
    """How many it has open. Its pipes are pooled, and stay."""
    folder = f"/proc/{proxy.process.pid}/fd"
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(os.path.join(folder, name)).startswith("socket:")
    return count


def peak_kib(proxy):
    with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))


def log_lines(proxy, key):
    """The fields of each ended connection's line, by key(line)."""
    found = collections.defaultdict(list)
    for line in proxy.lines:
        if line.startswith("{"):
            fields = json.loads(line)
            if "reason" in fields:
                found[key(fields)].append(fields)
    return found


def write_config(path, pair, tables):
    """`tables` are dictionaries: one [[listener]] each."""
    # More workers than the machine has CPUs, for each tells only so many failed connections.
    lines = ['log_format = "json"', "workers = 4", f"handshake_timeout = {PATIENT}",
             f"connect_timeout = {processes.patience(1):.0f}",
             f'tls_cert = "{pair[0]}"', f'tls_key = "{pair[1]}"']
    for table in tables:
        lines.append("[[listener]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    return path


def ports_of(proxy, count):
    """Of each listener, in the configuration's order."""
    def ready():
        found = [int(line.group(1)) for line in
                 (re.search(r"listening on \S*?:(\d+)", text) for text in proxy.lines) if line]
        return found if len(found) >= count else None
    return processes.wait_until(ready, 20, f"{count} listeners")


def run_all(report, options, config, listeners, make_runs, key, neighbour_of, check_good):
    """Runs the cases on one proxy. make_runs(ports) gives Runs, and key(line) what of a line in the
    log is a Run's key; neighbour_of(ports) a logged-in Peer; check_good(ports) uses the proxy as
    its users do, and raises where that fails."""
    with Proxy(options.proxy, None, config=config, io_engine=options.io_engine,
               admin=False) as proxy:
        if not report.check("the proxy starts", proxy.port, " / ".join(proxy.lines)):
            return
        ports = ports_of(proxy, listeners)
        check_good(ports)  # So that what is opened and allocated once is there.
        time.sleep(0.2)
        kib, before = proxy.resident_kib(), sockets(proxy)
        neighbour = Neighbour(neighbour_of(ports))
        runs = make_runs(ports)
        began = time.monotonic()
        # Those that are to run into a time-out first, for they have to get there in time.
        for hasty in (True, False):
            with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(Run.go, [run for run in runs if run.hasty() == hasty]))
        neighbour.stop()
        seconds = time.monotonic() - began
        # The neighbour's are two.
        report.attempt("no connection is left over", processes.wait_until,
                       lambda: not proxy.alive() or sockets(proxy) <= before, 15,
                       f"{before} sockets, as before")
        report.equal("the neighbour's session is served", neighbour.error, "")
        report.check("and never waits long", neighbour.slowest < SOON,
                     f"{neighbour.slowest:.1f} s")
        if report.check("the proxy lives", proxy.alive(), f"exit code {proxy.exit_code}"):
            check_memory(report, options, proxy, kib)
        report.attempt("a good client is served", check_good, ports)
        report.equal("it stops with 0", proxy.stop(), 0)
    lines = log_lines(proxy, key)
    for run in runs:
        complaint = run.judge(lines[run.key])
        report.check(run.name, not complaint, complaint)
    print(f"{sum(run.times for run in runs)} hostile connections in {seconds:.1f} s; the neighbour "
          f"asked {neighbour.count} times and waited {1000 * neighbour.slowest:.0f} ms at most")


def check_memory(report, options, proxy, before):
    peak, after = peak_kib(proxy), proxy.resident_kib()
    print(f"memory: {before} KiB before, {peak} at most, {after} after")
    if sanitizer.name_of(options.proxy):
        print("SKIPPED: what memory a sanitizer's build takes")
        return
    report.check("memory is bounded", peak - before < PEAK_KIB_MAX, f"{peak - before} KiB more")
    report.check("and given back", after - before < GROWTH_KIB_MAX, f"{after - before} KiB more")
