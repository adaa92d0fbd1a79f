#!/usr/bin/python3
"""Bad clients must not get the proxy's host blocked by the server.

    connect_errors.py --proxy PATH [--io_engine epoll]
    connect_errors.py             without a proxy: that the same clients do get themselves blocked

A server counts handshakes that were broken off against the address they came from, and at
max_connect_errors it refuses that address: behind a proxy, everybody. It does not count
127.0.0.1, nor addresses without a name. So this runs in a network namespace of its own, where
loopback has another address too, and in a mount namespace of its own, where /etc/hosts names it.
Both go when the last process in them goes.
"""

import concurrent.futures
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

import clients
import mysql_wire as wire
import processes
import servers
from options import make_parser, parse
from proxy import Proxy
from report import Report

HOST = "10.99.0.1"
LIMIT = 4
OF_EACH = 10
INSIDE = "SALLYPORT_INSIDE_NAMESPACE"


def enter_namespaces():
    """Starts this script again in its own namespaces, or skips where this user may not."""
    for program in ("unshare", "ip"):
        if not shutil.which(program):
            raise processes.Skipped(f"{program} is not installed")
    unshare = ["unshare", "--net", "--mount"]
    if os.getuid() != 0:
        unshare += ["--map-root-user"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode != 0:
        raise processes.Skipped("this user may not make a network namespace")
    # setpriv, so that a killed test takes this along too.
    command = ["setpriv", "--pdeathsig", "TERM", "--", *unshare, "/usr/bin/python3", *sys.argv]
    done = subprocess.run(command, check=False, env=dict(os.environ, **{INSIDE: "yes"}))
    return done.returncode


def set_up_network(folder):
    for command in (["ip", "link", "set", "lo", "up"],
                    ["ip", "address", "add", f"{HOST}/32", "dev", "lo"]):
        subprocess.run(command, check=True)
    hosts = os.path.join(folder, "hosts")
    with open(hosts, "w", encoding="ascii") as file:
        file.write(f"127.0.0.1 localhost\n{HOST} edge.example\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


def reset(sock):
    """Closes by RST, as a scanner does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says_and_closes(data, read_first=True):
    def act(address):
        with wire.dial(address) as sock:
            if read_first:
                wire.read_packet(sock)
            if data:
                sock.sendall(data)
                time.sleep(0.05)
    return act


def resets(address):
    with wire.dial(address) as sock:
        wire.read_packet(sock)
        reset(sock)


def leaves_at_the_question(address):
    with wire.dial(address) as sock:
        wire.read_packet(sock)
        sock.sendall(wire.handshake_response(1, plugin="of_nobody"))
        wire.read_packet(sock)


def says_and_stays(data):
    def act(address):
        with wire.dial(address) as sock:
            sock.settimeout(15)
            sock.sendall(data)
            wire.read_to_end(sock)
    return act


BAD_CLIENTS = {
    "connects and closes": says_and_closes(b"", read_first=False),
    "reads the greeting and closes": says_and_closes(b""),
    "resets": resets,
    "SSLRequest and closes": says_and_closes(wire.ssl_request()),
    "SSLRequest and TLS garbage": says_and_closes(wire.ssl_request() + b"\x80" * 200),
    "garbage": says_and_closes(b"GET / HTTP/1.0\r\n\r\n"),
    "COM_QUIT": says_and_closes(wire.packet(0, b"\x01")),
    "half a response": says_and_closes(wire.handshake_response(1)[:30]),
    "a log-in, and closes": says_and_closes(wire.handshake_response(1)),
    "a log-in, and closes at the question": leaves_at_the_question,
    "says nothing until the time is over": says_and_stays(b""),
    "SSLRequest, then nothing": says_and_stays(wire.ssl_request()),
}


def errors_counted(server):
    """What the server holds against our address."""
    rows = server.sql("SELECT IP, SUM_CONNECT_ERRORS, COUNT_HANDSHAKE_ERRORS "
                      "FROM performance_schema.host_cache")
    counts = [line.split("\t") for line in rows.splitlines()]
    return sum(int(count[1]) + int(count[2]) for count in counts if count[0] == HOST)


def is_blocked(address):
    with wire.dial(address) as sock:
        _, payload = wire.read_packet(sock)
        return payload[:1] == b"\xff" and wire.Err(payload).code == 1129


def check_directly(report, server):
    """The same clients without a proxy: the server must block us, or the test proves nothing."""
    for _ in range(LIMIT + 1):
        BAD_CLIENTS["garbage"]((HOST, server.port))
    report.check(f"{server.name}, directly: the server counts a bad client",
                 errors_counted(server) >= LIMIT, f"counted {errors_counted(server)}")
    report.check(f"{server.name}, directly: and blocks it", is_blocked((HOST, server.port)))
    server.sql("TRUNCATE performance_schema.host_cache" if server.name == "mysql"
               else "FLUSH HOSTS")
    report.check(f"{server.name}, directly: until told to forget",
                 not is_blocked((HOST, server.port)))
    server.sql("TRUNCATE performance_schema.host_cache" if server.name == "mysql"
               else "FLUSH HOSTS")


def check_proxied(report, server, options, authority, client, *arguments):
    with Proxy(options.proxy, f"{HOST}:{server.port}", pair=authority.issue("proxy"),
               io_engine=options.io_engine,
               arguments=["--handshake_timeout=3", *arguments]) as proxy:
        address = ("127.0.0.1", proxy.port)
        for name, act in BAD_CLIENTS.items():
            with concurrent.futures.ThreadPoolExecutor(OF_EACH) as pool:
                list(pool.map(act, [address] * OF_EACH))
            time.sleep(0.3)
            report.equal(f"{server.name}: {OF_EACH} × {name}: counted", errors_counted(server), 0)
        ok, text = client.run("login", address, server.account(
            "native" if server.name == "mariadb" else "warm"), authority.ca)
        report.check(f"{server.name}: a real log-in succeeds afterwards", ok, text)
        report.check(f"{server.name}: the proxy is alive", proxy.alive())


def run_inside(options):
    report = Report()
    with processes.test_folder() as folder:
        set_up_network(folder)
        authority = servers.new_authority(folder)
        client = clients.ready(["mariadb"])[0]
        for kind in (servers.MySQL, servers.MariaDB):
            try:
                server = kind(folder, extra=[
                    f"--bind-address={HOST}", f"--max-connect-errors={LIMIT}",
                    "--performance-schema=ON", "--skip-name-resolve=OFF"])
                with server.start() as server:
                    server.wait()
                    report.attempt(server.name, check_directly, report, server)
                    if options.proxy:
                        report.attempt(server.name, check_proxied, report, server, options,
                                       authority, client)
                        # The proxy greets by itself, and has the server ask.
                        report.attempt(f"{server.name}, sni_server", check_proxied, report, server,
                                       options, authority, client,
                                       f"--sni_server=a.example.com={HOST}:{server.port}")
            except processes.Skipped as reason:
                print(f"SKIPPED: {reason}")
    return report.exit_code()


def main():
    parser = make_parser(__doc__, proxy_required=False)
    options = parse(parser)
    if os.environ.get(INSIDE):
        return run_inside(options)
    return enter_namespaces()


if __name__ == "__main__":
    processes.run_main(main)
