#!/usr/bin/python3
"""The proxy works on this kernel: both engines, both versions of TLS, a real client and server.

    tests/kernel/run --proxy PATH floor [--kernel_tls on]
"""

import contextlib
import os
import subprocess

import processes
import servers
from options import io_uring_refusal, make_parser, parse
from proxy import Proxy
from report import Report

BULK = 1 << 20


def mariadb(account, port, sql, *options):
    """(whether it ended well, what it said)"""
    done = subprocess.run(
        ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={port}", "--batch",
         "--skip-column-names", "--max-allowed-packet=64M", f"--user={account.user}",
         f"--password={account.password}", *options],
        input=sql, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


def log_in_and_query(report, name, account, proxy, options, kernel_tls):
    """Small packets, and bulk both ways: the server tells the size of what came to it."""
    port, mark = proxy.port, proxy.mark()
    good, text = mariadb(account, port, "SELECT CURRENT_USER();", *options)
    report.check(f"{name}: logs in", good and f"{account.user}@" in text, text)
    good, text = mariadb(account, port, f"SELECT REPEAT('x', {BULK});", *options)
    report.check(f"{name}: bulk from the server", good and text.strip() == "x" * BULK, text[:200])
    sql = f"SELECT LENGTH('{'y' * BULK}'), MD5('{'y' * BULK}') = MD5(REPEAT('y', {BULK}));"
    good, text = mariadb(account, port, sql, *options)
    report.check(f"{name}: bulk to the server", good and text.split() == [str(BULK), "1"],
                 text[:200])
    processes.wait_until(lambda: len(proxy.connections(mark)) >= 3, 20, "three lines")
    report.equal(f"{name}: who encrypted", {line["kernel_tls"] for line in proxy.connections(mark)},
                 {kernel_tls})


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--kernel_tls", default="off", choices=["off", "on"])
    options = parse(parser)
    report = Report()
    release = os.uname().release
    print(f"kernel {release}")
    report.equal("io_uring is there", io_uring_refusal(), None)
    with processes.test_folder() as folder, contextlib.ExitStack() as stack:
        authority = servers.new_authority(folder)
        pair = authority.issue("proxy")
        server = stack.enter_context(servers.MariaDB(folder)).start().wait()
        account = server.account("native")
        for engine in ("io_uring", "epoll"):
            proxy = stack.enter_context(
                Proxy(options.proxy, f"127.0.0.1:{server.port}", pair=pair, io_engine=engine,
                      arguments=["--kernel_tls", options.kernel_tls]))
            if not report.check(f"{engine}: the proxy starts", proxy.port, proxy.lines):
                continue
            for version in ("TLSv1.2", "TLSv1.3"):
                tls = [f"--ssl-ca={authority.ca}", "--ssl-verify-server-cert",
                       f"--tls-version={version}"]
                log_in_and_query(report, f"{engine}, {version}", account, proxy, tls,
                                 "true" if options.kernel_tls == "on" else "false")
            log_in_and_query(report, f"{engine}, plaintext", account, proxy, ["--skip-ssl"],
                             "false")
            report.equal(f"{engine}: it ends", proxy.stop(), 0)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
