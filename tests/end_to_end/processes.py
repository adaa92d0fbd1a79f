"""Folders, ports and child processes that cannot outlive the test that made them.

A test may end by an exception, Ctrl-C, SIGTERM (Bazel's time limit) or SIGKILL. The first three run
`finally` blocks. For the last, each child has the kernel's promise to be killed with its parent,
and each folder is held by a lock, so that a later test knows whose owner is gone and removes it.
"""

import contextlib
import faulthandler
import fcntl
import glob
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import sanitizer

# How many times as long as usual everything may take: set where the proxy (a sanitizer's), or all
# that runs (an emulator's), is slow.
_PATIENCE = float(os.environ.get("SALLYPORT_TEST_PATIENCE", "1"))
# /tmp and not $TMPDIR: Bazel's is longer than the 107 bytes that a unix socket's path may have.
FOLDER_PREFIX = "/tmp/sallyport-test-"


def cache_folder():
    """The user's cache: what is slow to make and never changes lies there, shared by all clones."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "sallyport")


def _try_lock(path):
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    except OSError:
        os.close(lock)
        return None


def _sweep():
    """Removes folders whose owners were killed."""
    for folder in glob.glob(FOLDER_PREFIX + "*"):
        with contextlib.suppress(OSError):
            if time.time() - os.stat(folder).st_mtime < 10:
                continue  # Perhaps made just now, and not yet locked.
            lock = _try_lock(os.path.join(folder, "lock"))
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


@contextlib.contextmanager
def test_folder():
    """A folder of the test's own; gone at the end."""
    _sweep()
    folder = tempfile.mkdtemp(prefix=os.path.basename(FOLDER_PREFIX), dir="/tmp")
    lock = _try_lock(os.path.join(folder, "lock"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def free_port():
    """A port that nothing listens on, below the range that the kernel gives to clients."""
    while True:
        port = random.randint(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def start(command, **options):
    """Starts a process that the kernel kills when this thread ends: call it in the main thread.

    setpriv, not preexec_fn: it is a program that execs, so nothing of Python runs between fork and
    exec, where a thread's lock could be held for ever.
    """
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], **options)


def stop(process, seconds=20):
    """Ends it, kindly first. Gives the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience(seconds))
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def patience(seconds):
    """How long to wait, here, for what takes less than `seconds` usually."""
    return seconds * _PATIENCE


def wait_until(condition, seconds, what):
    """Polls; `what` names what was waited for, where it does not come."""
    seconds = patience(seconds)
    end = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


class Skipped(Exception):
    """What is needed is not on this machine; the message says what."""


def run_main(main):
    """Calls main() and exits with its code, so that `finally` blocks run on SIGTERM too."""
    def on_sigterm(_signal, _frame):
        faulthandler.dump_traceback()  # Whoever reads of a time limit wants to know where.
        sys.exit(128 + signal.SIGTERM)
    signal.signal(signal.SIGTERM, on_sigterm)
    sys.stdout.reconfigure(line_buffering=True)
    try:
        code = main()
        for head in sanitizer.heads:
            print(f"FAILED  a report: {head}")
        sys.exit(code or min(len(sanitizer.heads), 1))
    except Skipped as reason:
        print(f"SKIPPED: {reason}")
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
