"""Command line, and the order of things."""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

from compare_lib import certs, goals, namespace, pictures, real, report, rounds
from compare_lib.process import Failed, raise_file_limit
from compare_lib.results import Results
from compare_lib.rounds import say
from compare_lib.scenarios import GROWTH, Scenario, all_scenarios
from compare_lib.targets import (Direct, External, HAProxy, HAProxySplice, HAProxyTls, Sallyport,
                                 Target, find_router, has_haproxy)

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
SHORT_CONNECTIONS_MAX = 50
# What targets are told to allow: more than any scenario has.
CONNECTIONS_MAX = 25000
# A proxy needs two files for each connection, and some for itself.
FILES_PER_CONNECTION = 2
FILES_BESIDE = 200
FOLDER = "SALLYPORT_COMPARE_FOLDER"


def parse(about: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--short", action="store_true", help="everything a little: does the harness work?")
    add("--scenarios", default="", help="names with commas, or beginnings of names; see --list")
    add("--targets", default="", help="names with commas")
    add("--list", action="store_true", help="list the scenarios, and end")
    add("--rounds", type=int, default=5)
    add("--duration", type=float, default=5, help="seconds of each measurement")
    add("--warmup", type=float, default=1, help="seconds before each measurement")
    add("--target", action="append", default=[], metavar="NAME=127.0.0.1:PORT,PID",
        help="also measure this process, in front of whatever it stands")
    add("--sallyport", action="append", default=[], metavar="NAME=FILE [FLAG ...]",
        help=f"also measure this build of the proxy ({goals.UPSTREAM}: with current BoringSSL), "
             "or the same one with other flags")
    add("--server", type=pathlib.Path, help="the proxy; else it is built")
    add("--load", type=pathlib.Path, help="the load generator; else it is built")
    add("--responder", type=pathlib.Path, help="the responder; else it is built")
    add("--mysql_root", type=pathlib.Path, default=REPOSITORY / "tools/mysql_root",
        help="the tool that tells where MySQL Router is")
    add("--congestion", default="cubic", help="congestion control, for all alike")
    add("--unpinned", action="store_true", help="don't bind processes to CPUs")
    add("--out", type=pathlib.Path, default=REPOSITORY / "bench/out")
    arguments = parser.parse_args()
    if arguments.short:
        arguments.rounds, arguments.duration, arguments.warmup = 1, 0.2, 0.1
    return arguments


def build(arguments: argparse.Namespace) -> None:
    """Fills in the binaries that weren't given."""
    places = {"server": "proxy/server", "load": "bench/load", "responder": "bench/responder"}
    missing = [name for name in places if getattr(arguments, name) is None]
    if not missing:
        return
    labels = ["//" + places[name].replace("/", ":") for name in missing]
    if not namespace.inside():
        say("building " + " ".join(labels))
        subprocess.run(["bazel", "build", "--noshow_progress", "--ui_event_filters=-info",
                        "--show_result=0", *labels], cwd=REPOSITORY, check=True)
    for name in missing:
        # Not the link that the next build will point elsewhere.
        setattr(arguments, name, (REPOSITORY / "bazel-bin" / places[name]).resolve())


def find_targets(arguments: argparse.Namespace, notes: list[str]) -> list[Target]:
    targets: list[Target] = [Direct()]
    builds = [("sallyport", shlex.quote(str(arguments.server)))]
    builds += [(f"sallyport-{name}", command)
               for name, _, command in (text.partition("=") for text in arguments.sallyport)]
    for name, command in builds:
        path, *flags = shlex.split(command)
        targets += [Sallyport(pathlib.Path(path).resolve(), engine, name, flags)
                    for engine in ("io_uring", "epoll")]
    if has_haproxy():
        targets += [HAProxy(), HAProxySplice(), HAProxyTls()]
    else:
        notes.append("HAProxy SKIPPED: it is not installed")
    router = find_router(arguments.mysql_root)
    if router is not None:
        targets.append(router)
    else:
        notes.append("MySQL Router SKIPPED: tools/mysql_root hasn't made its folder")
    for text in arguments.target:
        name, _, rest = text.partition("=")
        address, _, pid = rest.partition(",")
        targets.append(External(name, address, int(pid)))
    if arguments.targets:
        wanted = arguments.targets.split(",")
        unknown = set(wanted) - {target.name for target in targets}
        if unknown:
            notes.append(f"{', '.join(sorted(unknown))} SKIPPED: no such target here")
        targets = [target for target in targets if target.name in wanted]
    return targets


def find_scenarios(arguments: argparse.Namespace, notes: list[str]) -> list[Scenario]:
    scenarios = all_scenarios()
    if arguments.scenarios:
        wanted = tuple(arguments.scenarios.split(","))
        scenarios = [s for s in scenarios if s.name.startswith(wanted)]
    elif arguments.short:
        scenarios = [s for s in scenarios if s.in_short]
    if not real.available() and any(s.sysbench for s in scenarios):
        notes.append("sysbench SKIPPED: MariaDB or sysbench is not installed")
        scenarios = [s for s in scenarios if not s.sysbench]
    return scenarios


def connections_max(arguments: argparse.Namespace, notes: list[str]) -> int:
    if arguments.short:
        notes.append("--short: far too little of everything, the numbers mean nothing")
        return SHORT_CONNECTIONS_MAX
    files = raise_file_limit()
    allowed = (files - FILES_BESIDE) // FILES_PER_CONNECTION
    most = min(CONNECTIONS_MAX, allowed) - rounds.CONNECTIONS_BESIDE
    if most < max(GROWTH):
        notes.append(f"{most:,} connections instead of {max(GROWTH):,}: {files:,} open files "
                     "are the limit here")
    return most


def measure(arguments: argparse.Namespace, folder: pathlib.Path) -> int:
    notes: list[str] = []
    if namespace.inside():
        namespace.set_up(arguments.congestion)
        notes.append(f"all sockets on one loopback, congestion control {arguments.congestion}")
    else:
        notes.append("on the machine's own loopback, with its own congestion control")
    pin = not arguments.unpinned and (os.cpu_count() or 1) > 1
    notes.append("target on CPU 0 with one worker, load and responder on CPU 1; sysbench unpinned"
                 if pin else "nothing pinned to a CPU")
    notes.append(f"{arguments.rounds} rounds of {arguments.duration:g} s; load average at the "
                 f"start {os.getloadavg()[0]:.1f}")
    most = connections_max(arguments, notes)
    scenarios = find_scenarios(arguments, notes)
    targets = find_targets(arguments, notes)
    for note in notes:
        say(note)

    settings = rounds.Settings(
        folder=folder, load=arguments.load, responder=arguments.responder,
        rounds=arguments.rounds, seconds=arguments.duration, warmup=arguments.warmup,
        target_cpu=0 if pin else None, load_cpu=1 if pin else None,
        connections_max=most,
        rows=1000 if arguments.short else real.ROWS)
    results = Results()
    rounds.Bench(settings, targets, results, certs.make(folder)).run(scenarios)

    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    drawn = pictures.draw(out, results) if pictures.available() else []
    report.write(out / "results.md", results, scenarios, targets, notes, drawn, REPOSITORY)
    (out / "results.json").write_text(json.dumps(results.rounds, indent=1), encoding="utf-8")
    print("\n".join(report.goals_table(results)))
    print(f"\nAll of it: {out / 'results.md'}")
    for scenario, target, why in results.failures:
        say(f"FAILED: {scenario}, {target}: {why}")
    return 1 if results.failures else 0


def main(about: str) -> int:
    arguments = parse(about)
    if arguments.list:
        for scenario in all_scenarios():
            print(f"{scenario.name:16} {scenario.title}")
        return 0
    try:
        build(arguments)
        if namespace.inside():
            return measure(arguments, pathlib.Path(os.environ[FOLDER]))
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-compare-"))
        try:
            # A target of somebody else's is on the machine's own network.
            if not arguments.target and namespace.available():
                return namespace.run_inside({FOLDER: str(folder)})
            return measure(arguments, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except (Failed, subprocess.CalledProcessError) as failure:
        say(f"compare: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(__doc__ or ""))
