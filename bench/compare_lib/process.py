"""Processes: start, wait until they listen, look at, stop."""

import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A process didn't start, or a run of the load didn't end well. The text is for people."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raise_file_limit() -> int:
    """Raises the limit of open files as far as it goes, for us and our children. Returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Root may go beyond the hard limit, as far as fs.nr_open.
    for wanted in (1 << 20, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
            return max(soft, wanted)
        except (ValueError, OSError):
            continue
    return soft


def cpu_seconds(pid: int) -> float:
    """utime and stime of all of the process' threads, those that ended included."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def pinned(command: list[str], cpu: int | None) -> list[str]:
    return command if cpu is None else ["taskset", "--cpu-list", str(cpu), *command]


class Process:
    """One child. Its output goes to a log file that is shown when it fails."""

    def __init__(self, name: str, command: list[str], folder: pathlib.Path,
                 cpu: int | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(pinned(command, cpu), stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        return self.child.pid

    def fail(self, what: str) -> None:
        text = self.log.read_text(encoding="utf-8", errors="replace")
        raise Failed(f"{self.name}: {what}\n" + "\n".join(text.splitlines()[-10:]))

    def wait_for_port(self, port: int, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while True:
            if self.child.poll() is not None:
                self.fail(f"ended with {self.child.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.fail(f"doesn't listen on port {port}")
                time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM; SIGKILL after a while."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
