#!/usr/bin/python3
"""Nothing may be left of a connection when it is over, and load may not break one.

    leaks.py --proxy PATH [--io_engine epoll] [--connections 10000] [--seconds 5]

Compares the proxy's memory and descriptors before and after many connections that end in different
ways, and then has sysbench ask point queries over TLS with 16 threads; `--seconds 60` by hand.
"""

import os
import re
import shutil
import subprocess
import time

import mysql_wire as wire
import processes
import sanitizer
import servers
from options import make_parser, parse
from proxy import Proxy
from report import Report

HERE = os.path.dirname(os.path.realpath(__file__))
PROCESSES = 3
WARM_UP = 1000
# What allocators may keep; a leak of 1 KiB a connection would be more.
GROWTH_KIB_MAX = 6 << 10


def connect_many(port, ca, first, count):
    """`count` connections, shared by some processes; gives what went wrong."""
    running = [processes.start(
        ["/usr/bin/python3", os.path.join(HERE, "connect_many.py"), str(port), ca,
         str(first + n), str(count - n), str(PROCESSES)], stdout=subprocess.PIPE, text=True)
        for n in range(PROCESSES)]
    return [line for process in running for line in process.communicate()[0].splitlines()]


def settled(proxy):
    """(KiB, descriptors) when the last connections are gone."""
    last = None
    for _ in range(50):
        time.sleep(0.2)
        now = proxy.descriptors()
        if now == last:
            break
        last = now
    return proxy.resident_kib(), proxy.descriptors()


def check_connections(report, options, pair, ca):
    with wire.FakeServer(wire.accept_everybody) as server:
        with Proxy(options.proxy, server.address, pair=pair,
                   io_engine=options.io_engine) as proxy:
            failures = connect_many(proxy.port, ca, 0, WARM_UP)
            kib, descriptors = settled(proxy)
            began = time.monotonic()
            failures += connect_many(proxy.port, ca, WARM_UP, options.connections)
            seconds = time.monotonic() - began
            kib_after, descriptors_after = settled(proxy)
            print(f"{options.connections} connections in {seconds:.0f} s; memory {kib} KiB before, "
                  f"{kib_after} after; descriptors {descriptors} before, {descriptors_after} after")
            report.check("all connections came about", not failures,
                         f"{len(failures)} did not: {failures[:3]}")
            report.check("no descriptor is left open", descriptors_after <= descriptors,
                         f"{descriptors} before, {descriptors_after} after")
            if sanitizer.name_of(options.proxy):  # ASan's looks for leaks itself, when it stops.
                print("SKIPPED: what memory a sanitizer's build takes")
            else:
                report.check(f"memory grows by less than {GROWTH_KIB_MAX} KiB",
                             kib_after - kib < GROWTH_KIB_MAX, f"by {kib_after - kib} KiB")
            report.equal("it stops with 0", proxy.stop(), 0)


def sysbench_command(address, account, *more):
    return ["sysbench", "oltp_point_select", "--db-driver=mysql", f"--mysql-host={address[0]}",
            f"--mysql-port={address[1]}", f"--mysql-user={account.user}",
            f"--mysql-password={account.password}", "--mysql-db=test", "--tables=2",
            "--table-size=5000", *more]


def check_load(report, options, authority, folder):
    if not shutil.which("sysbench"):
        print("SKIPPED: sysbench is not installed")
        return
    # These names, in the current folder, are how sysbench finds its certificates.
    certificate, key = authority.issue("sysbench")
    for source, name in ((authority.ca, "cacert.pem"), (certificate, "client-cert.pem"),
                         (key, "client-key.pem")):
        shutil.copy(source, os.path.join(folder, name))
    with servers.MariaDB(folder).start() as server:
        server.wait()
        account = server.account("native")
        subprocess.run([*sysbench_command(("127.0.0.1", server.port), account), "prepare"],
                       check=True, capture_output=True)
        with Proxy(options.proxy, f"127.0.0.1:{server.port}", tls_mode="required",
                   pair=authority.issue("proxy-load"), io_engine=options.io_engine) as proxy:
            done = subprocess.run(
                [*sysbench_command(("127.0.0.1", proxy.port), account, "--mysql-ssl=on",
                                   "--threads=16", f"--time={options.seconds}"), "run"],
                cwd=folder, check=False, capture_output=True, text=True)
            found = {name: re.search(rf"{name}:\s+(\d+)", done.stdout)
                     for name in ("queries", "ignored errors", "reconnects")}
            counts = {name: int(match.group(1)) if match else None
                      for name, match in found.items()}
            print(f"sysbench, 16 threads over TLS, {options.seconds} s: {counts}")
            report.equal("sysbench: exit code", done.returncode, 0,
                         (done.stdout + done.stderr)[-500:])
            report.check("sysbench: queries were answered", (counts["queries"] or 0) > 100)
            report.equal("sysbench: errors", counts["ignored errors"], 0)
            report.equal("sysbench: reconnects", counts["reconnects"], 0)
            time.sleep(0.5)
            lines = [line for line in proxy.connections() if line.get("user") == "native"]
            report.check("sysbench: all 16 connections used TLS",
                         len(lines) >= 16 and all(line["tls"].startswith("TLSv1")
                                                  for line in lines), f"{len(lines)} lines")


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--seconds", type=int, default=5)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder:
        authority = servers.new_authority(folder)
        report.attempt("connections", check_connections, report, options,
                       authority.issue("proxy"), authority.ca)
        report.attempt("sysbench", check_load, report, options, authority, folder)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
