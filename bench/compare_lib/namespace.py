"""A network and process namespace of our own.

The network: its loopback has no other traffic, and all sockets in it, whoever makes them, use one
congestion control, without a change to the machine's settings. (The route says which: a new network
namespace may not choose an algorithm that the machine doesn't allow to all, but its routes may.)
The processes: whatever happens to us, none of them outlives us.
"""

import os
import shutil
import signal
import subprocess
import sys

INSIDE = "SALLYPORT_COMPARE_INSIDE"


def inside() -> bool:
    return INSIDE in os.environ


def _unshare_command() -> list[str]:
    command = ["unshare", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    if os.geteuid() != 0:
        command[1:1] = ["--user", "--map-root-user"]
    return command


def available() -> bool:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run(_unshare_command() + ["true"], capture_output=True).returncode == 0


def run_inside(environment: dict[str, str]) -> int:
    """Runs this very command again, inside. Returns its exit code."""
    command = _unshare_command() + [sys.executable] + sys.argv
    child = subprocess.Popen(command, env=os.environ | environment | {INSIDE: "1"})

    # unshare itself blocks these signals, and its child dies with it.
    def stop(signum, frame):
        child.kill()
        child.wait()
        sys.exit(128 + signum)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return child.wait()


def set_up(congestion: str) -> None:
    """Brings the loopback up, with `congestion` for all its connections."""
    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)

    ip("link", "set", "lo", "up")
    for network in "127.0.0.0/8", "127.0.0.1":
        ip("route", "change", "local", network, "dev", "lo", "proto", "kernel", "scope", "host",
           "src", "127.0.0.1", "table", "local", "congctl", congestion)
    # A storm leaves tens of thousands of closed connections behind, each on a port of its own.
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as file:
        file.write("10000 65000")
