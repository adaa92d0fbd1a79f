"""Pictures by gnuplot, each as SVG and as PNG."""

import dataclasses
import pathlib
import shutil
import subprocess

from compare_lib.results import Results, Spread
from compare_lib.scenarios import GROWTH

# One colour a target, the same in all pictures.
_COLOURS = ("#1b6ca8", "#6fb1e0", "#d1495b", "#edae49", "#8d6a9f", "#00798c", "#30638e", "#666666")
PERCENTILES = ("p50", "p90", "p99", "p999")


@dataclasses.dataclass(frozen=True)
class Bars:
    """A group of bars a scenario, a bar a target, with the spread of the rounds on it."""
    name: str
    title: str
    metric: str
    scenarios: tuple[str, ...]
    scale: float = 1


@dataclasses.dataclass(frozen=True)
class Lines:
    """A line a target: over connections (`metric`), or over percentiles (`scenario`)."""
    name: str
    title: str
    metric: str = ""
    scenario: str = ""


BARS = (
    Bars("qps", "Queries a second, 32 busy connections", "per_s", ("query-tls", "query-plain")),
    Bars("sysbench-qps", "sysbench point selects a second, MariaDB, 16 threads", "per_s",
         ("sysbench-tls", "sysbench-plain")),
    Bars("cpu-per-query", "CPU per query, µs", "cpu_us",
         ("query-tls", "query-plain", "sysbench-tls", "sysbench-plain")),
    Bars("cpu-per-gb", "CPU per GB, s", "cpu_s_per_gb",
         ("download-tls", "upload-tls", "download-plain", "upload-plain")),
    Bars("cpu-per-connection", "CPU per new connection and query, µs", "cpu_us",
         ("connect-tls", "connect-resumed", "connect-rsa", "connect-plain")),
    Bars("memory", "Process memory per idle TLS connection, KB", "bytes_per_connection",
         ("idle-tls",), 1 / 1000),
    Bars("storm", "p99 of established sessions during a storm, µs", "storm_p99", ("mixed-tls",)),
)
LINES = (
    Lines("latency-tls", "Latency at 4000 queries/s, TLS, µs", scenario="paced-tls"),
    Lines("latency-plain", "Latency at 4000 queries/s, plaintext, µs", scenario="paced-plain"),
    Lines("growth-qps", "Queries a second over connections, TLS", metric="per_s"),
    Lines("growth-cpu", "CPU per query over connections, TLS, µs", metric="cpu_us"),
    Lines("growth-p99", "p99 over connections, TLS, µs", metric="p99"),
    Lines("growth-memory", "Process memory per connection over connections, TLS, bytes",
          metric="bytes_per_connection"),
)


def available() -> bool:
    return shutil.which("gnuplot") is not None


def draw(folder: pathlib.Path, results: Results) -> list[str]:
    """Draws what was measured, and returns the names of the pictures."""
    names = []
    for bars in BARS:
        script = _bars_script(bars, results)
        if script:
            _plot(folder / bars.name, script)
            names.append(bars.name)
    for lines in LINES:
        script = _lines_script(lines, results)
        if script:
            _plot(folder / lines.name, script)
            names.append(lines.name)
    return names


def _plot(path: pathlib.Path, script: str) -> None:
    for terminal, suffix in (("svg size 900,480 font 'sans,13' background 'white'", "svg"),
                             ("pngcairo size 1350,720 font 'sans,14'", "png")):
        head = f"set terminal {terminal}\nset output '{path.with_suffix('.' + suffix)}'\n"
        subprocess.run(["gnuplot"], input=head + script, text=True, check=True,
                       capture_output=True)


def _colour(target: str, targets: list[str]) -> str:
    return _COLOURS[targets.index(target) % len(_COLOURS)]


def _all_targets(results: Results) -> list[str]:
    targets: list[str] = []
    for found in results.rounds.values():
        targets += [target for target in found if target not in targets]
    return targets


def _row(spread: Spread | None, scale: float = 1) -> str:
    if spread is None:
        return "NaN NaN NaN"
    return f"{spread.median * scale} {spread.least * scale} {spread.most * scale}"


def _block(name: str, rows: list[str]) -> str:
    return f"${name} << END\n" + "\n".join(rows) + "\nEND\n"


def _bars_script(bars: Bars, results: Results) -> str:
    scenarios = [s for s in bars.scenarios if results.targets(s)]
    targets = [t for t in _all_targets(results)
               if any(results.spread(s, t, bars.metric) for s in scenarios)]
    if not scenarios or not targets:
        return ""
    blocks, plots = "", []
    for number, target in enumerate(targets):
        rows = [f'"{s}" {_row(results.spread(s, target, bars.metric), bars.scale)}'
                for s in scenarios]
        blocks += _block(f"data{number}", rows)
        plots.append(f"$data{number} using 2:3:4:xtic(1) title '{target}' noenhanced "
                     f"linecolor rgb '{_colour(target, _all_targets(results))}'")
    return f"""{blocks}
set title "{bars.title}"
set style data histograms
set style histogram errorbars gap 1 linewidth 1
set style fill solid 0.9 border -1
set boxwidth 0.9
set yrange [0:*]
set grid ytics
set key outside right top
set xtics noenhanced
plot {', '.join(plots)}
"""


def _lines_script(lines: Lines, results: Results) -> str:
    if lines.scenario:
        points = [(lines.scenario, metric, i) for i, metric in enumerate(PERCENTILES)]
        axis = ("set xtics ('p50' 0, 'p90' 1, 'p99' 2, 'p99.9' 3)\nset xrange [-0.2:3.2]\n"
                "set logscale y")
    else:
        points = [(f"growth-{count}", lines.metric, count) for count in GROWTH]
        axis = "set logscale x\nset xrange [8:12500]\nset xlabel 'connections'"
        axis += "\nset logscale y" if lines.metric == "p99" else "\nset yrange [0:*]"
    blocks, plots = "", []
    for target in _all_targets(results):
        found = [(x, results.spread(scenario, target, metric)) for scenario, metric, x in points]
        rows = [f"{x} {_row(spread)}" for x, spread in found if spread is not None]
        if len(rows) < 2:
            continue
        name = f"data{len(plots)}"
        blocks += _block(name, rows)
        plots.append(f"${name} using 1:2:3:4 with yerrorlines title '{target}' noenhanced "
                     f"linewidth 2 linecolor rgb '{_colour(target, _all_targets(results))}'")
    if not plots:
        return ""
    return f"""{blocks}
set title "{lines.title}"
{axis}
set grid
set key outside right top
plot {', '.join(plots)}
"""
