#!/usr/bin/python3
"""The systemd unit: how far it is locked up, and that the proxy works in there.

    service.py --proxy PATH [--units FOLDER] [--io_engine epoll] [--only WORD]

systemd need not run: its own tool judges the unit, and its filter of system calls, its user and the
loss of all privileges are put on by hand.
"""

import ctypes
import os
import re
import shutil
import subprocess

import life_cycle
import mysql_wire as wire
import processes
from life_cycle import answers, log_in
from options import add_only, make_parser, parse
from report import Report

HERE = os.path.dirname(os.path.realpath(__file__))
EXPOSURE_MAX = 2.0
NOBODY = "65534"
LANDLOCK_CREATE_RULESET = 444  # The same on every architecture.


def analyze(*arguments):
    done = subprocess.run(["systemd-analyze", "--no-pager", *arguments], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def unit_here(room):
    """The unit as it would be if this binary were installed."""
    with open(room.unit, encoding="utf-8") as file:
        text = file.read()
    text = text.replace("/usr/sbin/sallyport", os.path.abspath(room.options.proxy))
    path = os.path.join(room.folder, "sallyport.service")
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub("^Documentation=.*\n", "", text, flags=re.MULTILINE))
    return path


def exposure(room):
    code, output = analyze("security", "--offline=true", f"--threshold={int(10 * EXPOSURE_MAX)}",
                           unit_here(room))
    found = re.search(r"exposure level for \S+: ([\d.]+)", output)
    room.report.check(f"systemd-analyze security: {EXPOSURE_MAX} or less",
                      code == 0 and found and float(found.group(1)) <= EXPOSURE_MAX, output[-3000:])
    print("exposure level:", found and found.group(1))


def is_understood(room):
    code, output = analyze("verify", unit_here(room))
    room.report.equal("systemd-analyze verify has nothing to say", (code, output.strip()), (0, ""))
    version = int(re.search(r"systemd (\d+)", analyze("--version")[1]).group(1))
    drop_in = os.path.join(room.folder, "sallyport.service.d")
    os.mkdir(drop_in)
    shutil.copy(os.path.join(os.path.dirname(room.unit), "notify-reload.conf"), drop_in)
    _, output = analyze("verify", os.path.join(room.folder, "sallyport.service"))
    if version < 253:
        room.report.check(f"systemd {version} doesn't know the drop-in's type, as its comment says",
                          "notify-reload" in output, output)
    else:
        room.report.equal("the drop-in is understood", output.strip(), "")
    shutil.rmtree(drop_in)


def works_inside(room):
    """The unit's system calls, another user, no privileges; io_uring and the sandbox stand."""
    # Where the other user may read them.
    binary, unit, script = (shutil.copy(path, room.folder) for path in (
        room.options.proxy, room.unit, os.path.join(HERE, "unit_filter.py")))
    shutil.copy(os.path.join(HERE, "without_io_uring.py"), room.folder)
    os.chmod(room.folder, 0o755)
    certificate, key = room.pair
    # Asks for Landlock's version.
    sandbox = "on" if ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, 0, 0, 1) > 0 else "auto"
    prefix = ["/usr/bin/python3", script, unit]
    if os.geteuid() == 0:
        shutil.chown(key, "root", int(NOBODY))
        os.chmod(key, 0o640)
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                  "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", *prefix]
    with life_cycle.Proxy(binary, room.server.address, pair=(certificate, key), prefix=prefix,
                          io_engine=room.options.io_engine, leaks=False,
                          arguments=[f"--sandbox={sandbox}", "--shutdown_timeout=0"]) as proxy:
        if not room.report.check("it starts", proxy.port, str(proxy.lines)):
            return
        engine = room.options.io_engine.replace("auto", "io_uring")
        room.report.check(f"with {engine}", proxy.wait_line(f"io_engine={engine}", 2),
                          str(proxy.lines))
        room.report.check("serves over TLS", answers(log_in(proxy.port, room.authority.ca)))
        room.report.check("and in plaintext", answers(log_in(proxy.port)))
        room.report.check("a key that its group may read is no matter",
                          not any("private key's file" in line for line in proxy.lines),
                          str(proxy.lines))
        with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines())
        if os.geteuid() == 0:
            room.report.equal("without a capability", status["CapPrm"], "0" * 16)
        room.report.equal("behind a filter", status["Seccomp"], "2")
        pinned = [len(os.sched_getaffinity(thread)) for thread in proxy.threads("worker-0")]
        room.report.equal("workers are pinned", pinned, [1])
        proxy.process.send_signal(1)
        room.report.check("it reloads", proxy.wait_line(" reloaded"), str(proxy.lines))
        room.report.equal("it stops with 0", proxy.stop(), 0)


CHECKS = [exposure, is_understood, works_inside]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    parser.add_argument("--units", default=os.path.join(HERE, "../../packaging/systemd"))
    options = parse(parser)
    if not shutil.which("systemd-analyze"):
        raise processes.Skipped("systemd-analyze is not installed")
    report = Report()
    with processes.test_folder() as folder, wire.FakeServer(wire.accept_everybody) as server:
        room = life_cycle.Room(report, options, folder, server)
        room.unit = os.path.abspath(os.path.join(options.units, "sallyport.service"))
        report.attempt_each(CHECKS, options.only, room)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
