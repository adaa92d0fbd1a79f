"""Runs scenarios: round by round, and in each round target after target (A B A B ...)."""

import dataclasses
import pathlib
import sys
import time

from compare_lib import load, real
from compare_lib.certs import Certificate
from compare_lib.process import Failed, Process, free_port
from compare_lib.results import Results
from compare_lib.scenarios import Scenario
from compare_lib.targets import Direct, DirectTls, Setup, Target

# Targets allow so many more than a scenario holds: a storm's ended connections linger a moment, and
# a crowd has busy ones beside it.
CONNECTIONS_BESIDE = 100


@dataclasses.dataclass
class Settings:
    folder: pathlib.Path
    load: pathlib.Path
    responder: pathlib.Path
    rounds: int
    seconds: float
    warmup: float
    target_cpu: int | None  # None: nothing is pinned.
    load_cpu: int | None
    connections_max: int    # More than this is cut down to it; what targets are to allow.
    rows: int = real.ROWS


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One server and the targets in front of it; they run while a group of scenarios does."""

    def __init__(self, settings: Settings, targets: list[Target], results: Results,
                 certificates: dict[str, Certificate]) -> None:
        self.settings = settings
        self.targets = targets
        self.results = results
        self.certificates = certificates

    def run(self, scenarios: list[Scenario]) -> None:
        """Groups of scenarios that can share their processes run one after the other."""
        for kind in ("ecdsa", "rsa"):
            group = [s for s in scenarios if s.certificate == kind and not s.sysbench]
            if group:
                self._run_responder_group(group, self.certificates[kind])
        group = [s for s in scenarios if s.sysbench]
        if group:
            self._run_sysbench_group(group)

    def _run_responder_group(self, group: list[Scenario], certificate: Certificate) -> None:
        s = self.settings
        port = free_port()
        responder = Process("responder", [str(s.responder), f"--listen=127.0.0.1:{port}"],
                            s.folder, s.load_cpu)
        try:
            responder.wait_for_port(port)
            setup = Setup(s.folder, certificate, port, responder.pid,
                          s.connections_max + CONNECTIONS_BESIDE,
                          s.target_cpu)
            lasting = [scenario for scenario in group if not scenario.fresh]
            if lasting:
                with _Started(self.targets, setup, self.results):
                    for scenario in lasting:
                        self._run_rounds(scenario, self.targets, self._load_runner())
            for scenario in group:
                if scenario.fresh:
                    self._run_rounds(scenario, self.targets, self._fresh_runner(setup))
        finally:
            responder.stop()

    def _run_sysbench_group(self, group: list[Scenario]) -> None:
        s = self.settings
        say("preparing MariaDB")
        certificate = self.certificates["ecdsa"]
        server = real.MariaDB(s.folder, certificate, s.rows)
        # sysbench starts TLS as MySQL clients do, or not at all.
        targets = [DirectTls() if isinstance(t, Direct) else t for t in self.targets
                   if t.tls != "direct"]
        setup = Setup(s.folder, certificate, server.port, server.pid, s.connections_max, None)
        try:
            with _Started(targets, setup, self.results):
                for scenario in group:
                    self._run_rounds(scenario, targets, self._sysbench_runner(certificate))
        finally:
            server.stop()

    def _run_rounds(self, scenario: Scenario, targets: list[Target], runner) -> None:
        say(f"{scenario.name}: {scenario.title}")
        fitting = [t for t in targets if scenario.fits(t) and (t.port or scenario.fresh)]
        for number in range(min(self.settings.rounds, scenario.rounds_max)):
            for target in fitting:
                start = time.monotonic()
                try:
                    metrics = runner(scenario, target)
                except Failed as failure:
                    self.results.fail(scenario.name, target.name, str(failure))
                    say(f"  round {number + 1}  {target.name:20}  failed: {failure}")
                    continue
                self.results.add(scenario.name, target.name, metrics)
                say(f"  round {number + 1}  {target.name:20}  {_line(scenario, metrics)}"
                    f"  [{time.monotonic() - start:.1f} s]")

    def _load_arguments(self, scenario: Scenario) -> list[str]:
        s = self.settings
        arguments = [*scenario.load, f"--duration={s.seconds}s", f"--warmup={s.warmup}s",
                     "--setup_timeout=180s"]
        for index, argument in enumerate(arguments):
            name, _, value = argument.partition("=")
            if name == "--connections" and int(value) > s.connections_max:
                arguments[index] = f"{name}={s.connections_max}"
            if name == "--crowd":  # Beside some others.
                arguments[index] = f"{name}={min(int(value), s.connections_max * 9 // 10)}"
        return arguments

    def _load_runner(self):
        s = self.settings

        def run(scenario: Scenario, target: Target):
            result = load.run(s.load, target, scenario.tls, self._load_arguments(scenario),
                              s.load_cpu)
            self.results.tls[scenario.name, target.name] = result["tls"]
            return load.metrics(result)
        return run

    def _fresh_runner(self, setup: Setup):
        runner = self._load_runner()

        def run(scenario: Scenario, target: Target):
            with _Started([target], setup, self.results):
                return runner(scenario, target)
        return run

    def _sysbench_runner(self, certificate: Certificate):
        s = self.settings

        def run(scenario: Scenario, target: Target):
            return real.run(target, list(scenario.load), s.seconds, s.rows, s.folder, certificate)
        return run


class _Started:
    """Targets while they run. One that can't start is left out, and the results say why."""

    def __init__(self, targets: list[Target], setup: Setup, results: Results) -> None:
        self.targets = targets
        self.setup = setup
        self.results = results

    def __enter__(self) -> None:
        for target in self.targets:
            try:
                target.start(self.setup)
            except Failed as failure:
                target.stop()
                target.port = 0
                if len(self.targets) == 1:
                    raise
                self.results.failures.append(("start", target.name, str(failure)))
                say(f"{target.name} can't be started: {failure}")

    def __exit__(self, *_) -> None:
        for target in self.targets:
            target.stop()


def _line(scenario: Scenario, metrics: load.Metrics) -> str:
    return "  ".join(f"{metrics[metric]:{form}} {title}" for metric, title, form in scenario.columns
                     if metric in metrics)
