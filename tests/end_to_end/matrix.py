#!/usr/bin/python3
"""Every client with every kind of account on every server: directly, and through the proxy.

    matrix.py --proxy PATH [--io_engine epoll] [--server mysql] [--client go] [--account sha256]
    matrix.py --proxy PATH --greets     the proxy greets by itself (sni_server)
    matrix.py                     without a proxy: what works directly

Prints Markdown tables; exits with 1 if anything that works directly fails through the proxy. The
servers behind the proxy have no TLS, which is what the proxy is for; "direct TLS" is a server of
the same version that has it.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import time

import accounts
import clients
import processes
import servers
from options import make_parser, parse
from proxy import Proxy

# Each mark in a table is one of these, direct first, then proxied.
WORKS, FAILS, ABSENT = "✓", "✗", "–"

WAYS = ("direct plaintext", "direct TLS", "proxied TLS", "proxied plaintext", "proxied unix")


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of one client."""
    server: str
    client: clients.Client
    account: accounts.Account
    operation: str
    way: str

    @property
    def row(self):
        return (self.server, self.account.title if self.operation == "login"
                else f"{self.operation} ({self.account.user})")


@dataclasses.dataclass
class Room:
    """A server without TLS, one with, and the proxies in front of the first."""
    plain: servers.Server
    secure: servers.Server
    proxies: dict

    def address(self, way):
        if way == "direct plaintext":
            return ("127.0.0.1", self.plain.port)
        if way == "direct TLS":
            return ("127.0.0.1", self.secure.port)
        return ("127.0.0.1", self.proxies[way].port)

    def behind(self, way):
        """The server that the log-in ends at."""
        return self.secure if way == "direct TLS" else self.plain


def is_asked(account, operation, way):
    """Whether there is anything to learn from this run."""
    if account.unix_only:
        return way in ("direct plaintext", "proxied unix")
    # Behind the log-in, the ways to a server differ no more, but TLS from plaintext.
    return operation == "login" or way not in ("direct TLS", "proxied unix")


def jobs_for(room, client, options):
    """All runs of one client on one server, in an order that keeps a cold account cold."""
    name = room.plain.name
    ways = [way for way in WAYS if not way.startswith("proxied") or way in room.proxies]
    # The heavier operations are about relaying bytes, so one kind of account does for them.
    usual = "native" if name == "mariadb" else "warm"
    for account in room.plain.accounts():
        if options.account and not any(account.user.startswith(a) for a in options.account):
            continue
        if account.user == "second" or account.default_auth and not client.default_auth:
            continue
        if account.cold and account.user != accounts.cold_user(client.name):
            continue
        operations = ["login"]
        if account.user == usual:
            operations = client.operations
        elif account.cold and "change_user" in client.operations:
            # Logs in as the warm account, and changes to the cold one.
            operations = ["login", "change_user"]
        for operation in operations:
            for way in ways:
                if is_asked(account, operation, way):
                    yield Job(name, client, account, operation, way)


def run(room, job, ca):
    """(ok, text) of one job."""
    address = room.address(job.way)
    if job.account.unix_only and job.way == "direct plaintext":
        address = room.plain.socket
    server = room.behind(job.way)
    account, second = job.account, server.account("second")
    if account.cold:
        if job.operation == "change_user":
            account, second = server.account("warm"), account
        server.forget_passwords()
    tls = ca if "TLS" in job.way or job.way == "proxied unix" else None
    ok, text = job.client.run(job.operation, address, account, tls, second)
    if ok and job.operation in ("login", "change_user"):
        expected = second.user if job.operation == "change_user" else account.user
        if text.split()[1] != f"{expected}@%":
            return False, f"logged in as somebody else: {text}"
    if ok and job.operation == "login" and job.way == "direct TLS" and text.split()[2] == "-":
        return False, "logged in without TLS"
    return ok, text


def run_client(room, client, options, ca):
    """All runs of one client on one server. What no direct way can do is not asked of a proxy,
    unless it is REQUIRE SSL, where the answer must be the server's own."""
    results, can = [], set()
    for job in jobs_for(room, client, options):
        what = (job.account.user, job.operation)
        if job.way.startswith("proxied") and what not in can and job.account.user != "must_ssl":
            continue
        ok, text = run(room, job, ca)
        if ok:
            can.add(what)
        results.append((job, ok, text))
    return results


def run_all(rooms, found, options, ca):
    """Clients run beside each other; the runs of one client on one server, one after another."""
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        pending = [pool.submit(run_client, room, client, options, ca)
                   for client in found for room in rooms]
        return [result for future in pending for result in future.result()]


def refuses_strangers(rooms, found, stranger):
    """Each client must refuse a certificate of another authority, or "verified" means nothing.
    Gives those that do not."""
    careless = []
    for room in rooms:
        account = room.plain.account("native" if room.plain.name == "mariadb" else "warm")
        way = "proxied TLS" if room.proxies else "direct TLS"
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            answers = pool.map(lambda client, room=room, account=account, way=way: (
                client, client.run("login", room.address(way), account, stranger)), found)
            careless += [client.name for client, (ok, _text) in answers if ok]
    return careless


def print_tables(results, found):
    """A table for each server: a row for each account or operation, a column for each client; in a
    cell, one mark for each way."""
    marks = collections.defaultdict(dict)
    for job, ok, _text in results:
        marks[job.row, job.client.name][job.way] = WORKS if ok else FAILS
    used = [way for way in WAYS if any(way in cell for cell in marks.values())]
    print(f"\nIn each cell: {', '.join(used)}. {WORKS} works, {FAILS} fails, {ABSENT} not asked.")
    for server in sorted({job.server for job, _, _ in results}):
        print(f"\n| {server} | " + " | ".join(client.title for client in found) + " |")
        print("|---" * (len(found) + 1) + "|")
        rows = dict.fromkeys(row for (row, _client) in marks if row[0] == server)
        for row in rows:
            cells = [" ".join(marks[row, client.name].get(way, ABSENT) for way in used)
                     if (row, client.name) in marks else "" for client in found]
            print(f"| {row[1]} | " + " | ".join(cells) + " |")


def print_totals(results):
    """How many logins worked each way, by kind of account: the short table."""
    totals = collections.defaultdict(collections.Counter)
    for job, ok, _text in results:
        if job.operation == "login" and ok:
            totals[job.row][job.way] += 1
    used = [way for way in WAYS if any(way in row for row in totals.values())]
    print("\nClients that log in:\n\n| server, account | " + " | ".join(used) + " |")
    print("|---" * (len(used) + 1) + "|")
    for (server, title), counts in totals.items():
        print(f"| {server}, {title} | " + " | ".join(str(counts[way]) for way in used) + " |")


# What the direct way is of which each proxied way must be as good.
EQUIVALENT = {"proxied TLS": ("direct plaintext", "direct TLS"),
              "proxied plaintext": ("direct plaintext",),
              "proxied unix": ("direct plaintext", "direct TLS")}


def failures(results):
    """The proxied jobs that fail although the same works directly, with what was said."""
    by_key = {(job.server, job.client.name, job.account.user, job.operation, job.way): (ok, text)
              for job, ok, text in results}
    wrong = []
    for (*key, way), (ok, text) in by_key.items():
        if not way.startswith("proxied"):
            continue
        if key[2] == "must_ssl":
            # A server without TLS refuses it, whoever is in front: the refusal must be the same.
            directly = by_key[(*key, "direct plaintext")][1]
            good = text.split()[:2] == directly.split()[:2]
        else:
            good = ok or not any(by_key.get((*key, other), (False, ""))[0]
                                 for other in EQUIVALENT[way])
        if not good:
            wrong.append((*key, way, text))
    return wrong


def mediation_faults(rooms, results):
    """A cold caching_sha2 log-in over TLS cannot work but by mediation: the proxy must say so in
    its log line, and it must not say so of a warm or a plaintext one."""
    wrong = []
    for room in rooms:
        if room.plain.name != "mysql" or not room.proxies:
            continue
        done = {job.account.user for job, ok, _ in results
                if ok and job.way == "proxied TLS" and job.operation == "login"}
        for way, expected in (("proxied TLS", "yes"), ("proxied plaintext", "no")):
            for line in room.proxies[way].connections():
                user = line.get("user", "")
                first = user.startswith("cold_") and user in done and line.get("mediated")
                if first and line["mediated"] != expected:
                    wrong.append(f"{way}, {user}: mediated={line['mediated']} in its log line")
    return wrong


@contextlib.contextmanager
def open_rooms(options, folder, authority):
    """Brings up what is asked for."""
    tls = servers.server_tls(authority)
    with contextlib.ExitStack() as stack:
        pairs = []
        for kind in (servers.MariaDB, servers.MySQL):
            if options.server and kind.name not in options.server:
                continue
            try:
                plain = stack.enter_context(kind(folder)).start()
                secure = stack.enter_context(kind(folder, tls=tls)).start()
                pairs.append((plain, secure))
            except processes.Skipped as reason:
                print(f"SKIPPED: server {kind.name}: {reason}")
        rooms = []
        for plain, secure in pairs:
            plain.wait()
            secure.wait()
            proxies = {}
            if options.proxy:
                pair = authority.issue(f"proxy-{plain.name}")
                # `required` proves that a client which logs in has used TLS.
                for way, mode, target in (
                        ("proxied TLS", "required", f"127.0.0.1:{plain.port}"),
                        ("proxied plaintext", "preferred", f"127.0.0.1:{plain.port}"),
                        ("proxied unix", "required", f"unix:{plain.socket}")):
                    proxies[way] = stack.enter_context(Proxy(
                        options.proxy, target, tls_mode=mode, pair=pair,
                        io_engine=options.io_engine,
                        # A Java client on a busy machine can take longer than the default.
                        arguments=[f"--handshake_timeout={processes.patience(60):.0f}",
                                   f"--kernel_tls={options.kernel_tls}",
                                   *([f"--sni_server=localhost={target}"] * options.greets)]))
                    if proxies[way].port is None:
                        raise RuntimeError("the proxy does not start: "
                                           + " / ".join(proxies[way].lines))
            rooms.append(Room(plain, secure, proxies))
        yield rooms


def parse_arguments():
    parser = make_parser(__doc__, proxy_required=False)
    parser.add_argument("--server", action="append", choices=["mariadb", "mysql"])
    parser.add_argument("--client", action="append", choices=clients.NAMES)
    parser.add_argument("--account", action="append", help="begins with this, e.g. cold, sha256")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--kernel_tls", default="off", choices=["off", "auto", "on"])
    parser.add_argument("--greets", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="print what each failure said")
    return parse(parser)


def main():
    options = parse_arguments()
    began = time.monotonic()
    found = clients.ready(options.client)
    with processes.test_folder() as folder:
        authority = servers.new_authority(folder)
        stranger = servers.new_authority(folder, "another authority").ca
        with open_rooms(options, folder, authority) as rooms:
            if not rooms or not found:
                raise processes.Skipped("no server, or no client")
            results = run_all(rooms, found, options, authority.ca)
            careless = refuses_strangers(rooms, found, stranger)
            print_tables(results, found)
            print_totals(results)
            wrong = failures(results)
            doubts = mediation_faults(rooms, results)
            dead = [way for room in rooms for way, proxy in room.proxies.items()
                    if not proxy.alive()]
    print(f"\n{len(results)} runs in {time.monotonic() - began:.0f} s")
    if options.verbose:
        for job, ok, text in results:
            if not ok:
                print("  ", *job.row, job.client.name, job.way, text[:300], sep=" | ")
    for line in wrong:
        print("FAILED through the proxy:", *line[:-1], "said:", line[-1][:400])
    for line in doubts:
        print("FAILED:", line)
    for name in careless:
        print(f"FAILED: {name} accepts a certificate of another authority")
    for way in dead:
        print(f"FAILED: the proxy for {way} has died")
    return 1 if wrong or doubts or careless or dead else 0


if __name__ == "__main__":
    processes.run_main(main)
