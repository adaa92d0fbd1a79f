"""What this proxy is to reach, and whether it did."""

import dataclasses
from collections.abc import Callable

from compare_lib.results import Results, Spread

IDLE_BYTES_MAX = 5000
UPSTREAM = "upstream"  # The name, in --sallyport upstream=FILE, of a build with current BoringSSL.


@dataclasses.dataclass(frozen=True)
class Goal:
    work: str
    wanted: str
    value: Callable[[Results], Spread | None]
    met: Callable[[float], bool]
    form: str = ".2f"


def _ratio(scenario: str, metric: str, peer: str, ours: str = "sallyport"):
    return lambda results: results.ratio(scenario, metric, ours, peer)


def _at_most(limit: float):
    return lambda value: value <= limit


def _at_least(limit: float):
    return lambda value: value >= limit


def _storm_to_best_peer(results: Results) -> Spread | None:
    """Our p99 under the storm over the lowest of all peers', round by round."""
    rounds = results.rounds.get("mixed-tls", {})
    peers = [found for name, found in rounds.items() if not name.startswith("sallyport")]
    ratios = []
    for index, ours in enumerate(rounds.get("sallyport", [])):
        theirs = [peer[index]["storm_p99"] for peer in peers
                  if index < len(peer) and peer[index] is not None]
        if ours is not None and theirs:
            ratios.append(ours["storm_p99"] / min(theirs))
    return Spread.of(ratios)


def all_goals() -> list[Goal]:
    return [
        Goal("sysbench oltp_point_select, TLS, 16 threads, MariaDB: CPU per query",
             "≤ 0.45 × MySQL Router", _ratio("sysbench-tls", "cpu_us", "router"), _at_most(0.45)),
        Goal("the same: QPS", "≥ 0.75 × direct TLS", _ratio("sysbench-tls", "per_s", "direct"),
             _at_least(0.75)),
        Goal("the same: QPS", "≥ 1.7 × MySQL Router", _ratio("sysbench-tls", "per_s", "router"),
             _at_least(1.7)),
        Goal("the same in plaintext: CPU per query", "≤ 0.5 × HAProxy TCP mode",
             _ratio("sysbench-plain", "cpu_us", "haproxy"), _at_most(0.5)),
        Goal("32 busy connections, 128 B / 256 B, TLS, one worker: CPU per round trip",
             "≤ 0.72 × HAProxy as TLS terminator", _ratio("query-tls", "cpu_us", "haproxy-tls"),
             _at_most(0.72)),
        Goal("bulk download, TLS: CPU per GB", "≤ 0.5 × HAProxy as TLS terminator",
             _ratio("download-tls", "cpu_s_per_gb", "haproxy-tls"), _at_most(0.5)),
        Goal("the same with upstream BoringSSL", "≤ 0.35 × HAProxy as TLS terminator",
             _ratio("download-tls", "cpu_s_per_gb", "haproxy-tls", f"sallyport-{UPSTREAM}"),
             _at_most(0.35)),
        Goal("bulk download, plaintext: CPU per GB", "≤ HAProxy with splice",
             _ratio("download-plain", "cpu_s_per_gb", "haproxy-splice"), _at_most(1)),
        Goal("the same", "≤ 0.25 × MySQL Router",
             _ratio("download-plain", "cpu_s_per_gb", "router"), _at_most(0.25)),
        Goal("new TLS connection and one query, ECDSA: CPU", "≤ 0.6 × HAProxy as TLS terminator",
             _ratio("connect-tls", "cpu_us", "haproxy-tls"), _at_most(0.6)),
        Goal("process memory per idle TLS connection, 10,000 held", f"≤ {IDLE_BYTES_MAX:,} bytes",
             lambda results: results.spread("idle-tls", "sallyport", "bytes_per_connection"),
             _at_most(IDLE_BYTES_MAX), ",.0f"),
        Goal("p99 of established sessions while 500 new ECDSA connections/s arrive",
             "< 1.5 × without the storm",
             lambda results: results.spread("mixed-tls", "sallyport", "storm_to_calm"),
             lambda value: value < 1.5),
        Goal("the same", "below every peer's", _storm_to_best_peer, lambda value: value < 1),
        Goal("one connection, ping-pong p50, plaintext", "≤ 0.6 × HAProxy",
             _ratio("ping-plain", "p50", "haproxy"), _at_most(0.6)),
        Goal("one connection, ping-pong p50, TLS", "≤ 0.6 × HAProxy as TLS terminator",
             _ratio("ping-tls", "p50", "haproxy-tls"), _at_most(0.6)),
    ]
