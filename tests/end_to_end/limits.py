#!/usr/bin/python3
"""What one address may have: refusals that real clients read, and their end.

    limits.py --proxy PATH [--io_engine epoll]
"""

import contextlib
import os
import re
import socket
import struct
import subprocess
import time

import pymysql

import mysql_wire as wire
import processes
import servers
from options import make_parser, parse
from proxy import Proxy
from report import Report

OTHER = "127.0.0.2"
# PyMySQL cuts six characters from an ERR that comes instead of a greeting, a server's too.
BLOCKED = "127.0.0.1' is blocked because of many connection errors"


def counter(proxy, name):
    return int(re.search(rf"^sallyport_{re.escape(name)} (\d+)", proxy.get("/metrics"),
                         re.MULTILINE).group(1))


def refused(proxy, reason):
    return counter(proxy, f'connections_refused_total{{reason="{reason}"}}')


def dial(proxy, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", proxy.port), 15, source_address=(source, 0))


def first_packet(sock):
    """"greeting", or the ERR that came instead."""
    sequence_id, payload = wire.read_packet(sock)
    return "greeting" if payload[:1] == b"\x0a" else wire.Err(payload, sequence_id)


def answer(proxy, source="127.0.0.1"):
    """What a client that comes now reads first; it stays no longer."""
    with dial(proxy, source) as sock:
        return first_packet(sock)


def says(found, code, text):
    return (found != "greeting" and found.code == code and text in found.message
            and found.sequence_id == 0)


def mariadb(proxy, account, password=None):
    done = subprocess.run(
        ["mariadb", "--no-defaults", "--host=127.0.0.1", f"--port={proxy.port}",
         f"--user={account.user}", f"--password={password or account.password}",
         "--execute=SELECT CURRENT_USER()"], check=False,
        timeout=processes.patience(30), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


def python(proxy, account, password=None, source=None):
    try:
        with contextlib.closing(pymysql.connect(
                host="127.0.0.1", port=proxy.port, user=account.user,
                connect_timeout=int(processes.patience(15)), ssl_disabled=True,
                password=password or account.password, bind_address=source)):
            return "ok"
    except pymysql.err.MySQLError as error:
        return f"{error.args[0]} {error.args[1]}"


def connections(report, proxy_of):
    with wire.FakeServer(wire.accept_everybody) as server, \
            proxy_of(server.address, "--max_connections_per_address=2") as proxy:
        with dial(proxy) as first, dial(proxy) as second:
            report.equal("two may be there", (first_packet(first), first_packet(second)),
                         ("greeting", "greeting"))
            third = answer(proxy)
            report.check("a third reads why not",
                         says(third, 1040, "Too many connections from '127.0.0.1'"), str(third))
            report.equal("another address may", answer(proxy, OTHER), "greeting")
            report.equal("no server was dialled for the third", server.accepted, 3)
        processes.wait_until(lambda: answer(proxy) == "greeting", 5, "the first to be gone")
        report.check("once they left, others may", True)
        report.check("refusals are counted",
                     refused(proxy, "max_connections_per_address") > 0)
        report.check("and told", proxy.wait_line("connection refused.*max_connections_per_address"))


def rate(report, proxy_of):
    with wire.FakeServer(wire.accept_everybody) as server, \
            proxy_of(server.address, "--connections_per_second_per_address=5") as proxy:
        began = time.monotonic()
        found = [answer(proxy) for _ in range(20)]
        took = time.monotonic() - began
        welcome = found.count("greeting")
        report.check("a second's worth comes in, and not much more",
                     5 <= welcome <= 6 + 5 * took, f"{welcome} in {took:.2f} s")
        others = [one for one in found if one != "greeting"]
        report.check("the others read why not",
                     others and all(says(one, 1040, "Too many new connections a second")
                                     for one in others), str(others[:1]))
        time.sleep(1.1)
        report.equal("a second later it is as before",
                     [answer(proxy) for _ in range(3)], ["greeting"] * 3)
        report.equal("counted", refused(proxy, "connections_per_second_per_address"), len(others))


def resets(report, proxy_of):
    """Who is gone before he was met, and so has no address, reaches no server."""
    with wire.FakeServer(wire.accept_everybody) as server, \
            proxy_of(server.address, "--connections_per_second_per_address=1") as proxy:
        for _ in range(60):
            with dial(proxy) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        processes.wait_until(
            lambda: counter(proxy, "connections_accepted_total") == 60 and
            counter(proxy, "connections_open") == 0, 10, "all to be over")
        report.check("connections that are reset at once come under the limit",
                     server.accepted <= 5, f"{server.accepted} of 60 reached the server")


def handshakes(report, proxy_of, authority):
    def open_tls(sock):
        try:
            with wire.open_tls(sock, authority.ca):
                return True
        except OSError:  # SSLError is one.
            return False
    with wire.FakeServer(wire.accept_everybody) as server, \
            proxy_of(server.address, "--handshakes_per_second_per_address=2") as proxy:
        early = [dial(proxy) for _ in range(4)]
        report.equal("who doesn't ask for TLS isn't counted",
                     [first_packet(sock) for sock in early], ["greeting"] * 4)
        started = time.monotonic()
        done = [open_tls(sock) for sock in early]
        quick = time.monotonic() - started < 0.4
        report.check("two handshakes at once", done[:2] == [True, True], str(done))
        report.check("and no third", done[2:] == [False, False] or not quick, str(done))
        late = answer(proxy)
        report.check("nor a new connection", says(late, 1040, "TLS handshakes a second")
                     or not quick, str(late))
        report.equal("another address may", answer(proxy, OTHER), "greeting")
        time.sleep(1.1)
        with dial(proxy) as sock:
            first_packet(sock)
            report.check("a second later it is as before", open_tls(sock))
        report.check("counted", refused(proxy, "handshakes_per_second_per_address") >= 2)
        report.check("told", proxy.wait_line("reason=address_refused"))


def failures(report, proxy_of, server):
    account = server.account("native")
    with proxy_of(f"127.0.0.1:{server.port}", "--login_failures_per_address=3",
                  "--block_time=3") as proxy:
        for client in (python, mariadb):
            name = client.__name__
            for _ in range(3):
                text = client(proxy, account, "wrong")
                report.check(f"{name}: a wrong password is told as ever", "1045" in text, text)
            text = client(proxy, account)
            blocked = time.monotonic()
            report.check(f"{name}: then the address is blocked, in MySQL's words",
                         "1129" in text and BLOCKED in text, text)
            report.equal(f"{name}: another address isn't", python(proxy, account, source=OTHER),
                         "ok")
            text = processes.wait_until(
                lambda run=client: None if "1129" in (said := run(proxy, account)) else said, 6,
                "the end of the block")
            report.check(f"{name}: the block ends", "ok" in text or "native@" in text, text)
            report.check(f"{name}: in its time", time.monotonic() - blocked < 5)
        report.equal("blocks are counted", counter(proxy, "addresses_blocked_total"), 2)
        for _ in range(2):
            python(proxy, account, "wrong", OTHER)
        report.equal("two wrong passwords block nobody", python(proxy, account, source=OTHER),
                     "ok")


def behind_a_balancer(report, proxy_of):
    def arrives(proxy, source):
        with dial(proxy, OTHER) as sock:
            sock.sendall(f"PROXY TCP4 {source} 192.0.2.1 1 3306\r\n".encode())
            return first_packet(sock)
    with wire.FakeServer(wire.accept_everybody) as server, \
            proxy_of(server.address, f"--proxy_protocol_networks={OTHER}",
                     "--connections_per_second_per_address=1") as proxy:
        report.equal("the header's address is what counts",
                     [arrives(proxy, f"192.0.2.{i}") for i in range(1, 6)], ["greeting"] * 5)
        again = arrives(proxy, "192.0.2.5")
        report.check("and reads why not", says(again, 1040, "'192.0.2.5'"), str(again))
        report.equal("no server was dialled for it", server.accepted, 5)


def flood(report, proxy_of):
    with wire.FakeServer(wire.accept_everybody) as server, \
            proxy_of(server.address, "--max_connections_per_address=1") as proxy:
        with dial(proxy) as sock:
            first_packet(sock)
            before = proxy.descriptors()
            told = sum(answer(proxy) != "greeting" for _ in range(600))
            report.equal("each of a flood is refused", told, 600)
            processes.wait_until(lambda: proxy.descriptors() == before, 5, f"{before} descriptors")
            report.check("nothing is kept of them", True)
        lines = [line for line in proxy.lines if "connection refused" in line]
        report.check("not each is told", 0 < len(lines) < 300, str(len(lines)))
        report.equal("all are counted", refused(proxy, "max_connections_per_address"), 600)


def descriptors(report, options):
    prefix = ["prlimit", "--nofile=400:600", "--"]
    if os.getuid() == 0:  # Who could raise the hard limit.
        prefix += ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource", "--"]
    with Proxy(options.proxy, "127.0.0.1:1", io_engine=options.io_engine, prefix=prefix, workers=1,
               arguments=["--max_connections=1000"]) as proxy:
        said = " ".join(proxy.lines)
        report.check("too few descriptors for a max_connections that was given: no start",
                     proxy.port is None and "max_connections" in said and "2272" in said
                     and "600" in said, said)
    with Proxy(options.proxy, "127.0.0.1:1", io_engine=options.io_engine, prefix=prefix,
               workers=1) as proxy:
        report.check("the default is lowered",
                     proxy.wait_line("max_connections lowered.*max_connections=164"),
                     str(proxy.lines))
    with Proxy(options.proxy, "127.0.0.1:1", io_engine=options.io_engine, prefix=prefix, workers=1,
               arguments=["--max_connections=150"]) as proxy:
        with open(f"/proc/{proxy.process.pid}/limits", encoding="ascii") as file:
            soft = re.search(r"Max open files\s+(\d+)", file.read()).group(1)
        report.check("and the soft limit is raised", int(soft) == 572, soft)


def main():
    options = parse(make_parser(__doc__))
    report = Report()
    with processes.test_folder() as folder:
        authority = servers.new_authority(folder)
        pair = authority.issue("proxy")

        def proxy_of(server, *arguments):
            return Proxy(options.proxy, server, pair=pair, io_engine=options.io_engine,
                         arguments=arguments)
        report.attempt("connections", connections, report, proxy_of)
        report.attempt("rate", rate, report, proxy_of)
        report.attempt("resets", resets, report, proxy_of)
        report.attempt("handshakes", handshakes, report, proxy_of, authority)
        report.attempt("behind a balancer", behind_a_balancer, report, proxy_of)
        report.attempt("flood", flood, report, proxy_of)
        report.attempt("descriptors", descriptors, report, options)
        try:
            with servers.MariaDB(folder) as server:
                server.start().wait()
                report.attempt("failures", failures, report, proxy_of, server)
        except processes.Skipped as reason:
            print(f"SKIPPED: {reason}")
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
