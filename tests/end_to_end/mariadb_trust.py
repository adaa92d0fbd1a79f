#!/usr/bin/python3
"""MariaDB's clients from 11.4 on, which verify a certificate unless they are told not to.

    mariadb_trust.py --proxy PATH [--io_engine epoll] [--only WORD]

One that nobody signed they believe only where the server proves that it knows the password's hash,
over that very certificate; the server behind the proxy has another one, or none. So behind a
certificate of the proxy's own making they can't log in without being told to: here is what they
say, and that everything that README.md names helps. The client is sid's (tools/mysql_root
--mariadb), the server Debian 12's.
"""

import hashlib
import re
import subprocess

import certificates
import processes
import servers
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

# 127.0.0.1 counts as local, where these clients verify nothing.
ELSEWHERE = "127.0.0.2"


class Room:
    def __init__(self, report, options, folder, server, client):
        self.report, self.options, self.folder = report, options, folder
        self.server, self.client = server, client
        self.authority = certificates.Authority(folder)

    def proxy(self, pair=None, host=ELSEWHERE):
        return Proxy(self.options.proxy, f"127.0.0.1:{self.server.port}", pair=pair,
                     io_engine=self.options.io_engine, listen=f"{host}:0")

    def run(self, port, *arguments, host=ELSEWHERE, user="native"):
        """(whether it logged in, what it said)"""
        account = self.server.account(user)
        done = subprocess.run(
            [*self.client, "--protocol=tcp", f"--host={host}", f"--port={port}",
             f"--user={user}", f"--password={account.password}", "--batch", "--skip-column-names",
             *arguments, "--execute=SELECT 7"], capture_output=True, text=True, check=False,
            timeout=processes.patience(30))
        return done.stdout.strip() == "7", done.stdout + done.stderr


def self_signed(room):
    with room.proxy() as proxy:
        for user in ("native", "ed25519"):
            ok, text = room.run(proxy.port, user=user)
            room.report.check(f"{user}: a self-signed certificate is not believed",
                              not ok and "ERROR 2026" in text and "ertificate" in text, text)
        ok, text = room.run(proxy.port, "--disable-ssl-verify-server-cert")
        room.report.check("--disable-ssl-verify-server-cert: it logs in", ok, text)
        line = proxy.wait_line("login=ok.* user=native|user=native .*login=ok", 5) or ""
        room.report.check("over TLS", " tls=TLSv1.3 " in line, line)


def local(room):
    with room.proxy(host="127.0.0.1") as proxy:
        ok, text = room.run(proxy.port, host="127.0.0.1")
        room.report.check("to 127.0.0.1 nothing is verified", ok, text)


def signed(room):
    pair = room.authority.issue("proxy")
    with room.proxy(pair) as proxy:
        ok, text = room.run(proxy.port, f"--ssl-ca={room.authority.ca}", host="localhost")
        room.report.check("(the name is another address's)", not ok, text)
    with room.proxy(pair, host="127.0.0.1") as proxy:
        ok, text = room.run(proxy.port, f"--ssl-ca={room.authority.ca}", host="localhost")
        room.report.check("--ssl-ca: a certificate for the name is verified", ok, text)
        other = certificates.Authority(room.folder, "other")
        ok, text = room.run(proxy.port, f"--ssl-ca={other.ca}", host="localhost")
        room.report.check("--ssl-ca of another: it is not", not ok, text)


def fingerprint(room):
    pair = room.authority.issue("proxy")
    with open(pair[0], encoding="ascii") as file:
        der = subprocess.run(["openssl", "x509", "-outform", "DER"], input=file.read().encode(),
                             capture_output=True, check=True).stdout
    with room.proxy(pair) as proxy:
        for good in (True, False):
            digest = hashlib.sha256(der if good else b"").hexdigest()
            colons = ":".join(re.findall("..", digest))
            ok, text = room.run(proxy.port, f"--ssl-fp={colons}")
            room.report.equal(f"--ssl-fp, {'its own' if good else 'another'}", ok, good, text)


CHECKS = [self_signed, local, signed, fingerprint]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    root = servers.mysql_root("--mariadb")
    client = [*servers.mysql_program(root, "mariadb"), "--no-defaults",
              f"--plugin-dir={root}/usr/lib/x86_64-linux-gnu/libmariadb3/plugin"]
    version = subprocess.run([*client, "--version"], capture_output=True, text=True,
                             check=True).stdout.strip()
    print(version)
    if tuple(int(word) for word in re.search(r"(\d+)\.(\d+)\.\d+-MariaDB", version).groups()
             ) < (11, 4):
        raise processes.Skipped("this client is older than 11.4")
    with processes.test_folder() as folder, servers.MariaDB(folder).start() as server:
        server.wait()
        for check in CHECKS:
            if options.only in check.__name__:
                report.attempt(check.__name__, check,
                               Room(report, options, folder, server, client))
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
