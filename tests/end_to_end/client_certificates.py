#!/usr/bin/python3
"""Clients' certificates: who is let in, who is told what, and whose name a certificate allows.

    client_certificates.py --proxy PATH [--io_engine epoll] [--only WORD]

Real command lines, PyMySQL and Go against a real MariaDB, with good certificates and with each kind
of bad one; raw sockets for a change of user.
"""

import os
import re
import shutil

import certificates
import clients
import mysql_wire as wire
import processes
import servers
from options import add_only, make_parser, parse
from proxy import Proxy
from reload import reload
from report import Report

CLIENTS = ("mariadb", "mysql", "pymysql", "go")


class Room:
    """A MariaDB, a pair for the proxy, and pairs for clients: good ones and bad ones."""

    def __init__(self, report, options, folder, server, ready):
        self.report, self.options, self.folder = report, options, folder
        self.server, self.clients = server, ready
        self.go = [client for client in ready if client.name == "go"]
        self.not_go = [client for client in ready if client.name != "go"]
        self.native = server.account("native")
        self.authority = certificates.Authority(folder)
        self.pair = self.authority.issue("proxy")
        self.people = certificates.Authority(folder, "people")
        self.strangers = certificates.Authority(folder, "strangers")
        self.good = self.people.issue_client("native", dns=["app.example.com"],
                                             emails=["second"])
        self.revoked = self.people.issue_client("revoked")
        self.expired = self.people.issue_client("expired", last=-1)
        self.stranger = self.strangers.issue_client("stranger")
        self.crl = self.people.revoke(self.revoked)
        self.config = os.path.join(folder, "sallyport.toml")

    def write(self, **keys):
        lines = {"listen": "127.0.0.1:0", "server": f"127.0.0.1:{self.server.port}",
                 "tls_cert": self.pair[0], "tls_key": self.pair[1], "tls_mode": "required",
                 "tls_client_ca": self.people.ca, **keys}
        with open(self.config, "w", encoding="ascii") as file:
            file.write("".join(f'{key} = "{value}"\n' for key, value in lines.items()))

    def proxy(self, **keys):
        self.write(**keys)
        return Proxy(self.options.proxy, None, config=self.config,
                     io_engine=self.options.io_engine)

    def log_in(self, client, proxy, pair=None, account=None, **more):
        if pair:
            more.update(cert=pair[0], key=pair[1])
        return client.run("login", ("127.0.0.1", proxy.port), account or self.native,
                          self.authority.ca, **more)

    def check_all(self, proxy, what, pair, good, says="", account=None, but=(), **more):
        """Every client is let in, or refused; `says` is what the connection's line has then."""
        for client in (each for each in self.clients if each not in but):
            start = proxy.mark()
            ok, text = self.log_in(client, proxy, pair, account, **more)
            self.report.check(f"{client.name}: {what}", ok == good, text)
            if says:
                found = proxy.wait_line("connection ended .*" + re.escape(says), 5, start)
                self.report.check(f"{client.name}: {what}: the log says why", found,
                                  " / ".join(proxy.lines[start:]))


def required(room):
    with room.proxy(tls_client_certificates="required", tls_client_crl=room.crl) as proxy:
        room.check_all(proxy, "a good certificate logs in", room.good, True,
                       "CN=native")
        failed = "reason=tls_failed"
        room.check_all(proxy, "none is refused", None, False,
                       f"{failed} detail=PEER_DID_NOT_RETURN_A_CERTIFICATE")
        for name, pair, why in (("a revoked one", room.revoked, "certificate revoked"),
                                ("an expired one", room.expired, "certificate has expired")):
            room.check_all(proxy, f"{name} is refused", pair, False, why)
        room.check_all(proxy, "a stranger's is refused", room.stranger, False,
                       "unable to get local issuer", but=room.go)
        # Go looks whom the proxy trusts, and sends none of others.
        room.check_all(proxy, "a stranger's is refused", room.stranger, False,
                       f"{failed} detail=PEER_DID_NOT_RETURN", but=room.not_go)
        room.check_all(proxy, "in TLS 1.2: a good one", room.good, True, tls_version="TLSv1.2")
        room.check_all(proxy, "in TLS 1.2: a revoked one", room.revoked, False, "revoked",
                       tls_version="TLSv1.2")
        metrics = proxy.get("/metrics")
        count = len(room.clients) * 2
        room.report.check("good certificates are counted",
                          f"\nsallyport_client_certificates_total {count}\n" in metrics, metrics)
        with wire.dial(("127.0.0.1", proxy.port)) as sock:
            wire.read_packet(sock)
            sock.sendall(wire.handshake_response(1))
            room.report.equal("without TLS nobody comes in", wire.read_err(sock).code, 3159)


def optional(room):
    with room.proxy(tls_client_certificates="optional", tls_mode="preferred") as proxy:
        room.check_all(proxy, "optional: none will do", None, True)
        room.check_all(proxy, "optional: a good one, too", room.good, True)
        room.check_all(proxy, "optional: a stranger's will not", room.stranger, False,
                       but=room.go)
        room.check_all(proxy, "without a list the revoked one does", room.revoked, True)


def rule(room):
    second = room.server.account("second")
    with room.proxy(tls_client_certificates="optional", tls_client_user="cn",
                    tls_mode="preferred") as proxy:
        room.check_all(proxy, "the CN's user logs in", room.good, True)
        for client in room.clients:
            start = proxy.mark()
            _, text = room.log_in(client, proxy, room.good, second)
            room.report.check(f"{client.name}: another is told why", "1045" in text
                              and "the client certificate's CN is 'native'" in text, text)
            # The line of the client before, who had no certificate, may come only now.
            line = proxy.wait_line("user=second .*reason=user_not_certified", 5, start) or ""
            room.report.check(f"{client.name}: and the log, in one line", "CN=native" in line, line)
            _, text = room.log_in(client, proxy)
            room.report.check(f"{client.name}: no certificate, no log-in",
                              "no client certificate was sent" in text, text)
        with wire.dial(("127.0.0.1", proxy.port)) as sock:
            wire.read_packet(sock)
            sock.sendall(wire.handshake_response(1, user="native"))
            room.report.check("nor without TLS", "no client certificate was sent"
                              in wire.read_err(sock).message)
        # Each when its connection has ended, which may be after the client knows.
        counted = f"\nsallyport_users_not_certified_total {2 * len(room.clients) + 1}\n"
        processes.wait_until(lambda: counted in proxy.get("/metrics"), 5, "refusals counted")
        room.write(tls_client_certificates="optional", tls_client_user="san_email")
        room.report.check("another field by a reload", " reloaded" in reload(proxy))
        room.check_all(proxy, "san_email: its user logs in", room.good, True, account=second)
        room.check_all(proxy, "san_email: the CN's does not", room.good, False,
                       "e-mail address is 'second'")


def change_of_user(room):
    """By raw sockets: a server that believes everybody, and a client that is two people."""
    with wire.FakeServer(wire.accept_everybody) as server, room.proxy(
            tls_client_certificates="optional", tls_client_user="cn",
            server=server.address) as proxy:
        sock = wire.dial(("127.0.0.1", proxy.port))
        wire.read_packet(sock)
        sock.sendall(wire.ssl_request())
        context = wire.tls_context(room.authority.ca)
        context.load_cert_chain(*room.good)
        with context.wrap_socket(sock, server_hostname="127.0.0.1") as tls:
            tls.sendall(wire.handshake_response(2, user="native"))
            room.report.equal("it logs in", wire.read_packet(tls)[1][:1], b"\0")
            tls.sendall(wire.packet(0, b"\x11native\0\0\0"))
            room.report.equal("it may become itself again", wire.read_packet(tls)[1][:1], b"\0")
            tls.sendall(wire.packet(0, b"\x11root\0\0\0"))
            refusal = wire.read_err(tls)
            room.report.equal("but nobody else", (refusal.code, refusal.state), (1045, "28000"))
            room.report.check("and is told why", "'root': the client certificate's CN is 'native'"
                              in refusal.message, str(refusal))


def reloads(room):
    """A list, a CA and a mode that change take effect; a bad file changes nothing."""
    lists = os.path.join(room.folder, "lists.crl")
    shutil.copy(room.people.revoke(name="empty"), lists)
    keys = {"tls_client_certificates": "required", "tls_client_crl": lists}
    client = room.clients[0]
    with room.proxy(**keys) as proxy:
        room.report.check("not yet revoked: logs in", room.log_in(client, proxy, room.revoked)[0])
        shutil.copy(room.crl, lists)
        room.report.check("a new list is taken", " reloaded" in reload(proxy))
        room.report.check("revoked: refused", not room.log_in(client, proxy, room.revoked)[0])
        old = room.people.revoke(name="old", last=-1)
        for what, path, text, says in (
                ("a list that ran out", lists, old, f"tls_client_crl: {lists}: revocation list 1"),
                ("an empty list", lists, os.devnull,
                 f"tls_client_crl: {lists}: no revocation list in the PEM"),
                ("a CA that is none", room.people.ca, room.good[1],
                 f"tls_client_ca: {room.people.ca}: no CA certificate")):
            shutil.copy(path, path + ".kept")
            shutil.copy(text, path)
            line = reload(proxy)
            room.report.check(f"{what}: refused with file, line and key", "reload refused" in line
                              and f"{room.config}:" in line and says in line, line)
            room.report.check(f"{what}: the good one logs in as before",
                              room.log_in(client, proxy, room.good)[0])
            room.report.check(f"{what}: the revoked one does not",
                              not room.log_in(client, proxy, room.revoked)[0])
            os.rename(path + ".kept", path)
        room.write(**{**keys, "tls_client_certificates": "off", "tls_client_crl": ""})
        room.report.check("off by a reload", " reloaded" in reload(proxy), proxy.lines[-1])
        room.report.check("and nobody is asked", room.log_in(client, proxy)[0])


CHECKS = [required, optional, rule, change_of_user, reloads]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    ready = clients.ready(CLIENTS)
    with processes.test_folder() as folder, servers.MariaDB(folder).start() as server:
        server.wait()
        for check in CHECKS:
            if options.only in check.__name__:
                report.attempt(check.__name__, check,
                               Room(report, options, folder, server, ready))
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
