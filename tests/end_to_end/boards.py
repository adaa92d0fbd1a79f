#!/usr/bin/python3
"""What contrib/ has for Prometheus and Grafana, held against a proxy that runs.

    boards.py --proxy PATH [--io_engine epoll]
"""

import json
import os
import re
import shutil
import subprocess

import life_cycle
import mysql_wire as wire
import observe
import processes
from options import make_parser, parse
from report import Report, say

CONTRIB = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../contrib")
ALERTS = os.path.join(CONTRIB, "prometheus_alerts.yml")
METRIC = re.compile(r"\b(?:sallyport|process)_[a-z_]+\b")
WITH_LABELS = re.compile(r"\b(sallyport_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r'(\w+)(=~|=)"([^"]*)"')
BY = re.compile(r"\bby \(([a-z_, ]+)\)")
SCRAPED = {"job", "instance", "le"}  # Labels that Prometheus adds, or a bucket has.


def board_queries(board):
    """(panel's title, expression) for each query of the board."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def alert_queries():
    with open(ALERTS, encoding="utf-8") as file:
        text = file.read()
    for rule in text.split("- alert: ")[1:]:
        name, rest = rule.split("\n", 1)
        yield name, rest[rest.index("expr:"):rest.index("labels:")]


def missing(expression, metrics):
    """What an expression names and the proxy has not: metrics, labels, and labels' values."""
    known = {}
    for name, labels, _ in metrics.series:
        for label, value in labels.items():
            known.setdefault(name, {}).setdefault(label, set()).add(value)
        known.setdefault(name, {})
    for name in METRIC.findall(expression):
        if name not in known:
            yield name
    for name, selector in WITH_LABELS.findall(expression):
        for label, kind, value in LABEL.findall(selector):
            if label in SCRAPED:
                continue
            values = known.get(name, {}).get(label, set())
            if kind == "=" and value not in values:
                yield f'{name}{{{label}="{value}"}}'
    labels = {label for name in METRIC.findall(expression) for label in known.get(name, {})}
    for names in BY.findall(expression):
        for label in names.split(", "):
            if label not in labels | SCRAPED:
                yield f"label {label}"


def check_queries(report, metrics):
    with open(os.path.join(CONTRIB, "grafana.json"), encoding="utf-8") as file:
        board = json.load(file)
    queries = [("board", *query) for query in board_queries(board)]
    queries += [("alert", *query) for query in alert_queries()]
    report.check("there are queries", len(queries) > 30, str(len(queries)))
    for kind, title, expression in queries:
        report.equal(f"{kind}, {title}: all that it names exists",
                     sorted(set(missing(expression, metrics))), [], expression)
    shown = {name for _, _, expression in queries for name in METRIC.findall(expression)}
    ours = {line.split()[2] for line in metrics.text.splitlines() if line.startswith("# TYPE ")}
    unseen = {family for family in ours
              if not any(name in (family, family + "_bucket") for name in shown)}
    report.equal("every metric is on the board or in an alert", unseen, {"sallyport_workers"})
    # The check itself is no use if it finds nothing.
    report.equal("what does not exist would be found", sorted(missing(
        'sum by (nobody) (rate(sallyport_nothing[1m])) + sallyport_logins_total{outcome="x"}',
        metrics)), ["label nobody", "sallyport_logins_total{outcome=\"x\"}", "sallyport_nothing"])


def run_promtool(report, metrics):
    if not shutil.which("promtool"):
        say("skipped: no promtool (package prometheus)")
        return
    for what, arguments in (("the rules are well-formed", ["check", "rules", ALERTS]),
                            ("the rules' own test", ["test", "rules", os.path.join(
                                CONTRIB, "prometheus_alerts_test.yml")])):
        done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
        report.equal(f"promtool: {what}", done.returncode, 0, done.stdout + done.stderr)
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics.text, text=True,
                          capture_output=True, check=False)
    report.equal("promtool: nothing to say against /metrics", (done.returncode, done.stderr),
                 (0, ""))


def main():
    options = parse(make_parser(__doc__))
    report = Report()
    with processes.test_folder() as folder, wire.FakeServer(observe.patient_server) as server:
        room = life_cycle.Room(report, options, folder, server)
        with room.proxy() as proxy:
            observe.log_in(proxy.port, room.authority.ca).close()
            metrics = observe.Metrics(proxy)
        check_queries(report, metrics)
        run_promtool(report, metrics)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
