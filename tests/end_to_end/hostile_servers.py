#!/usr/bin/python3
"""A server that does everything wrong, behind the proxy: each misbehaviour, and its client's end.

    hostile_servers.py --proxy PATH [--io_engine epoll] [--only WORD]

The table has a line for each: the client's links (plain, TLS 1.2 or 1.3), a name, what the server
does, how the client must see the connection end, and the reason in the one line of the log. Each
row has a listener of its own. Whatever the server does, it never hears the password.
"""

import dataclasses
import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import mysql_wire as wire
import processes
import server_moves as moves
import servers
from hostile import (ALERT, BROKEN, CLOSED, ERR, GONE, HASTY, LATE, LEFT, PATIENT, SERVED, SOON,
                     End, Run, run_all, write_config)
from hostile_peer import Peer, Room
from options import add_only, make_parser, parse
from report import Report
from server_moves import (PASSWORD, deaf, drip, err, fin, flood, glued, greet, half_close, hear,
                          honest, leaves, listens, log_in, logs_in_and_ends, logs_in_and_reads,
                          logs_in_and_resets, raw, reads_nothing, repeat, rst, say, sends_much,
                          serve, split_greeting, stay, wait)

GREETING = wire.greeting()
FULL_AUTH = say(b"\x01\x04")
AGAIN = say(b"\xfe" + b"caching_sha2_password\0" + wire.NONCE + b"\0")
OK = say(wire.OK_PAYLOAD)
P, T = "plain", "12 13"
FULL = "full"  # For a target: server_moves.full_server().


def public_pem(key):
    return key.public_bytes(serialization.Encoding.PEM,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


def rsa_key(bits, tail=159):
    """A public key of so many bits; that nobody knows its factors is nothing that can be seen."""
    return public_pem(rsa.RSAPublicNumbers(65537, (1 << bits) - tail).public_key())


def private_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption())


EC_KEY = public_pem(ec.generate_private_key(ec.SECP256R1()).public_key())


@dataclasses.dataclass
class Case:
    """`act` is the client; `times`: as many connections, one after another; `target`: an address
    instead of a server; `heard`: what the server must have noticed; `unix`: it is on a unix
    socket; `sni`: its listener chooses servers by SNI, hence greets itself, and dials behind the
    client's log-in. (It learned the words from the server, which was good once.)"""
    links: str
    name: str
    moves: list
    end: End
    reason: str
    within: float = SOON
    act: object = honest
    times: int = 1
    target: str = ""
    heard: bytes = b""
    unix: bool = False
    sni: bool = False


def key(name, pem):
    """A server that asks for the password, and then sends this for its key."""
    return Case(T, f"its key is {name}", [greet(), hear, FULL_AUTH, hear, say(b"\x01" + pem), stay],
                ERR(1045), "password_unusable")


CASES = [
    # Nobody is there.
    Case(P, "refuses the connection", [], ERR(2003), "server_unreachable", target="127.0.0.1:1"),
    Case(P, "has no socket", [], ERR(2003), "server_unreachable", target="unix:/no/such.sock"),
    # Greetings.
    Case(P, "closes at once", [fin], ERR(2013), "server_lost_in_login"),
    # A reset that overtakes connect() is connect()'s failure.
    Case(P, "resets at once", [rst], ERR(2013, 2003), "server_lost_in_login|server_unreachable"),
    Case(P, "resets soon", [wait(0.1), rst], ERR(2013), "server_lost_in_login"),
    Case(P + " " + T, "half-closes at once",
         [half_close, stay], ERR(2013), "server_lost_in_login"),
    Case(P, "says nothing", [stay], ERR(1159), "handshake_timeout", LATE),
    Case(P, "half a greeting and FIN",
         [raw(GREETING[:30]), fin], ERR(2013), "server_lost_in_login"),
    Case(P, "half a greeting and RST",
         [raw(GREETING[:30]), wait(0.1), rst], ERR(2013), "server_lost_in_login"),
    Case(P, "half a greeting", [raw(GREETING[:30]), stay], ERR(1159), "handshake_timeout", LATE),
    Case(P, "a greeting that drips",
         [drip(GREETING, 0.05), stay], ERR(1159), "handshake_timeout", LATE),
    Case(P, "nonsense", [say(b"\x55" * 32), stay], ERR(2027), "server_malformed"),
    Case(P, "SSH", [raw(b"SSH-2.0-OpenSSH_9.2p1\r\n"), stay], ERR(2027), "server_malformed"),
    Case(P, "an empty packet", [say(b""), stay], ERR(2027), "server_malformed"),
    Case(P, "a greeting of 16 MB",
         [raw(b"\xff\xff\xff\0\x0a"), stay], ERR(2027), "server_malformed"),
    Case(P, "a version of 200 KB without end",
         [say(b"\x0a" + b"8" * 200000), stay], ERR(2027), "server_malformed"),
    Case(P, "protocol 9", [say(b"\x09" + GREETING[5:]), stay], ERR(2027), "server_malformed"),
    Case(P, "OK for a greeting", [OK, stay], ERR(2027), "server_malformed"),
    Case(P, "AuthSwitchRequest for a greeting", [AGAIN, stay], ERR(2027), "server_malformed"),
    Case(P, "ERR for a greeting",
         [err(1040, "Too many connections", ""), wait(0.3)], ERR(1040), "server_refused"),
    Case(P, "ERR that blocks the host",
         [err(1129, "Host 'x' is blocked", ""), wait(0.3)], ERR(1129), "server_refused"),
    Case(P, "ERR of one byte", [say(b"\xff"), wait(0.3)], GONE, "server_refused"),
    Case(P, "ERR of 200 KB", [err(1040, "x" * 200000, ""), wait(0.3)], ERR(1040), "server_refused"),
    Case(P, "the greeting twice",
         [raw(GREETING * 2), stay], ERR(2027), "server_malformed", act=listens),
    Case(P, "the greeting and OK", [greet(), OK, stay], ERR(2027), "server_malformed", act=listens),
    Case(P, "the greeting and ERR",
         [greet(), err(1159), stay], ERR(1159), "server_refused", act=listens),
    Case(P + " 13", "a greeting split at each byte",
         [split_greeting, hear, err(1045), stay], ERR(1045), "login_failed", times=len(GREETING)),
    Case(P + " 13", "a greeting under number 9",
         [say(GREETING[4:], 9), hear, err(1045), stay], ERR(1045), "login_failed"),
    # Log-ins.
    Case(P + " " + T, "refuses", [greet(), hear, err(1045), stay], ERR(1045), "login_failed"),
    Case(P + " " + T, "refuses, jumping numbers",
         [greet(), hear, say(wire.err(0, 1045, "no")[4:], 77), stay], ERR(1045), "login_failed"),
    Case(P + " " + T, "refuses in 200 KB",
         [greet(), hear, err(1045, "x" * 200000), stay], ERR(1045), "login_failed"),
    Case(P + " " + T, "FIN for an answer", [greet(), hear, fin], ERR(2013), "server_lost_in_login"),
    Case(P + " " + T, "RST for an answer", [greet(), hear, rst], ERR(2013), "server_lost_in_login"),
    Case(P + " " + T, "half-closes for an answer",
         [greet(), hear, half_close, stay], ERR(2013), "server_lost_in_login"),
    Case(P + " " + T, "half-closes in full authentication",
         [greet(), hear, FULL_AUTH, hear, half_close, stay], ERR(2013), "server_lost_in_login"),
    Case(T, "a switch to no plugin", [greet(), hear, say(b"\xfe\0\x04"), stay], ERR(2027),
         "server_malformed"),
    Case(T, "a second factor that was not agreed on",
         [greet(), hear, say(b"\x02sha256_password\0" + bytes(range(1, 21))), stay], ERR(2027),
         "server_malformed"),
    Case(T, "04 and a byte more", [greet(), hear, say(b"\x01\x04\0"), stay], ERR(2027),
         "server_malformed"),
    Case(P + " " + T, "silence for an answer",
         [greet(), hear, stay], ERR(1159), "handshake_timeout", LATE),
    Case(P + " " + T, "half an answer",
         [greet(), hear, raw(b"\x07\0\0\x02\0\0"), stay], ERR(1159), "handshake_timeout", LATE),
    Case(P + " " + T, "an answer of 300 KB",
         [greet(), hear, say(b"\x01" + bytes(300000)), stay], ERR(2027), "server_malformed"),
    Case(P + " " + T, "an answer of 16 MB announced",
         [greet(), hear, raw(b"\xff\xff\xff\x02\x01"), stay], ERR(2027), "server_malformed"),
    Case(P + " " + T, "an AuthSwitch loop",
         [greet(), hear, repeat(99, AGAIN, hear), stay], ERR(2027), "server_malformed"),
    Case(P + " " + T, "a flood of AuthSwitchRequests",
         [greet(), hear, repeat(20000, AGAIN), stay], GONE, "server_malformed|bad_handshake"),
    Case(P + " " + T, "a flood of AuthMoreData",
         [greet(), hear, repeat(20000, say(b"\x01\x03")), stay], GONE, "server_malformed"),
    Case(P + " " + T, "AuthMoreData of 200 KB, for ever",
         [greet(), hear, repeat(99, say(b"\x01" + bytes(200000))), stay], GONE,
         "server_malformed|bad_handshake"),
    Case(P + " " + T, "a plugin's name without end",
         [greet(), hear, say(b"\xfe" + b"p" * 50), stay], ERR(2027), "server_malformed"),
    Case(T, "a plugin's name of 200 KB",
         [greet(), hear, say(b"\xfe" + b"p" * 200000 + b"\0"), stay], ERR(1045), "secret_refused"),
    Case(T, "mysql_clear_password",
         [greet(), hear, say(b"\xfemysql_clear_password\0"), stay], ERR(1045), "secret_refused"),
    Case(T, "dialog",
         [greet(), hear, say(b"\xfedialog\0\x04Password: "), stay], ERR(1045), "secret_refused"),
    Case(T, "mysql_clear_password in the greeting",
         [greet("mysql_clear_password"), hear, say(b"\xfemysql_clear_password\0"), stay], ERR(1045),
         "secret_refused"),
    # The password is asked for, by TLS.
    key("garbage", b"not a key"),
    key("empty", b""),
    key("cut", rsa_key(2048)[:200]),
    key("elliptic", EC_KEY),
    key("private", private_key()),
    key("of 512 bits", rsa_key(512)),
    key("of 16384 bits", rsa_key(16384)),
    key("of an even modulus", rsa_key(2048, tail=160)),
    key("200 KB of it", b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 200000),
    key("many keys", rsa_key(16384) * 50),
    Case(T, "has no key",
         [greet(), hear, FULL_AUTH, hear, err(1045), stay], ERR(1045), "login_failed"),
    Case(T, "FIN for a key",
         [greet(), hear, FULL_AUTH, hear, fin], ERR(2013), "server_lost_in_login"),
    Case(T, "RST for a key",
         [greet(), hear, FULL_AUTH, hear, rst], ERR(2013), "server_lost_in_login"),
    Case(T, "silence for a key",
         [greet(), hear, FULL_AUTH, hear, stay], ERR(1159), "handshake_timeout", LATE),
    Case(T, "asks again, and sends garbage",
         [greet(), hear, AGAIN, hear, FULL_AUTH, hear, say(b"\x01no"), stay], ERR(1045),
         "password_unusable"),
    Case(T, "OK while the password is on its way",
         [greet(), hear, glued(b"\x01\x04", wire.OK_PAYLOAD), stay], GONE, "server_malformed"),
    Case(T, "a switch while the password is on its way",
         [greet(), hear, glued(b"\x01\x04", b"\xfemysql_clear_password\0"), stay], GONE,
         "server_malformed"),
    Case(T, "OK for a key", [greet(), hear, FULL_AUTH, hear, OK, serve], SERVED, "client_closed"),
    # A unix socket: there the proxy has a key of its own for clients in clear.
    Case(P, "unix socket: the client's ciphertext is garbage",
         [greet(), hear, FULL_AUTH, stay], ERR(1045), "password_unusable", unix=True),
    Case(P, "unix socket: OK for a password that is still on its way",
         [greet(), hear, glued(b"\x01\x04", wire.OK_PAYLOAD), stay], GONE,
         "client_closed|bad_handshake", unix=True),
    Case(P + " " + T, "unix socket: RST for an answer",
         [greet(), hear, rst], ERR(2013), "server_lost_in_login", unix=True),
    # The proxy has greeted, and the client has sent its log-in, when the server is dialled.
    Case(P + " " + T, "SNI: closes at once", [fin], ERR(2013), "server_lost_in_login", sni=True),
    Case(P + " " + T, "SNI: resets soon",
         [wait(0.1), rst], ERR(2013), "server_lost_in_login", sni=True),
    Case(P + " " + T, "SNI: half-closes at once",
         [half_close, stay], ERR(2013), "server_lost_in_login", sni=True),
    Case(P + " " + T, "SNI: says nothing", [stay], ERR(1159), "handshake_timeout", LATE, sni=True),
    Case(P + " " + T, "SNI: half a greeting",
         [raw(GREETING[:30]), stay], ERR(1159), "handshake_timeout", LATE, sni=True),
    Case(P + " " + T, "SNI: half a greeting and FIN",
         [raw(GREETING[:30]), fin], ERR(2013), "server_lost_in_login", sni=True),
    Case(P + " " + T, "SNI: half a greeting and RST",
         [raw(GREETING[:30]), wait(0.1), rst], ERR(2013), "server_lost_in_login", sni=True),
    Case(P + " " + T, "SNI: nonsense",
         [say(b"\x55" * 32), stay], ERR(2027), "server_malformed", sni=True),
    # The second one is taken for a plugin's data: no secret answers it in clear.
    Case(P, "SNI: the greeting twice",
         [raw(GREETING * 2), stay], ERR(1159), "handshake_timeout", LATE, act=logs_in_and_reads,
         sni=True),
    Case(T, "SNI: the greeting twice",
         [raw(GREETING * 2), stay], ERR(1045), "secret_refused", sni=True),
    Case(P + " " + T, "SNI: ERR for a greeting",
         [err(1040, "Too many connections", ""), wait(0.3)], ERR(1040), "server_refused", sni=True),
    Case(P + " " + T, "SNI: FIN for an answer",
         [greet(), hear, fin], ERR(2013), "server_lost_in_login", sni=True),
    # A client that leaves meanwhile: the late greeting is answered in its place.
    Case(P + " " + T, "SNI: greets when its client has left",
         [wait(1), greet(), hear, err(1045), stay], CLOSED, "client_left_early",
         act=logs_in_and_ends, heard=b"caching_sha2_password", sni=True),
    Case(P + " " + T, "SNI: greets when its client has reset",
         [wait(1), greet(), hear, err(1045), stay], LEFT, "client_left_early",
         act=logs_in_and_resets, heard=b"caching_sha2_password", sni=True),
    Case(P + " " + T, "SNI: says nothing, and its client has left",
         [stay], CLOSED, "client_left_early", act=logs_in_and_ends, sni=True),
    Case(P + " " + T, "SNI: never connects", [], ERR(2003), "server_unreachable", target=FULL,
         sni=True),
    Case(P + " " + T, "SNI: never connects, and its client has left",
         [], CLOSED, "client_left_early", act=logs_in_and_ends, target=FULL, sni=True),
    Case(P + " " + T, "SNI: never connects, and its client has reset",
         [], LEFT, "client_left_early", act=logs_in_and_resets, target=FULL, sni=True),
    # Commands.
    Case(P + " " + T, "FIN for an answer to a command",
         [log_in, hear, fin], CLOSED, "server_closed"),
    Case(P, "RST for an answer to a command",
         [log_in, hear, rst], End(None, ("RST", "FIN")), "server_error"),
    Case(T, "RST for an answer to a command",
         [log_in, hear, rst], ALERT("internal_error"), "server_error"),
    Case(P + " " + T, "half an answer and FIN",
         [log_in, hear, raw(b"\xff\xff\0\x01half"), fin], GONE, "server_closed"),
    Case(P + " " + T, "half-closes", [log_in, hear, half_close, stay], CLOSED, "server_closed"),
    Case(P + " " + T, "ERR unasked, and FIN",
         [log_in, err(1053, "Server shutdown"), fin], BROKEN, "server_closed|server_error"),
    Case(P + " " + T, "floods who reads nothing",
         [log_in, hear, flood(64 << 20)], LEFT, "client_error", act=reads_nothing,
         heard=b"blocked"),
    Case(P + " " + T, "reads nothing",
         [log_in, deaf], LEFT, "client_error|server_error|server_closed", act=sends_much),
    # The client has left, and its log-in is finished for it.
    Case(P, "a client left: silence", [greet(), stay], LEFT, "client_left_early", act=leaves),
    Case(P, "a client left: an AuthSwitch loop",
         [greet(), hear, repeat(99, AGAIN, hear), stay], LEFT, "client_left_early", act=leaves),
    Case(P, "a client left: a flood of AuthMoreData",
         [greet(), hear, repeat(20000, say(b"\x01\x03")), stay], LEFT, "client_left_early",
         act=leaves),
    Case(P, "a client left: RST", [greet(), hear, rst], LEFT, "client_left_early", act=leaves),
    Case(P, "a client left: 300 KB",
         [greet(), hear, say(b"\x01" + bytes(300000)), stay], LEFT, "client_left_early",
         act=leaves),
]


def listener_name(case, link):
    return f"{case.name}/{link}"


def make_runs(room, chosen, ports):
    runs = []
    for (case, link), port in zip(chosen, ports[1:]):
        version = "" if link == "plain" else link

        def act(port=port, version=version, case=case):
            return moves.meet(room, port, version, case.act)
        runs.append(Run(listener_name(case, link), case.end, case.reason, case.within,
                        listener_name(case, link), act, case.times))
    return runs


def check_heard(report, chosen, fakes):
    """What the servers heard: never the password, and what their rows say."""
    for (case, link), fake in zip(chosen, fakes):
        everything = b"".join(fake.received) if fake else b""
        if PASSWORD in everything or case.heard not in everything:
            report.check(f"{listener_name(case, link)}: heard", False,
                         "the password" if PASSWORD in everything else f"no {case.heard}")


def good_client(room, port):
    for version in ("", "12", "13"):
        peer = Peer(room, port, "127.0.0.1", version)
        with peer.sock:
            moves.log_in_honestly(peer)
            peer.query()


def run(report, options, folder, good, full, chosen, fakes):
    authority = servers.new_authority(folder)
    room = Room(folder, authority.ca, "ann", "")
    tables = [{"name": "good", "listen": "127.0.0.1:0", "server": good.address}]
    for (case, link), fake in zip(chosen, fakes):
        server = fake.address if fake else full if case.target == FULL else case.target
        tables.append({"name": listener_name(case, link), "listen": "127.0.0.1:0", "server": server,
                       "handshake_timeout": HASTY if case.reason == "handshake_timeout"
                       else PATIENT})
        if case.sni:
            greeter = fake.address if fake else good.address
            tables[-1]["sni_server"] = [f"other.example.com={greeter}"]
    config = write_config(os.path.join(folder, "proxy.toml"), authority.issue("proxy"), tables)

    def neighbour(ports):
        peer = Peer(room, ports[0], "127.0.0.1", "13")
        moves.log_in_honestly(peer)
        return peer
    run_all(report, options, config, len(tables), lambda ports: make_runs(room, chosen, ports),
            lambda line: line["listener"], neighbour, lambda ports: good_client(room, ports[0]))
    check_heard(report, chosen, fakes)


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    chosen = [(case, link) for case in CASES for link in case.links.split()
              if options.only in listener_name(case, link)]
    with processes.test_folder() as folder, wire.FakeServer(wire.accept_everybody) as good, \
            moves.full_server() as full:
        fakes = [None if case.target else wire.FakeServer(
            moves.script(case.moves, good_once=case.sni),
            os.path.join(folder, f"{number}.sock") if case.unix else None)
                 for number, (case, _) in enumerate(chosen)]
        run(report, options, folder, good, full, chosen, fakes)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
