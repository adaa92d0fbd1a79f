"""Starts what is needed, runs each abuse beside the load, and prints a table."""

import argparse
import dataclasses
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from compare_lib import certs, load
from compare_lib.main import REPOSITORY, build
from compare_lib.process import Failed, Process, free_port, raise_file_limit
from compare_lib.rounds import say
from compare_lib.targets import Sallyport, Setup

MIB = 1 << 20
CONNECTIONS_MAX = 8000
# What a connection may cost that stands in its log-in, TLS handshake included: its buffers and
# BoringSSL's. One that never reads: the queue towards it, and a receive that was under way.
LOGIN_BYTES_MAX = 16 << 10
READER_BYTES_MAX = MIB // 2
# What the load itself and allocators may take.
BESIDE_BYTES_MAX = 4 * MIB
# The load's p99 beside an abuse: at most so many times the calm one of the same run, or the floor.
# The abusers take CPU from the load itself, on the same core, and a storm of handshakes also from
# the proxy: the load doesn't wait for the proxy alone, hence ten times. A proxy that let sessions
# wait behind log-ins would need far longer. The floor is for calm runs so fast that one turn of the
# scheduler is ten times as long. A busy machine can break the bound: run it alone.
P99_FACTOR_MAX = 10
P99_FLOOR_US = 20_000


@dataclasses.dataclass(frozen=True)
class Abuse:
    name: str
    count: int
    short_count: int
    bytes_each_max: int
    processes: int = 1


ABUSES = (
    Abuse("slow-logins", 5000, 300, LOGIN_BYTES_MAX),
    Abuse("scan", 0, 0, 0, processes=2),
    Abuse("handshakes", 200, 50, LOGIN_BYTES_MAX, processes=2),
    Abuse("never-read", 16, 8, READER_BYTES_MAX),
)


class Victim(Sallyport):
    """The proxy, with its counters where they can be read."""

    def start(self, setup: Setup) -> None:
        self.admin = free_port()
        super().start(setup)

    def command(self, setup: Setup) -> list[str]:
        words = [word for word in super().command(setup) if not word.startswith("--admin")]
        return [*words, f"--admin=127.0.0.1:{self.admin}"]

    def metric(self, name: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as page:
            found = re.search(rf"^{name} (\S+)", page.read().decode(), re.MULTILINE)
        assert found is not None
        return int(float(found.group(1)))

    def resident(self, name: str) -> int:
        """VmRSS or VmHWM, in bytes."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"{name}:\s+(\d+)", text)
        assert found is not None
        return int(found.group(1)) << 10


@dataclasses.dataclass
class Row:
    abuse: str
    engine: str
    calm_p99: float
    abused_p99: float
    calm_bytes: int
    peak_bytes: int
    accepted: int
    open: int
    problems: list[str]


def steady_load(settings, target: Victim) -> load.Metrics:
    arguments = ["query", "--connections=32", "--rate=2000", f"--duration={settings.duration}s",
                 f"--warmup={settings.duration / 4}s", "--setup_timeout=60s"]
    return load.metrics(load.run(settings.load, target, True, arguments, settings.load_cpu))


def run_one(settings, abuse: Abuse, engine: str, setup: Setup) -> Row:
    target = Victim(settings.server.resolve(), engine)
    target.start(setup)
    abusers: list[Process] = []
    problems: list[str] = []
    count = abuse.short_count if settings.short else abuse.count
    try:
        calm = steady_load(settings, target)
        calm_bytes = target.resident("VmRSS")
        before = target.metric("sallyport_connections_accepted_total")
        for number in range(abuse.processes):
            abusers.append(Process(f"{abuse.name}-{number}", [
                "nice", "-n", "10", sys.executable, sys.argv[0], "--abuser", abuse.name,
                str(target.port), str(count // abuse.processes)], setup.folder,
                settings.load_cpu))
        wait_for_abuse(target, abuse, count)
        open_count = target.metric("sallyport_connections_open")
        try:
            abused_p99 = steady_load(settings, target)["p99"]
        except Failed as failure:
            problems.append(f"the load failed: {failure}")
            abused_p99 = float("nan")
        problems += [f"{abuser.name} ended by itself: " + abuser.log.read_text()[-300:]
                     for abuser in abusers if abuser.child.poll() is not None]
        accepted = target.metric("sallyport_connections_accepted_total") - before
        peak = target.resident("VmHWM")
        for abuser in abusers:
            abuser.child.kill()
            abuser.child.wait()
        problems += judge(target, 0 if settings.no_memory else peak - calm_bytes, abuse, count)
        if not settings.short:
            problems += judge_p99(calm["p99"], abused_p99)
        return Row(abuse.name, engine, calm["p99"], abused_p99, calm_bytes, peak, accepted,
                   open_count, problems)
    finally:
        for abuser in abusers:
            abuser.child.kill()
            abuser.child.wait()
        target.stop()


def wait_for_abuse(target: Victim, abuse: Abuse, count: int) -> None:
    """Until it is in full swing; what it can't hold at once it comes close to."""
    deadline = time.monotonic() + 60
    wanted = count * 8 // 10 if abuse.name in ("slow-logins", "never-read") else 1
    while target.metric("sallyport_connections_open") < wanted:
        if time.monotonic() > deadline:
            raise Failed(f"{abuse.name}: only "
                         f"{target.metric('sallyport_connections_open')} of {wanted} connections")
        time.sleep(0.1)
    time.sleep(0.5)


def judge(target: Victim, grown: int, abuse: Abuse, count: int) -> list[str]:
    problems = []
    bound = BESIDE_BYTES_MAX + count * abuse.bytes_each_max
    if grown > bound:
        problems.append(f"memory grew by {grown / MIB:.1f} MiB, over its bound of "
                        f"{bound / MIB:.1f} MiB")
    deadline = time.monotonic() + 20  # A log-in that was left is finished within two seconds.
    while target.metric("sallyport_connections_open") > 0:
        if time.monotonic() > deadline:
            problems.append(f"{target.metric('sallyport_connections_open')} connections are left")
            break
        time.sleep(0.1)
    return problems


def judge_p99(calm: float, abused: float) -> list[str]:
    """Of the full form only: no test judges time."""
    bound = max(P99_FLOOR_US, P99_FACTOR_MAX * calm)
    if abused <= bound or math.isnan(abused):  # Not a number: the load failed, and that was said.
        return []
    return [f"p99 went from {calm:.0f} to {abused:.0f} us, over its bound of {bound:.0f} us"]


def table(rows: list[Row]) -> str:
    lines = ["| abuse | engine | connections taken meanwhile | p99 without, us | p99 with, us | "
             "RSS without, MiB | peak RSS with, MiB |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row.abuse} | {row.engine} | {row.accepted:,} | {row.calm_p99:.0f} | "
                     f"{row.abused_p99:.0f} | {row.calm_bytes / MIB:.1f} | "
                     f"{row.peak_bytes / MIB:.1f} |")
    return "\n".join(lines)


def parse(about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    add = parser.add_argument
    add("--short", action="store_true", help="a little of each; the times mean nothing")
    add("--engines", default="io_uring,epoll")
    add("--abuses", default=",".join(abuse.name for abuse in ABUSES))
    add("--duration", type=float, default=5, help="seconds of load, without and with each abuse")
    add("--no_memory", action="store_true", help="don't judge memory: of a sanitizer's build")
    add("--unpinned", action="store_true", help="don't bind processes to CPUs")
    for name in ("server", "load", "responder"):
        add(f"--{name}", type=pathlib.Path, help="else it is built")
    settings = parser.parse_args()
    if settings.short:
        settings.duration = 1
    return settings


def main(about: str) -> int:
    settings = parse(about)
    raise_file_limit()
    pin = not settings.unpinned and not settings.short
    settings.load_cpu = 1 if pin else None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-abuse-"))
    rows = []
    try:
        build(settings)
        port = free_port()
        responder = Process("responder", [str(settings.responder), f"--listen=127.0.0.1:{port}"],
                            folder, settings.load_cpu)
        try:
            responder.wait_for_port(port)
            setup = Setup(folder, certs.make(folder)["ecdsa"], port, responder.pid,
                          CONNECTIONS_MAX, 0 if pin else None)
            for abuse in ABUSES:
                for engine in settings.engines.split(","):
                    if abuse.name not in settings.abuses.split(","):
                        continue
                    say(f"{abuse.name}, {engine}")
                    rows.append(run_one(settings, abuse, engine, setup))
        finally:
            responder.stop()
    except Failed as failure:
        say(f"abuse: {failure}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(rows))
    failures = [f"{row.abuse}, {row.engine}: {problem}" for row in rows for problem in row.problems]
    for failure in failures:
        print("FAILED: " + failure)
    print(f"{REPOSITORY.name}: {len(rows)} runs, {len(failures)} failures")
    return 1 if failures else 0
