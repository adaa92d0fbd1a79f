"""One run of the load generator, and what it found as named numbers."""

import json
import pathlib
import subprocess

from compare_lib.process import Failed, pinned
from compare_lib.targets import Target

Metrics = dict[str, float]


def run(binary: pathlib.Path, target: Target, tls: bool, arguments: list[str],
        cpu: int | None) -> dict:
    """Runs load against `target` and returns its JSON. Raises Failed when a connection failed."""
    mode = target.tls if tls else "off"
    command = [str(binary), *arguments, f"--target=127.0.0.1:{target.port}", f"--tls={mode}",
               f"--pid={target.pid}", "--json"]
    done = subprocess.run(pinned(command, cpu), capture_output=True, text=True)
    if not done.stdout:
        raise Failed(done.stderr.strip())
    result = json.loads(done.stdout)
    if result["errors"]:
        raise Failed(f"{result['errors']} errors, the first: {result['first_error']}")
    return result


def metrics(result: dict) -> Metrics:
    """The numbers that tables and goals speak of."""
    found: Metrics = {}
    first = result["phases"][0]
    kind = "connects" if result["scenario"] == "connect" else "requests"
    if kind in first:
        found |= _counts(first[kind])
    if result["scenario"] in ("download", "upload"):
        gb = (result["reply_bytes"] + result["request_bytes"]) / 1e9
        found["gb_per_s"] = gb / first["seconds"]
        if gb > 0:
            found["cpu_s_per_gb"] = first["cpu_seconds"] / gb
    if result["held"] > 0 and result["rss_after"] > 0:
        grown = result["rss_after"] - result["rss_before"]
        found["bytes_per_connection"] = grown / result["held"]
    if result["scenario"] == "mixed" and all("requests" in p for p in result["phases"]):
        storm = result["phases"][1]
        calm_p99 = found["p99"]
        found["calm_p99"] = calm_p99
        found["storm_p99"] = storm["requests"]["latency_us"]["p99"]
        found["storm_p999"] = storm["requests"]["latency_us"]["p999"]
        found["storm_to_calm"] = found["storm_p99"] / calm_p99
        if "connects" in storm:
            found["connects_per_s"] = storm["connects"]["per_second"]
            found["connect_p99"] = storm["connects"]["latency_us"]["p99"]
    return found


def _counts(counts: dict) -> Metrics:
    latency = counts["latency_us"]
    return {"per_s": counts["per_second"], "cpu_us": counts["cpu_us"],
            "p50": latency["p50"], "p90": latency["p90"], "p99": latency["p99"],
            "p999": latency["p999"]}
