#!/usr/bin/python3
"""What an operator sees and does by the admin port, while real sessions run.

    observe.py --proxy PATH [--io_engine epoll] [--only WORD]
"""

import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

import life_cycle
import mysql_wire as wire
import processes
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

# What a browser would run, what a terminal would obey, and what is no UTF-8. 64 bytes.
HOSTILE = b"<script>document.title='owned'</script><img src=x onerror=e()>\x1b[2J\xff"


def patient_server(sock):
    """Believes everybody but "eve", who is refused, and answers every command with OK; a query
    "big" with 1 MB first."""
    sock.sendall(wire.greeting(plugin="mysql_native_password"))
    sequence_id, payload = wire.read_packet(sock)
    if b"eve\0" in payload:
        sock.sendall(wire.err(sequence_id + 1, 1045, "Access denied", "28000"))
        return
    sock.sendall(wire.packet(sequence_id + 1, wire.OK_PAYLOAD))
    while True:
        _, command = wire.read_packet(sock)
        if command[1:] == b"big":
            sock.sendall(wire.packet(1, b"\x01" + bytes(1_000_000)))
        else:
            sock.sendall(wire.packet(1, wire.OK_PAYLOAD))


def log_in(port, ca=None, user=b"ann"):
    """A session, whatever its user is called; over TLS with an authority."""
    sock = wire.dial(("127.0.0.1", port))
    wire.read_packet(sock)
    if ca:
        sock = wire.open_tls(sock, ca)
    response = wire.handshake_response(2 if ca else 1, user="USER", plugin="mysql_native_password")
    sock.sendall(wire.packet(2 if ca else 1, response[4:].replace(b"USER", user)))
    wire.read_packet(sock)
    return sock


def query(sock, text):
    """The size of the answer."""
    sock.sendall(wire.packet(0, b"\x03" + text))
    return len(wire.read_packet(sock)[1])


SERIES = re.compile(r'^([a-z_]+)(?:\{(.*)\})? ([0-9.e+-]+)$')


class Metrics:
    """A scrape. total() sums the series of a family whose labels are as given."""

    def __init__(self, proxy):
        self.text = proxy.get("/metrics")
        self.series = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                name, labels, value = SERIES.match(line).groups()
                self.series.append((name, dict(re.findall(r'(\w+)="([^"]*)"', labels or "")),
                                    float(value)))

    def total(self, family, **labels):
        found = [value for name, of_it, value in self.series
                 if name == family and labels.items() <= of_it.items()]
        if not found:
            raise KeyError(f"{family} {labels}")
        return sum(found)


def wait_metric(proxy, family, expected, **labels):
    """The value, once it is as expected, or as it stays."""
    try:
        processes.wait_until(lambda: Metrics(proxy).total(family, **labels) == expected, 5, family)
    except TimeoutError:
        pass
    return Metrics(proxy).total(family, **labels)


def post(proxy, path, headers=None):
    """The status."""
    request = urllib.request.Request(f"http://127.0.0.1:{proxy.admin_port}{path}", method="POST",
                                     headers={"X-Sallyport": "1"} if headers is None else headers)
    try:
        with urllib.request.urlopen(request, timeout=processes.patience(5)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def sessions(proxy, limit=100):
    """All of them, page by page."""
    found, after = [], "0"
    while after is not None:
        page = json.loads(proxy.get(f"/sessions.json?limit={limit}&after={after}"))
        found += page["sessions"]
        after = page["next"]
    return found


def connections(room):
    """By reason: how they ended, and who was turned away."""
    report = room.report
    with room.proxy(arguments=["--max_connections=4"]) as proxy:
        first = [log_in(proxy.port, room.authority.ca) for _ in range(3)] + [log_in(proxy.port)]
        report.equal("metrics: open connections", wait_metric(
            proxy, "sallyport_connections_open", 4), 4)
        report.equal("a fifth is refused", life_cycle.wire.read_err(
            wire.dial(("127.0.0.1", proxy.port))).code, 1040)
        report.equal("metrics: refused, by reason", wait_metric(
            proxy, "sallyport_connections_refused_total", 1, reason="max_connections"), 1)
        first.pop().close()
        report.equal("metrics: ended by the client", wait_metric(
            proxy, "sallyport_connections_ended_total", 1, reason="client_closed"), 1)
        log_in(proxy.port, room.authority.ca, b"eve").close()
        report.equal("metrics: ended for the log-in", wait_metric(
            proxy, "sallyport_connections_ended_total", 1, reason="login_failed"), 1)
        # Cut in the middle of its packet.
        torn = wire.dial(("127.0.0.1", proxy.port))
        wire.read_packet(torn)
        torn.sendall(wire.ssl_request())
        torn.sendall(b"this is no TLS record, is it")
        wire.read_to_end(torn)
        torn.close()
        report.equal("metrics: ended for TLS", wait_metric(
            proxy, "sallyport_connections_ended_total", 1, reason="tls_failed"), 1)
        seen = Metrics(proxy)
        report.equal("metrics: TLS failures, by reason",
                     seen.total("sallyport_tls_handshake_failures_total", reason="version"), 1)
        report.equal("metrics: handshakes, by version and cipher", seen.total(
            "sallyport_tls_handshakes_total", version="TLSv1.3", resumed="no"), 4)
        report.equal("metrics: no other handshakes",
                     seen.total("sallyport_tls_handshakes_total"), 4)
        plugin = {"plugin": "mysql_native_password"}
        report.equal("metrics: log-ins accepted", seen.total(
            "sallyport_logins_total", outcome="accepted", **plugin), 4)
        report.equal("metrics: log-ins refused", seen.total(
            "sallyport_logins_total", outcome="refused_by_server", **plugin), 1)
        report.equal("metrics: times of handshakes, log-ins and sessions", [
            seen.total(f"sallyport_{what}_seconds_count")
            for what in ("tls_handshake", "login", "session")], [4, 4, 1])
        report.check("metrics: a log-in took longer than nothing and less than a second",
                     0 < seen.total("sallyport_login_seconds_sum") < 4)
        report.check("metrics: the loop's lag", seen.total("sallyport_loop_lag_seconds_count") > 10)
        report.check("metrics: what runs", 'io_engine="' in seen.text and 'compiler="' in seen.text)
        for sock in first:
            sock.close()


def bytes_by_way(room):
    """In clear small answers are copied and large ones spliced; TLS is TLS."""
    with room.proxy(workers=1) as proxy:
        sock = log_in(proxy.port)
        for _ in range(20):
            query(sock, b"small")
        before = Metrics(proxy)
        for _ in range(50):
            room.report.equal("a large answer arrives", query(sock, b"big"), 1_000_001) \
                if _ == 0 else query(sock, b"big")
        after = Metrics(proxy)
        family = "sallyport_received_bytes_total"
        room.report.check("bytes: copied from the client",
                          before.total(family, side="client", way="copied") > 20 * 10)
        spliced = after.total(family, side="server", way="spliced")
        everything = after.total(family, side="server")
        room.report.check("bytes: the server's are counted", everything >= 50_000_000,
                          str(everything))
        room.report.check("bytes: bulk is spliced", spliced > 10_000_000, str(spliced))
        tls = log_in(proxy.port, room.authority.ca)
        query(tls, b"big")
        room.report.check("bytes: TLS counts as TLS", Metrics(proxy).total(
            family, side="server", way="tls") >= 1_000_000)
        sock.close()
        tls.close()
        room.report.equal("nothing waits at the end", [
            wait_metric(proxy, f"sallyport_{what}", 0)
            for what in ("connections_open", "send_queue_bytes", "pipe_bytes", "pipes_lent")],
            [0, 0, 0, 0])


def listing(room):
    report = room.report
    with room.proxy() as proxy:
        tls = log_in(proxy.port, room.authority.ca, HOSTILE)
        plain = [log_in(proxy.port) for _ in range(30)]
        query(tls, b"hello")
        early = wire.dial(("127.0.0.1", proxy.port))
        wire.read_packet(early)
        found = sessions(proxy)
        report.equal("sessions: all are there", len(found), 32)
        report.equal("sessions: page by page too", sorted(s["id"] for s in sessions(proxy, 7)),
                     sorted(s["id"] for s in found))
        mine = [s for s in found if s["client"] == "%s:%d" % tls.getsockname()][0]
        report.equal("sessions: TLS", (mine["tls"], mine["state"], mine["plugin"]),
                     ("TLSv1.3", "session", "mysql_native_password"))
        report.check("sessions: the user's name, whatever it is", mine["user"].startswith(
            "<script>document.title='owned'</script>"), mine["user"])
        report.check("sessions: bytes and age", mine["bytes_from_client"] > 500
                     and 0 <= mine["idle_ms"] <= mine["age_ms"] < 60_000, str(mine))
        report.equal("sessions: one that has not logged in", [
            s["state"] for s in found if s["client"] == "%s:%d" % early.getsockname()],
            ["client_reply"])
        code, table = room.run("--sessions", "--admin", f"127.0.0.1:{proxy.admin_port}")
        report.equal("--sessions: exit code", code, 0)
        report.equal("--sessions: a line for each and a heading", len(table.splitlines()), 33)
        report.check("--sessions: nothing that a terminal obeys", "\\x1b[2J" in table
                     and "\x1b" not in table, table[:300])
        for sock in [tls, early, *plain]:
            sock.close()
    code, output = room.run("--sessions", "--admin", f"127.0.0.1:{proxy.admin_port}")
    report.equal("--sessions where nobody is", (code, output), (
        1, f"sallyport: --admin: 127.0.0.1:{proxy.admin_port}: Connection refused\n"))


def closing(room):
    report = room.report
    with room.proxy() as proxy:
        for ca in (None, room.authority.ca):
            how = "TLS" if ca else "plaintext"
            victim, other = log_in(proxy.port, ca), log_in(proxy.port, ca)
            session = [s for s in sessions(proxy)
                       if s["client"] == "%s:%d" % victim.getsockname()][0]
            start = proxy.mark()
            for headers in ({}, {"X-Sallyport": "1", "Origin": "http://evil.example"}):
                report.equal(f"{how}: no page of others closes a session",
                             post(proxy, f"/sessions/close?id={session['id']}", headers), 403)
            report.equal(f"{how}: a session is closed",
                         post(proxy, f"/sessions/close?id={session['id']}"), 200)
            victim.settimeout(processes.patience(5))
            report.equal(f"{how}: its client sees the end", wire.read_to_end(victim)[1], "closed")
            victim.close()
            report.check(f"{how}: others don't", life_cycle.answers(other))
            report.check(f"{how}: the log says why",
                         proxy.wait_line("reason=closed_by_operator", start=start))
            report.equal(f"{how}: once is enough",
                         post(proxy, f"/sessions/close?id={session['id']}"), 404)
            other.close()
        early = wire.dial(("127.0.0.1", proxy.port))
        wire.read_packet(early)
        session = [s for s in sessions(proxy)
                   if s["client"] == "%s:%d" % early.getsockname()][0]
        report.equal("before the log-in: closed",
                     post(proxy, f"/sessions/close?id={session['id']}"), 200)
        report.equal("before the log-in: told by an ERR packet", wire.read_err(early).code, 1053)
        early.close()
        report.equal("metrics: closed by an operator", wait_metric(
            proxy, "sallyport_connections_ended_total", 3, reason="closed_by_operator"), 3)
        report.equal("no such worker", post(proxy, f"/sessions/close?id={(900 << 48) + 1}"), 404)


def draining(room):
    """Sessions go on; new ones go to the other server, and back."""
    report = room.report
    with wire.FakeServer(patient_server) as other:
        config = os.path.join(room.folder, "drain.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write('listen = "127.0.0.1:0"\nworkers = 2\ntls_mode = "disabled"\n'
                       f'server = ["{room.server.address}", "{other.address}"]\n')
        with Proxy(room.options.proxy, "", config=config,
                   io_engine=room.options.io_engine) as proxy:
            old = log_in(proxy.port)
            first = room.server.address
            report.equal("a server is drained", post(proxy, f"/servers/drain?server={first}"), 200)
            new = log_in(proxy.port)
            report.equal("new sessions go to the other", other.accepted, 1)
            report.check("the old one goes on", life_cycle.answers(old))
            report.equal("still ready", proxy.get("/readyz"), "ok")
            # A reload forgets nothing.
            life = proxy.mark()
            proxy.process.send_signal(life_cycle.signal.SIGHUP)
            proxy.wait_line("reloaded", start=life)
            log_in(proxy.port).close()
            report.equal("drained after a reload too", other.accepted, 2)
            report.equal("both are drained",
                         post(proxy, f"/servers/drain?server={other.address}"), 200)
            error = wire.read_err(wire.dial(("127.0.0.1", proxy.port)))
            report.check("no server is left: 2003", error.code == 2003 and
                         error.message.startswith("Can't connect to MySQL server"), str(error))
            report.equal("a drained server is no failure", Metrics(proxy).total(
                "sallyport_server_connect_failures_total"), 0)
            report.equal("not ready", status_of(proxy, "/readyz"), 503)
            report.equal("in use again", post(proxy, f"/servers/undrain?server={first}"), 200)
            again = log_in(proxy.port)
            report.equal("and used", other.accepted, 2)
            report.equal("an unknown server", post(proxy, "/servers/drain?server=nobody:1"), 404)
            listeners = json.loads(proxy.get("/status.json"))["listeners"]
            report.equal("status.json knows", [s["drained"] for s in listeners[0]["servers"]],
                         [False, True])
            for sock in (old, new, again):
                sock.close()


def status_of(proxy, path):
    try:
        proxy.get(path)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


def under_load(room):
    """Listings and closings while sessions come, work and go: nobody else is hurt."""
    with room.proxy() as proxy:
        stop, counts, errors = threading.Event(), [], []

        def work():
            done = 0
            while not stop.is_set():
                try:
                    sock = log_in(proxy.port, room.authority.ca)
                    for _ in range(10):
                        query(sock, b"x")
                    sock.close()
                    done += 1
                except (OSError, EOFError) as error:
                    errors.append(error)
            counts.append(done)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + 3
            asked = 0
            while time.monotonic() < end:
                for session in sessions(proxy, 3):
                    asked += 1
                    if session["user"] == "nobody":
                        post(proxy, f"/sessions/close?id={session['id']}")
                proxy.get("/status.json")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        room.report.check("under load: sessions were listed", asked > 20, str(asked))
        room.report.check("under load: sessions ran", sum(counts) > 20, str(counts))
        room.report.equal("under load: none was hurt", errors, [])


CHECKS = [connections, bytes_by_way, listing, closing, draining, under_load]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder, wire.FakeServer(patient_server) as server:
        room = life_cycle.Room(report, options, folder, server)
        report.attempt_each(CHECKS, options.only, room)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
