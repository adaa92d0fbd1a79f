#!/usr/bin/python3
"""The TLS options of a listener, as real clients see them.

    tls_options.py --proxy PATH [--io_engine epoll] [--only WORD]

Versions, ciphers, groups, certificates by name, tickets across workers, reloads, restarts and
machines, expiry; each also changed by a reload, and refused with file, line and key where it is
wrong. The server believes everybody, except where command lines need a real one.
"""

import base64
import glob
import os
import re
import shutil
import ssl
import subprocess
import time

import certificates
import clients
import mysql_wire as wire
import processes
import servers
from observe import wait_metric
from options import add_only, make_parser, parse
from proxy import Proxy
from reload import reload
from report import Report


class Room:
    def __init__(self, report, options, folder, server):
        self.report, self.options, self.folder, self.server = report, options, folder, server
        self.authority = certificates.Authority(folder)
        self.pair = self.authority.issue("proxy")
        self.config = os.path.join(folder, "sallyport.toml")

    def write(self, **keys):
        lines = {"listen": "127.0.0.1:0", "server": self.server.address,
                 "tls_cert": self.pair[0], "tls_key": self.pair[1], **keys}
        with open(self.config, "w", encoding="ascii") as file:
            file.write("".join(f"{key} = {quoted(value)}\n" for key, value in lines.items()))

    def proxy(self, prefix=(), **keys):
        self.write(**keys)
        return Proxy(self.options.proxy, None, config=self.config, prefix=prefix,
                     io_engine=self.options.io_engine, arguments=["--workers=4"])

    def check_config(self):
        done = subprocess.run([self.options.proxy, "--check_config", "--config", self.config],
                              capture_output=True, text=True, check=False,
                              timeout=processes.patience(20))
        return done.returncode, done.stderr

    def reload_to(self, proxy, **keys):
        self.write(**keys)
        line = reload(proxy)
        self.report.check(f"a reload takes {keys}", " reloaded" in line, line)


def quoted(value):
    return str([str(each) for each in value]) if isinstance(value, list) else f'"{value}"'


def s_client(port, *arguments, until=None):
    """What openssl says of one handshake. It reads until its input ends: half a second, or until
    something is so (that a ticket came, which is sent behind the handshake)."""
    with subprocess.Popen(
            ["openssl", "s_client", "-starttls", "mysql", "-connect", f"127.0.0.1:{port}",
             *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace") as client:
        if until:
            processes.wait_until(until, 20, "what s_client is to wait for")
        else:
            time.sleep(0.5)
        return client.communicate(timeout=processes.patience(20))[0]


def settled(port, *arguments):
    """(version, cipher, group) of a handshake; None where there was none."""
    text = s_client(port, *arguments)
    version, cipher = re.search(r"(?:New|Reused), (\S+), Cipher is (\S+)", text).groups()
    group = re.search(r"Server Temp Key: (?:ECDH, )?([\w-]+)", text)
    return None if cipher == "(NONE)" else (version, cipher, group.group(1) if group else "")


def versions(room):
    with room.proxy() as proxy:
        room.report.equal("TLS 1.3 by default", settled(proxy.port)[0], "TLSv1.3")
        room.report.equal("and 1.2", settled(proxy.port, "-tls1_2")[0], "TLSv1.2")
        room.report.equal("but not 1.1",
                          settled(proxy.port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), None)
        room.reload_to(proxy, tls_version_min="1.3")
        room.report.equal("min 1.3: no 1.2", settled(proxy.port, "-tls1_2"), None)
        room.report.equal("min 1.3: 1.3", settled(proxy.port)[0], "TLSv1.3")
        room.reload_to(proxy, tls_version_max="1.2")
        room.report.equal("max 1.2: no 1.3", settled(proxy.port, "-tls1_3"), None)
        room.report.equal("max 1.2: 1.2", settled(proxy.port)[0], "TLSv1.2")


def ciphers_and_groups(room):
    chacha, aes = "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384"
    with room.proxy(tls_ciphers=f"{chacha}:{aes}", tls_groups="P-384:X25519") as proxy:
        room.report.equal("our order of ciphers",
                          settled(proxy.port, "-tls1_2", "-cipher", f"{aes}:{chacha}")[1], chacha)
        room.report.equal("and no other", settled(
            proxy.port, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), None)
        room.report.equal("our order of groups", settled(
            proxy.port, "-groups", "X25519:P-384")[2], "secp384r1")
        room.report.equal("and no other", settled(proxy.port, "-groups", "P-256"), None)
        room.reload_to(proxy, tls_groups="P-256")
        room.report.equal("a reload changes groups",
                          settled(proxy.port, "-groups", "X25519:P-256")[2], "prime256v1")
        room.report.check("and ciphers", settled(
            proxy.port, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"))


def command_lines(room):
    """What the real ones get; the proxy's line tells."""
    ready = clients.ready(("mariadb", "mysql", "pymysql", "go"))
    with servers.MariaDB(room.folder).start() as server:
        server.wait()
        account = server.account("native")
        with room.proxy(server=f"127.0.0.1:{server.port}") as proxy:
            for client in ready:
                start = proxy.mark()
                ok, text = client.run("login", ("127.0.0.1", proxy.port), account,
                                      room.authority.ca)
                room.report.check(f"{client.name}: logs in", ok, text)
                line = proxy.wait_line("connection ended", 5, start) or ""
                room.report.check(f"{client.name}: by TLS 1.3", " tls=TLSv1.3 " in line, line)
            room.reload_to(proxy, server=f"127.0.0.1:{server.port}", tls_version_max="1.2",
                           tls_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
            for client in ready:
                start = proxy.mark()
                client.run("login", ("127.0.0.1", proxy.port), account, room.authority.ca)
                line = proxy.wait_line("connection ended", 5, start) or ""
                cipher = "cipher=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
                room.report.check(f"{client.name}: by the cipher of 1.2 that is left",
                                  f" tls=TLSv1.2 {cipher} " in line and "login=ok" in line, line)


def names(room):
    """Each certificate is of an authority of its own, so who verifies it knows which it got."""
    hosts = (["orders.example.com"], ["*.example.com"], ["reports.example.net"])
    authorities = [certificates.Authority(room.folder, f"authority {i}") for i in range(4)]
    pairs = [authority.issue(f"name-{i}", dns=dns)
             for i, (authority, dns) in enumerate(zip(authorities, (["localhost"], *hosts)))]
    keys = {"tls_cert": [pair[0] for pair in pairs], "tls_key": [pair[1] for pair in pairs]}
    wanted = (("orders.example.com", 1), ("other.example.com", 2), ("REPORTS.example.net", 3),
              ("a.b.example.com", 0), ("nobody.example.org", 0))
    ready = clients.ready(("mysql", "go"))
    with servers.MariaDB(room.folder).start() as server:
        server.wait()
        account = server.account("native")
        keys["server"] = f"127.0.0.1:{server.port}"
        with room.proxy(**keys) as proxy:
            for name, number in wanted:
                ca = authorities[number].ca
                text = s_client(proxy.port, "-servername", name, "-CAfile", ca)
                room.report.check(f"openssl: {name} gets certificate {number}",
                                  "Verify return code: 0 (ok)" in text, text)
                for client in ready:
                    if client.name == "go" and number == 0:
                        continue  # It would verify the name as well.
                    start = proxy.mark()
                    ok, text = client.run("login", ("127.0.0.1", proxy.port), account, ca,
                                          sni=name)
                    room.report.check(f"{client.name}: {name} gets certificate {number}", ok, text)
                    line = proxy.wait_line("connection ended", 5, start) or ""
                    room.report.check(f"{client.name}: the line has the name",
                                      f" sni={name} " in line, line)
            room.report.check("no name: the first", "Verify return code: 0 (ok)" in s_client(
                proxy.port, "-noservername", "-CAfile", authorities[0].ca))
            ends = re.findall(r'\nsallyport_certificate_not_after_seconds{.*file="(.*?)"',
                              proxy.get("/metrics"))
            room.report.equal("each has its metric", ends, keys["tls_cert"])
            keys = {**keys, "tls_cert": keys["tls_cert"][1:], "tls_key": keys["tls_key"][1:]}
            room.reload_to(proxy, **keys)
            room.report.check("another first by a reload", "Verify return code: 0 (ok)" in s_client(
                proxy.port, "-noservername", "-CAfile", authorities[1].ca))


class Resumer:
    """A client that keeps its last ticket, as Python's ssl does for one context."""

    def __init__(self, ca, version=None):
        self.context = wire.tls_context(ca)
        if version:
            self.context.maximum_version = version
        self.session = None

    def resumes(self, port):
        """Logs in; gives whether an earlier session was resumed."""
        sock = wire.dial(("127.0.0.1", port))
        wire.read_packet(sock)
        sock.sendall(wire.ssl_request())
        with self.context.wrap_socket(sock, server_hostname="127.0.0.1",
                                      session=self.session) as tls:
            tls.sendall(wire.handshake_response(2))
            wire.read_packet(tls)  # Behind the ticket.
            self.session = tls.session
            return tls.session_reused


def ticket_lines(*numbers):
    return "".join(base64.b64encode(bytes([number]) * 80).decode() + "\n" for number in numbers)


def tickets(room):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = Resumer(room.authority.ca, version)
        with room.proxy() as proxy:
            found = [client.resumes(proxy.port) for _ in range(12)]
            room.report.equal(f"{version.name}: resumes, whichever worker it meets", found,
                              [False] + 11 * [True])
            reload(proxy)
            room.report.check("and after a reload", client.resumes(proxy.port))
            room.report.equal("which is counted", wait_metric(
                proxy, "sallyport_tls_handshakes_total", 12, resumed="yes"), 12)
        with room.proxy() as proxy:
            room.report.check("not after a restart", not client.resumes(proxy.port))
    session = os.path.join(room.folder, "session")
    with room.proxy() as proxy:
        s_client(proxy.port, "-sess_out", session,
                 until=lambda: os.path.exists(session) and os.path.getsize(session))
        room.report.check("openssl resumes",
                          "Reused, TLSv1.3" in s_client(proxy.port, "-sess_in", session))


def shared_tickets(room):
    file = os.path.join(room.folder, "tickets")
    with open(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as out:
        out.write(ticket_lines(1, 2, 3))
    client = Resumer(room.authority.ca)
    with room.proxy(tls_ticket_keys=file) as one, room.proxy(tls_ticket_keys=file) as other:
        client.resumes(one.port)
        room.report.check("another machine's tickets resume", client.resumes(other.port))
    with room.proxy(tls_ticket_keys=file) as proxy:
        room.report.check("and after a restart", client.resumes(proxy.port))
        for what, numbers, resumes in (("a rotation", (2, 3, 4), True),
                                       ("the next", (3, 4, 5), True),
                                       ("three at once", (6, 7, 8), False)):
            with open(file, "w", encoding="ascii") as out:
                out.write(ticket_lines(*numbers))
            room.report.check(f"{what}: is reloaded", " reloaded" in reload(proxy))
            room.report.equal(f"{what}: an old ticket", client.resumes(proxy.port), resumes)
        with open(file, "w", encoding="ascii") as out:
            out.write(ticket_lines(6, 7))
        line = reload(proxy)
        room.report.check("too few: refused with file, line and key", re.search(
            rf"reload refused.*{room.config}:\d+: tls_ticket_keys: {file}: the ticket keys have 2 "
            "lines", line), line)
        room.report.check("and the old ones stay", client.resumes(proxy.port))


def expiry(room):
    soon = room.authority.issue("soon", last=20)
    late = room.authority.issue("late", last=22)
    people = certificates.Authority(room.folder, "people")
    crl = people.revoke(last=2)
    with room.proxy(tls_cert=[late[0], soon[0]], tls_key=[late[1], soon[1]],
                    tls_client_ca=people.ca, tls_client_crl=crl,
                    tls_client_certificates="optional") as proxy:
        lines = [line for line in proxy.lines if "expires soon" in line]
        room.report.check("20 days before its end: a warning", any(
            re.search(f"file={soon[0]} .* days_left=(19|20)", line) for line in lines), str(lines))
        room.report.check("of a revocation list, too", any(
            re.search(f"what=client_crl file={crl} .* days_left=[12]", line) for line in lines))
        room.report.equal("22 days before: none", len(lines), 2, str(lines))
        values = dict(re.findall(
            r'\nsallyport_certificate_not_after_seconds{listener="127.0.0.1:0",kind="\w+",'
            r'file="(.*?)",subject=".*?"} (\S+)', proxy.get("/metrics")))
        found = {os.path.basename(file): float(end) for file, end in values.items()}
        room.report.equal("a metric for each", sorted(found),
                          sorted(os.path.basename(file) for file in
                                 (soon[0], late[0], people.ca, crl)))
        room.report.equal("with the time", found["late.crt"] - found["soon.crt"], 2 * 86400.0)
        start = proxy.mark()
        room.reload_to(proxy, tls_cert=soon[0], tls_key=soon[1])
        room.report.check("a reload warns again",
                          proxy.wait_line("expires soon what=certificate", 5, start))
        metrics = proxy.get("/metrics")
        room.report.check("and has new metrics", soon[0] in metrics and late[0] not in metrics)


def days_pass(room):
    """Under a clock of the test's own: a warning each day, from the 21st before the end on."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        print("SKIPPED: libfaketime is not installed")
        return
    clock = os.path.join(room.folder, "clock")

    def set_clock(days):
        with open(clock + ".new", "w", encoding="ascii") as file:
            file.write(f"+{days}d\n")
        os.rename(clock + ".new", clock)
    set_clock(0)
    pair = room.authority.issue("month", last=30)
    # It looks at the clock when it feeds the watchdog, else every ten minutes.
    prefix = ["env", f"LD_PRELOAD={libraries[0]}", f"FAKETIME_TIMESTAMP_FILE={clock}",
              "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "WATCHDOG_USEC=400000",
              f"NOTIFY_SOCKET={room.folder}/nobody"]
    with room.proxy(prefix=prefix, tls_cert=pair[0], tls_key=pair[1]) as proxy:
        if any("ASan runtime" in line for line in proxy.lines):
            print("SKIPPED: a sanitizer's build bears no LD_PRELOAD")
            return
        for day, says in ((8, ""), (9, "expires soon"), (9, ""), (10, "expires soon"),
                          (31, "expired")):
            start = proxy.mark()
            set_clock(day)
            line = proxy.wait_line(" expire", 8 if says else 0.7, start) or ""
            word = re.search(r"expire[sd](?: soon)?", line)
            room.report.equal(f"after {day} days of 30", word.group() if word else "", says)


def what_is_wrong(room):
    """At the start, by --check_config and by a reload: file, line and key; nothing changes."""
    other = room.authority.issue("other")
    rsa = room.authority.issue("rsa", kind="rsa")
    garbage = os.path.join(room.folder, "garbage")
    with open(garbage, "w", encoding="ascii") as file:
        file.write("no sense\n")
    wrong = (
        ({"tls_version_min": "1.1"}, "tls_version_min", '"1.1" is none of 1.2, 1.3'),
        ({"tls_version_min": "1.3", "tls_version_max": "1.2"}, "tls_version_min", "is above"),
        ({"tls_ciphers": "RC4-MD5"}, "tls_ciphers", '"RC4-MD5" is no cipher'),
        ({"tls_ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256", "tls_cert": rsa[0], "tls_key": rsa[1]},
         "tls_ciphers", "no cipher of the list goes with"),
        ({"tls_groups": "P-192"}, "tls_groups", '"P-192" is no group'),
        ({"tls_cert": [room.pair[0], other[0]], "tls_key": [room.pair[1], room.pair[1]]},
         "tls_cert", f"{other[0]} with {room.pair[1]}: the key does not match"),
        ({"tls_cert": [room.pair[0], other[0]]}, "tls_key", "has 1 of the 2 keys"),
        ({"tls_ticket_keys": garbage}, "tls_ticket_keys", "line 1 of the ticket keys is no base64"),
        ({"tls_ticket_keys": "/no/such"}, "tls_ticket_keys", "/no/such: No such file"),
        ({"tls_client_certificates": "optional", "tls_client_ca": garbage}, "tls_client_ca",
         "no CA certificate in the PEM"),
        ({"tls_client_certificates": "optional", "tls_client_ca": room.authority.ca,
          "tls_client_crl": garbage}, "tls_client_crl", "no revocation list in the PEM"),
        ({"tls_client_ca": room.authority.ca}, "tls_client_ca", "needs tls_client_certificates"))
    with room.proxy() as proxy:
        for keys, key, says in wrong:
            room.write(**keys)
            with open(room.config, encoding="ascii") as file:
                number = [line.split()[0] for line in file].index(key) + 1
            place = f"{room.config}:{number}: {key}: "
            code, text = room.check_config()
            room.report.check(f"{keys}: --check_config says where and what",
                              code == 2 and place in text and says in text, text)
            line = reload(proxy).replace('\\"', '"')
            room.report.check(f"{key}: so does a reload", "reload refused" in line and place in line
                              and (says in line or "sandbox" in line), line)
            room.report.check(f"{key}: and all is as it was", settled(proxy.port)[0] == "TLSv1.3")
        room.reload_to(proxy)


def each_listener(room):
    """Two listeners, of which each has demands of its own."""
    ports = (processes.free_port(), processes.free_port())
    with open(room.config, "w", encoding="ascii") as file:
        file.write(f'server = "{room.server.address}"\ntls_cert = "{room.pair[0]}"\n'
                   f'tls_key = "{room.pair[1]}"\ntls_groups = "P-256"\n'
                   f'[[listener]]\nlisten = "127.0.0.1:{ports[0]}"\ntls_version_min = "1.3"\n'
                   f'[[listener]]\nlisten = "127.0.0.1:{ports[1]}"\ntls_version_max = "1.2"\n'
                   f'tls_groups = "X25519"\ntls_mode = "required"\n'
                   f'tls_client_certificates = "required"\ntls_client_ca = "{room.authority.ca}"\n')
    client = room.authority.issue_client("app")
    with Proxy(room.options.proxy, None, config=room.config, io_engine=room.options.io_engine):
        room.report.equal("one: TLS 1.3, the group from above the tables",
                          settled(ports[0])[::2], ("TLSv1.3", "prime256v1"))
        room.report.equal("one: no 1.2", settled(ports[0], "-tls1_2"), None)
        room.report.equal("two: TLS 1.2, its own group",
                          settled(ports[1], "-cert", client[0], "-key", client[1])[::2],
                          ("TLSv1.2", "X25519"))
        text = s_client(ports[1])
        room.report.check("two: nobody without a certificate", "alert handshake failure" in text,
                          text)


def folders(room):
    """Each file in a folder of its own, apart from the configuration's, whence the sandbox must let
    it be read again."""
    sources = {"second-cert": room.pair[0], "second-key": room.pair[1], "ca": room.authority.ca,
               "crl": room.authority.revoke(name="none"),
               "tickets": os.path.join(room.folder, "tickets")}
    with open(os.open(sources["tickets"], os.O_CREAT | os.O_WRONLY, 0o600), "w",
              encoding="ascii") as out:
        out.write(ticket_lines(1, 2, 3))
    with processes.test_folder() as elsewhere:
        files = {name: os.path.join(elsewhere, f"of-{name}", name) for name in sources}
        for name, file in files.items():
            os.mkdir(os.path.dirname(file))
            shutil.copy(sources[name], file)
        keys = {"tls_cert": [room.pair[0], files["second-cert"]],
                "tls_key": [room.pair[1], files["second-key"]],
                "tls_ticket_keys": files["tickets"], "tls_client_certificates": "optional",
                "tls_client_ca": files["ca"], "tls_client_crl": files["crl"]}
        with room.proxy(**keys) as proxy:
            for name, file in files.items():
                shutil.copy(file, file + ".new")
                os.rename(file + ".new", file)
                room.report.check(f"{name}: can be read again", " reloaded" in reload(proxy),
                                  proxy.lines[-1])


CHECKS = [versions, each_listener, folders, ciphers_and_groups, command_lines, names, tickets,
          shared_tickets, expiry, days_pass, what_is_wrong]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    with wire.FakeServer(wire.accept_everybody) as server:
        for check in CHECKS:
            with processes.test_folder() as folder:
                if options.only in check.__name__:
                    report.attempt(check.__name__, check, Room(report, options, folder, server))
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
