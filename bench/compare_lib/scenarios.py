"""The work that is measured."""

import dataclasses

from compare_lib.targets import Target

# What a scenario's table shows: (metric, column's title, format).
QUERY_COLUMNS = (("per_s", "queries/s", ",.0f"), ("cpu_us", "CPU µs/query", ".1f"),
                 ("p50", "p50 µs", ",.0f"), ("p99", "p99 µs", ",.0f"), ("p999", "p99.9 µs", ",.0f"))
BULK_COLUMNS = (("gb_per_s", "GB/s", ".2f"), ("cpu_s_per_gb", "CPU s/GB", ".3f"))
CONNECT_COLUMNS = (("per_s", "connections/s", ",.0f"), ("cpu_us", "CPU µs/connection", ".0f"),
                   ("p50", "p50 µs", ",.0f"), ("p99", "p99 µs", ",.0f"))
IDLE_COLUMNS = (("bytes_per_connection", "bytes/connection", ",.0f"),)
MIXED_COLUMNS = (("calm_p99", "p99 µs without", ",.0f"), ("storm_p99", "p99 µs with", ",.0f"),
                 ("storm_to_calm", "with/without", ".2f"),
                 ("storm_p999", "p99.9 µs with", ",.0f"),
                 ("connects_per_s", "new/s", ",.0f"), ("connect_p99", "their p99 µs", ",.0f"))
GROWTH_COLUMNS = QUERY_COLUMNS[:4] + IDLE_COLUMNS
SYSBENCH_COLUMNS = (("per_s", "queries/s", ",.0f"), ("cpu_us", "CPU µs/query", ".1f"),
                    ("p99", "p99 ms", ".2f"))

# What a ratio to this proxy is taken of.
CPU_OF = {QUERY_COLUMNS: "cpu_us", BULK_COLUMNS: "cpu_s_per_gb", CONNECT_COLUMNS: "cpu_us",
          IDLE_COLUMNS: "bytes_per_connection", MIXED_COLUMNS: "storm_p99",
          GROWTH_COLUMNS: "cpu_us", SYSBENCH_COLUMNS: "cpu_us"}

GROWTH = (10, 100, 1000, 10000)


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    load: tuple[str, ...]   # Arguments of load, or of sysbench.
    columns: tuple
    tls: bool
    certificate: str = "ecdsa"
    fresh: bool = False     # Each target is started anew for each run: its memory is measured.
    rounds_max: int = 100
    sysbench: bool = False
    in_short: bool = True   # Part of --short.

    def fits(self, target: Target) -> bool:
        return target.tls is not None if self.tls else target.plain


def _both(name: str, title: str, load: tuple[str, ...], columns: tuple) -> list[Scenario]:
    # The short form takes the same way through the code once in plaintext: that is enough.
    return [Scenario(f"{name}-tls", f"{title}, TLS", load, columns, tls=True),
            Scenario(f"{name}-plain", f"{title}, plaintext", load, columns, tls=False,
                     in_short=name in ("query", "download"))]


def all_scenarios() -> list[Scenario]:
    """In the order in which they are reported; rounds.py runs them in groups."""
    scenarios = []
    scenarios += _both("query", "32 busy connections, 128 B / 256 B",
                       ("query", "--connections=32"), QUERY_COLUMNS)
    scenarios += _both("ping", "One connection, 128 B / 256 B",
                       ("query", "--connections=1"), QUERY_COLUMNS)
    scenarios += _both("paced", "32 connections, 4000 queries/s in all",
                       ("query", "--connections=32", "--rate=4000"), QUERY_COLUMNS)
    scenarios += _both("download", "Bulk download, 4 connections",
                       ("download", "--connections=4"), BULK_COLUMNS)
    scenarios += _both("upload", "Bulk upload, 4 connections",
                       ("upload", "--connections=4", "--bytes=8M"), BULK_COLUMNS)
    storm = ("connect", "--connections=8")
    scenarios += [
        Scenario("connect-tls", "New connection and one query, ECDSA", storm, CONNECT_COLUMNS,
                 tls=True),
        Scenario("connect-resumed", "The same, TLS resumed", storm + ("--resume",),
                 CONNECT_COLUMNS, tls=True),
        Scenario("connect-rsa", "The same, RSA 2048", storm, CONNECT_COLUMNS, tls=True,
                 certificate="rsa"),
        Scenario("connect-plain", "The same, plaintext", storm, CONNECT_COLUMNS, tls=False),
        Scenario("mixed-tls", "16 sessions at 2000 queries/s, without and with 500 new ECDSA "
                 "connections/s", ("mixed", "--connections=16", "--query_rate=2000", "--rate=500"),
                 MIXED_COLUMNS, tls=True),
        Scenario("mixed-rsa", "The same with 200 new RSA connections/s",
                 ("mixed", "--connections=16", "--query_rate=2000", "--rate=200"), MIXED_COLUMNS,
                 tls=True, certificate="rsa", in_short=False),
        Scenario("crowd-tls", "32 busy connections among 9,000 idle ones, TLS",
                 ("query", "--connections=32", "--crowd=9000"), QUERY_COLUMNS, tls=True,
                 fresh=True, rounds_max=3, in_short=False),
        Scenario("idle-tls", "10,000 idle connections, TLS", ("idle", "--connections=10000"),
                 IDLE_COLUMNS, tls=True, fresh=True, rounds_max=3),
    ]
    scenarios += [
        Scenario(f"growth-{count}", f"{count:,} busy connections, TLS",
                 ("query", f"--connections={count}"), GROWTH_COLUMNS, tls=True, fresh=True,
                 rounds_max=3, in_short=count <= 10)
        for count in GROWTH
    ]
    scenarios += [
        Scenario("sysbench-tls", "sysbench oltp_point_select, 16 threads, MariaDB, TLS",
                 ("--threads=16", "--mysql-ssl=on"), SYSBENCH_COLUMNS, tls=True, sysbench=True),
        Scenario("sysbench-plain", "The same, plaintext", ("--threads=16",), SYSBENCH_COLUMNS,
                 tls=False, sysbench=True),
    ]
    return scenarios
