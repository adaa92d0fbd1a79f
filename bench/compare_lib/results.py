"""What was found: per scenario and target, one set of numbers a round; medians and ratios of them.

A machine shared with others changes its pace within minutes. So ratios are taken within a round,
where both sides ran one after the other, and their median and spread are told.
"""

import dataclasses
import statistics

from compare_lib.load import Metrics


@dataclasses.dataclass(frozen=True)
class Spread:
    """A median with the smallest and the largest value it is of."""
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread | None":
        return cls(statistics.median(values), min(values), max(values)) if values else None

    def text(self, form: str) -> str:
        if self.least == self.most:
            return f"{self.median:{form}}"
        return f"{self.median:{form}} ({self.least:{form}}–{self.most:{form}})"


class Results:
    def __init__(self) -> None:
        # rounds[scenario][target][round]: None where that run failed.
        self.rounds: dict[str, dict[str, list[Metrics | None]]] = {}
        self.failures: list[tuple[str, str, str]] = []  # Scenario, target, why.
        self.tls: dict[tuple[str, str], str] = {}       # What was negotiated.

    def add(self, scenario: str, target: str, metrics: Metrics | None) -> None:
        self.rounds.setdefault(scenario, {}).setdefault(target, []).append(metrics)

    def fail(self, scenario: str, target: str, why: str) -> None:
        self.add(scenario, target, None)
        if (scenario, target) not in [failure[:2] for failure in self.failures]:
            self.failures.append((scenario, target, why))

    def targets(self, scenario: str) -> list[str]:
        return list(self.rounds.get(scenario, {}))

    def spread(self, scenario: str, target: str, metric: str) -> Spread | None:
        rounds = self.rounds.get(scenario, {}).get(target, [])
        return Spread.of([r[metric] for r in rounds if r is not None and metric in r])

    def ratio(self, scenario: str, metric: str, above: str, below: str) -> Spread | None:
        """metric of `above` divided by that of `below`, round by round."""
        targets = self.rounds.get(scenario, {})
        ratios = []
        for a, b in zip(targets.get(above, []), targets.get(below, [])):
            if a is not None and b is not None and a.get(metric) and b.get(metric):
                ratios.append(a[metric] / b[metric])
        return Spread.of(ratios)
