"""results.md: the goals, a table a scenario, and what the machine was."""

import datetime
import os
import pathlib
import platform
import subprocess
import textwrap

from compare_lib.goals import all_goals
from compare_lib.results import Results
from compare_lib.scenarios import CPU_OF, Scenario
from compare_lib.targets import Target

OURS = "sallyport"


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return (done.stdout or done.stderr).strip().partition("\n")[0] or "unknown"


def machine(repository: pathlib.Path) -> list[str]:
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    git = ["git", "-C", str(repository)]
    changed = " with local changes" if _first_line(git + ["status", "--porcelain"]) != "unknown" \
        else ""
    return [
        f"commit {_first_line(git + ['rev-parse', '--short=12', 'HEAD'])}{changed}",
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"Linux {platform.release()}, {os.cpu_count()} CPUs, {model}",
        _first_line(["haproxy", "-v"]),
        _first_line(["mariadbd", "--version"]),
    ]


def goals_table(results: Results) -> list[str]:
    lines = ["| work | goal | found, median (least–most) | |", "|---|---|---|---|"]
    for goal in all_goals():
        spread = goal.value(results)
        if spread is None:
            lines.append(f"| {goal.work} | {goal.wanted} | – | not measured |")
        else:
            verdict = "met" if goal.met(spread.median) else "**missed**"
            lines.append(f"| {goal.work} | {goal.wanted} | {spread.text(goal.form)} | {verdict} |")
    return lines


def scenario_table(scenario: Scenario, results: Results) -> list[str]:
    cost = CPU_OF[scenario.columns]
    titles = [title for _, title, _ in scenario.columns]
    cost_title = next(title for metric, title, _ in scenario.columns if metric == cost)
    head = ["target", *titles, f"{cost_title}, × {OURS}"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for target in results.targets(scenario.name):
        cells = [target]
        for metric, _, form in scenario.columns:
            spread = results.spread(scenario.name, target, metric)
            cells.append("failed" if spread is None else spread.text(form))
        ratio = results.ratio(scenario.name, cost, target, OURS)
        cells.append("–" if ratio is None else ratio.text(".2f"))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def write(path: pathlib.Path, results: Results, scenarios: list[Scenario], targets: list[Target],
          notes: list[str], pictures: list[str], repository: pathlib.Path) -> None:
    lines = ["# Results of bench/compare", ""]
    lines += [f"- {line}" for line in machine(repository) + notes]
    lines += ["", "## Goals", "", *goals_table(results), "", "## Targets", ""]
    lines += [f"- `{target.name}`: {target.about}" for target in targets]
    if results.failures:
        lines += ["", "## What failed", ""]
        for scenario, target, why in results.failures:
            text = f"- {scenario}, {target}: {' '.join(why.split())[:300]}"
            lines += textwrap.wrap(text, 100, subsequent_indent="  ")
    lines += ["", "## Scenarios", "",
              "Cells are medians over the rounds, with the least and the most. Ratios are taken "
              "within each round."]
    for scenario in scenarios:
        if results.targets(scenario.name):
            lines += ["", f"### {scenario.name}: {scenario.title}", "",
                      *scenario_table(scenario, results)]
    negotiated = sorted({(target, tls) for (_, target), tls in results.tls.items() if tls})
    if negotiated:
        text = "Negotiated: " + "; ".join(f"{target} {tls}" for target, tls in negotiated)
        lines += ["", *textwrap.wrap(text, 100)]
    if pictures:
        lines += ["", "## Pictures", ""]
        lines += [f"![{name}]({name}.svg)" for name in pictures]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
