"""Starts the proxy as an operator would, and reads what it says."""

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.request

import processes
import sanitizer

LISTENING = re.compile(r"listening on \S*?:(\d+)")
ADMIN = re.compile(r"admin on \S*?:(\d+)")
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def fields(line):
    """The name=value words of a log line; values may be quoted."""
    return {name: value.strip('"') for name, value in FIELD.findall(line)}


class Proxy:
    """One running proxy. `server` is HOST:PORT or unix:/path. `port` is None where it did not come
    up, and then `exit_code` and `lines` tell why. With `config`, a file, only engine and admin are
    flags, and `port` is that of its first listener. ASan's build also looks for leaks, which needs
    core_dumps, unless `leaks` is False."""

    def __init__(self, binary, server, *, tls_mode="preferred", pair=None, io_engine="auto",
                 workers=2, admin=True, arguments=(), positional=(), prefix=(), wait=True,
                 listen="127.0.0.1:0", config=None, leaks=True):
        flags = []
        if config:
            flags = ["--config", config]
        elif not positional:
            flags = ["--listen", listen, "--server", server]
            if pair:
                flags += ["--tls_cert", pair[0], "--tls_key", pair[1]]
        if not config:
            flags += ["--tls_mode", tls_mode, "--workers", str(workers)]
        flags += ["--io_engine", io_engine, "--admin", "127.0.0.1:0" if admin else ""]
        environment = dict(os.environ)
        if sanitizer.name_of(binary) == "asan" and leaks:
            flags.append("--core_dumps")  # Or ASan may not look for leaks.
        elif sanitizer.name_of(binary) == "asan":
            environment["ASAN_OPTIONS"] = f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"
        self.lines = []
        self.port = None
        self.admin_port = None
        self._changed = threading.Condition()
        self.process = processes.start(
            [*prefix, os.path.abspath(shutil.which(binary) or binary), *positional, *flags,
             *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env=environment)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait:
            self._wait_ready(admin)

    def _read(self):
        listener = sanitizer.Listener()
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip()
            listener.hear(line)
            with self._changed:
                self.lines.append(line)
                listening, admin = LISTENING.search(line), ADMIN.search(line)
                if admin:
                    self.admin_port = int(admin.group(1))
                elif listening and self.port is None:
                    self.port = int(listening.group(1))
                self._changed.notify_all()

    def _wait_ready(self, admin):
        """Until it listens, or has ended."""
        end = time.monotonic() + processes.patience(20)
        while self.process.poll() is None and time.monotonic() < end:
            with self._changed:
                if self.port and (self.admin_port or not admin):
                    return
                self._changed.wait(0.05)
        self._reader.join(2)

    @property
    def exit_code(self):
        return self.process.poll()

    def wait_line(self, pattern, seconds=5, start=0):
        """The first line from number `start` on that matches; None where none comes in time."""
        end = time.monotonic() + processes.patience(seconds)
        seen = start
        with self._changed:
            while True:
                for line in self.lines[seen:]:
                    if re.search(pattern, line):
                        return line
                seen = len(self.lines)
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)

    def mark(self):
        """A number to give to wait_line() and connections() as `start`."""
        with self._changed:
            return len(self.lines)

    def forget_lines(self):
        """So that a long test doesn't keep them all. mark()s of before are void."""
        with self._changed:
            self.lines.clear()

    def connections(self, start=0):
        """The fields of each connection's line."""
        with self._changed:
            return [fields(line) for line in self.lines[start:] if "reason=" in line]

    def get(self, path, timeout=5):
        address = f"http://127.0.0.1:{self.admin_port}{path}"
        with urllib.request.urlopen(address, timeout=processes.patience(timeout)) as answer:
            return answer.read().decode()

    def threads(self, name):
        """The numbers of its threads with that name."""
        found = []
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/comm", encoding="ascii") as comm:
                if comm.read().strip() == name:
                    found.append(int(thread))
        return found

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def alive(self):
        return self.process.poll() is None

    def stop(self, seconds=30):
        """Ends it by SIGTERM; gives the exit code."""
        code = processes.stop(self.process, seconds)
        self._reader.join(5)
        return code

    def _end(self):
        """Sessions that the test left open end by a second SIGTERM, after which ASan still looks
        for leaks; as it wouldn't after SIGKILL."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self.stop(5)

    def __enter__(self):
        return self

    def __exit__(self, error_type, *_error):
        self._end()
        if error_type and issubclass(error_type, Exception):
            print("the proxy said, at the end:", *self.lines[-30:], sep="\n  ")
