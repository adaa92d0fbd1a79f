#!/usr/bin/python3
"""A client that does everything wrong, in front of a real MariaDB: each misbehaviour, its end.

    hostile_clients.py --proxy PATH [--io_engine epoll] [--only WORD]

The table has a line for each: where it begins (on which links: plain, TLS 1.2 or 1.3), its name,
what is done, how the client must see the connection end, and the reason in the one line of the log.
`only` takes words of "PLACE/LINK: NAME".
"""

import itertools
import os

import mysql_wire as wire
import processes
import servers
import tls_records as tls
from client_moves import (WAYS, answered, chain, close_notify, fin, glued_hello,
                          hello_in, key_updates, log_in, old_tls, packet, part, payload_of,
                          pipelined, query, raw, record, rst, say, served, slowly, take_switch,
                          wait)
from hostile import (ALERT, BROKEN, CLOSED, CUT, ERR, GONE, HASTY, LATE, LEFT, SERVED, SOON,
                     Run, run_all, write_config)
from hostile_peer import Peer, Room
from options import add_only, make_parser, parse
from report import Report
from tls_records import clear_record as record_of

LINKS = {"dialled": ("plain",), "reply": ("plain",), "tls": ("plain",), "flight": ("12", "13"),
         "response": ("12", "13"), "auth": ("plain", "12", "13"), "command": ("plain", "12", "13"),
         "reauth": ("plain", "12", "13")}
LOGIN = "reply response auth"      # Where a client that misbehaves can be told.
SHAKING = "tls flight"             # Where only TLS could tell it, or nobody.
ASKED = "reply response"           # The same, before a log-in was sent.
TLS_COMMAND = "command/12 command/13"
TLS_REAUTH = "reauth/12 reauth/13"  # In plaintext it's the server alone that sees it.
ON_TLS = "response auth/12 auth/13 command/12 command/13"
ON_TLS13 = "response/13 auth/13 command/13"

CUT_RESPONSE = wire.handshake_response(1)[4:40]
FIXED = wire.handshake_response(1)[4:36]
PRE_41 = b"\x01\x00\x00\x00\x01ann\0\0"
HELLO_OF_JUNK = tls.clear_record(tls.HANDSHAKE, bytes(range(64)))
FINISHED = b"\x14\0\0\x0c" + bytes(12)
ENDLESS_HELLO = tls.clear_record(tls.HANDSHAKE, b"\x01\xff\xff\xff" + bytes(1000))
RDP = b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0"
ATTRIBUTES = wire.CAPABILITIES | 0x100000
FLOOD = (1 << 24) - 1
CHANGE_USER = b"\x11"
HALF_ANSWER = wire.packet(2, b"x" * 64)[:30]
UNEXPECTED, OLD = ALERT("unexpected_message"), ALERT("protocol_version")


def long_response(user="ann", plugin="mysql_native_password"):
    return wire.handshake_response(1, user, b"x" * 20, plugin)[4:]


def attributes(size, announced):
    """A response whose connection attributes are not as long as they say."""
    return (wire.handshake_response(1, "ann", b"x" * 20, "mysql_native_password", ATTRIBUTES)[4:]
            + b"\xfe" + announced.to_bytes(8, "little") + b"\x01a\x01b" * (size // 4))


def long_database(peer):
    """All is right but for the name."""
    fields = wire.handshake_response(1, peer.room.user,
                                     wire.native_scramble(peer.room.password, peer.nonce), "",
                                     wire.CAPABILITIES | wire.CLIENT_CONNECT_WITH_DB)[4:-1]
    return fields + b"d" * (64 << 10) + b"\0mysql_native_password\0"


def long_auth(peer):
    capabilities = wire.CAPABILITIES | wire.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
    size = 10 ** 6
    fields = wire.handshake_response(1, peer.room.user, b"", "", capabilities)[4:-2]
    return (fields + b"\xfd" + size.to_bytes(3, "little") + b"x" * size
            + b"mysql_native_password\0")


def clear_alert(name, level=tls.FATAL):
    return tls.clear_record(tls.ALERT, tls.alert(name, level), 0x0303)


def response(peer):
    return peer.response()


CASES = [
    # Other protocols' first words, as scanners say them.
    ("reply", "HTTP", [say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")], ERR(1153), "packet_too_long"),
    ("reply", "SSH", [say(b"SSH-2.0-OpenSSH_9.2p1\r\n")], ERR(1153), "packet_too_long"),
    ("reply", "RDP", [say(RDP)], ERR(1043), "bad_handshake"),
    ("reply", "SMB", [say(b"\0\0\0\x85\xffSMB" + bytes(60))], ERR(1043), "bad_handshake"),
    ("reply", "Redis", [say(b"PING\r\n")], ERR(1153), "packet_too_long"),
    ("reply", "PostgreSQL", [say(b"\0\0\0\x08\x04\xd2\x16\x2f")], ERR(1043), "bad_handshake"),
    ("reply", "TLS without SSLRequest", [raw(HELLO_OF_JUNK)], ERR(1159), "handshake_timeout", LATE),
    ("dialled", "speaks before it reads", [raw(b"\0" * 4000)], GONE, "bad_handshake"),
    # Packets that are none.
    (LOGIN, "nothing, of a packet", [packet(b"")], ERR(1043, 1045), "bad_handshake|login_failed"),
    (ASKED, "one byte", [packet(b"\x01")], ERR(1043), "bad_handshake"),
    (ASKED, "a response cut in its fields", [packet(CUT_RESPONSE)], ERR(1043), "bad_handshake"),
    (ASKED, "a user name without an end", [packet(FIXED + b"a" * 90)], ERR(1043), "bad_handshake"),
    (ASKED, "an auth response beyond the end",
     [packet(FIXED + b"ann\0\xff12")], ERR(1043), "bad_handshake"),
    (ASKED, "attributes beyond the end",
     [packet(attributes(8, 1 << 40))], ERR(1043), "login_failed"),
    (ASKED, "a client older than 4.1", [packet(PRE_41)], ERR(1043), "bad_handshake"),
    ("reply", "an SSLRequest that is too short",
     [packet(wire.ssl_request()[4:24])], ERR(1043), "bad_handshake"),
    (ASKED, "COM_QUIT instead of a log-in", [packet(b"\x01", 0)], ERR(1043), "bad_handshake"),
    (LOGIN, "a sequence id ahead", [packet(FIXED, 7)], ERR(1043), "bad_handshake"),
    (LOGIN, "a sequence id behind", [packet(FIXED, 255)], ERR(1043), "bad_handshake"),
    # Too much.
    (LOGIN, "2 MiB announced", [say(b"\0\0\x20\x01" + bytes(1000))], ERR(1153), "packet_too_long"),
    (LOGIN, "16 MiB announced",
     [say(b"\xff\xff\xff\x01" + bytes(1000))], ERR(1153), "packet_too_long"),
    (ASKED, "16 MiB sent", [say(b"\xff\xff\xff\x01" + bytes(FLOOD))], GONE, "packet_too_long"),
    (ASKED, "a user name of 1 MB",
     [packet(long_response("a" * 10 ** 6))], ERR(1045, 1043, 1470), "login_failed"),
    ("reply", "a plugin name of 1 MB",
     [packet(long_response(plugin="p" * 10 ** 6)), take_switch, packet(b"x" * 20)], ERR(1045),
     "login_failed"),
    ("response", "a plugin name of 1 MB",
     [packet(long_response(plugin="p" * 10 ** 6))], ERR(1045), "secret_refused"),
    (ASKED, "attributes of 1 MB",
     [packet(attributes(10 ** 6, 10 ** 6))], ERR(1045, 1043, 1153), "login_failed"),
    (ASKED, "a database's name of 64 KB",
     [payload_of(long_database)], ERR(1102, 1049), "login_failed"),
    (ASKED, "an auth response of 1 MB",
     [payload_of(long_auth)], ERR(1045, 1043), "login_failed"),
    ("auth/plain", "an answer of 1 MB",
     [packet(b"x" * 10 ** 6)], ERR(1045, 1043, 1153, 1158), "login_failed"),
    ("auth/12 auth/13", "an answer of 1 MB",
     [packet(b"x" * 10 ** 6)], ERR(1043), "bad_handshake"),
    (ASKED, "600 KiB of zeros", [part(bytes(600 << 10))], GONE, "bad_handshake"),
    # Too little, too slowly.
    (LOGIN, "silence", [], ERR(1159), "handshake_timeout", LATE),
    ("dialled", "silence", [], GONE, "handshake_timeout", LATE),
    (SHAKING, "silence", [], CLOSED, "handshake_timeout", LATE),
    (LOGIN, "half a header", [raw(b"\x20\0")], ERR(1159), "handshake_timeout", LATE),
    (ASKED, "half a response",
     [part(wire.packet(1, FIXED)[:20])], ERR(1159), "handshake_timeout", LATE),
    ("tls", "half a record", [raw(HELLO_OF_JUNK[:20])], CLOSED, "handshake_timeout", LATE),
    (ASKED, "drips", [slowly(None, 0.1)], GONE, "handshake_timeout", LATE),
    ("tls", "a dripping ClientHello", [hello_in(1, 0.05, False)], CUT, "handshake_timeout", LATE),
    (TLS_COMMAND, "half a COM_CHANGE_USER",
     [say(b"\x50\0\0\0\x11ann")], ERR(1159), "handshake_timeout", LATE),
    # Slow or strange, but right.
    (ASKED, "one byte at a time", [slowly(None, 0), answered], SERVED, "client_closed"),
    ("tls", "a ClientHello in segments of a byte",
     [hello_in(1, 0, False), log_in, served], SERVED, "client_closed"),
    ("tls", "a ClientHello in records of a byte",
     [hello_in(1), log_in, served], SERVED, "client_closed"),
    ("tls", "a ClientHello in records of 100 bytes",
     [hello_in(100), log_in, served], SERVED, "client_closed"),
    ("reply", "a ClientHello glued to SSLRequest",
     [glued_hello(), log_in, served], SERVED, "client_closed"),
    (ASKED, "commands behind the log-in",
     [pipelined(b"\x0e", b"\x03SELECT 1", b"\x0e")], SERVED, "client_closed"),
    (ASKED, "200 KB behind the log-in",
     [pipelined(b"\x03SELECT '" + b"x" * 2 * 10 ** 5 + b"'")], SERVED, "client_closed"),
    ("command", "a command byte by byte",
     [slowly(b"\x03SELECT 2", 0.01, 0), answered], SERVED, "client_closed"),
    ("command", "a chain of 16 MiB - 1 packets",
     [chain([b"\x03SELECT 1 -- " + b"x" * (FLOOD - 13), b"x" * FLOOD, b""])], SERVED,
     "client_closed"),
    ("command", "reads late",
     [query(b"SELECT REPEAT('x', 100000) FROM seq_1_to_100"), wait(1), answered], SERVED,
     "client_closed"),
    # Commands injected in front of TLS, and SSLRequest where it has no place.
    ("reply", "SSLRequest and a log-in in clear, glued",
     [raw(wire.ssl_request() + wire.handshake_response(2))], OLD, "tls_failed"),
    ("reply", "SSLRequest and a command, glued",
     [raw(wire.ssl_request() + wire.packet(0, b"\x03SELECT 1"))], OLD, "tls_failed"),
    ("reply", "SSLRequest, a command, a ClientHello",
     [glued_hello(wire.packet(0, b"\x03DROP DATABASE test"))], OLD, "tls_failed"),
    ("reply", "SSLRequest twice, glued",
     [raw(wire.ssl_request(1) + wire.ssl_request(2))], OLD, "tls_failed"),
    ("tls", "SSLRequest again", [raw(wire.ssl_request(2))], OLD, "tls_failed"),
    ("tls", "a log-in in clear", [raw(wire.handshake_response(2))], OLD, "tls_failed"),
    ("response", "SSLRequest inside TLS",
     [packet(wire.ssl_request()[4:])], ERR(1043), "bad_handshake"),
    ("response", "plaintext behind the handshake",
     [raw(wire.handshake_response(2))], ALERT("protocol_version", "decode_error"), "tls_failed"),
    ("reply/required", "TLS is required, a log-in in clear",
     [payload_of(response)], ERR(3159), "tls_required"),
    ("reply/disabled", "TLS is not offered, SSLRequest",
     [packet(wire.ssl_request()[4:])], ERR(1043), "bad_handshake"),
    # TLS handshakes that are none.
    ("tls", "garbage", [raw(b"\x80" * 300)], OLD, "tls_failed"),
    ("tls", "a record of junk", [raw(HELLO_OF_JUNK)], ALERT("illegal_parameter"), "tls_failed"),
    ("tls", "TLS 1.1", [old_tls], OLD, "tls_failed"),
    ("tls", "a ClientHello without an end",
     [raw(ENDLESS_HELLO)], ALERT("illegal_parameter"), "tls_failed"),
    ("tls", "a record of 64 KiB",
     [raw(b"\x16\x03\x01\xff\xff" + bytes(70000))], ALERT("record_overflow"), "tls_failed"),
    ("tls", "a flood of empty records",
     [raw(record_of(tls.HANDSHAKE, b"") * 2000)], UNEXPECTED, "tls_failed"),
    ("tls", "a flood of tiny records",
     [raw(record_of(tls.HANDSHAKE, b"\x01") * 9000)], ALERT("illegal_parameter"), "tls_failed"),
    ("tls", "application data",
     [raw(record_of(tls.APPLICATION_DATA, b"x" * 40))], UNEXPECTED, "tls_failed"),
    ("tls", "ChangeCipherSpec",
     [raw(record_of(tls.CHANGE_CIPHER_SPEC, b"\x01"))], UNEXPECTED, "tls_failed"),
    ("tls", "a heartbeat",
     [raw(record_of(tls.HEARTBEAT, b"\x01\x40\0"))], UNEXPECTED, "tls_failed"),
    ("tls flight/12", "a fatal alert", [raw(clear_alert("internal_error"))], CUT, "tls_failed"),
    ("tls flight/12", "close_notify",
     [raw(clear_alert("close_notify", tls.WARNING))], CUT, "client_left_early"),
    ("tls flight/12", "a flood of warnings",
     [raw(clear_alert("user_canceled", tls.WARNING) * 100)], UNEXPECTED, "tls_failed"),
    ("flight/13", "an alert in clear",
     [raw(clear_alert("internal_error"))], ALERT("bad_record_mac"), "tls_failed"),
    ("flight/12", "junk for a Finished",
     [raw(record_of(tls.HANDSHAKE, FINISHED, 0x0303))], UNEXPECTED, "tls_failed"),
    ("flight/13", "junk for a Finished",
     [raw(record_of(tls.HANDSHAKE, FINISHED, 0x0303))], ALERT("bad_record_mac"), "tls_failed"),
    ("flight/12", "the ClientHello again",
     [raw(HELLO_OF_JUNK)], ALERT("illegal_parameter"), "tls_failed"),
    ("flight/13", "the ClientHello again", [raw(HELLO_OF_JUNK)], OLD, "tls_failed"),
    # TLS records that no library sends.
    (ON_TLS, "a damaged record",
     [record(tls.APPLICATION_DATA, b"x" * 40, damage=True)], ALERT("bad_record_mac"), "tls_failed"),
    (ON_TLS, "a record of 2^14 + 1",
     [record(tls.APPLICATION_DATA, bytes(16385))], ALERT("record_overflow"), "tls_failed"),
    (ON_TLS, "a flood of empty records",
     [record(tls.APPLICATION_DATA, b"", 2000)], UNEXPECTED, "tls_failed"),
    (ON_TLS, "a fatal alert", [record(tls.ALERT, tls.alert("internal_error"))], CUT, "tls_failed"),
    (ON_TLS, "a flood of warnings",
     [record(tls.ALERT, tls.alert("user_canceled", tls.WARNING), 100)], UNEXPECTED, "tls_failed"),
    (ON_TLS, "renegotiation",
     [record(tls.HANDSHAKE, tls.message(tls.CLIENT_HELLO, bytes(60)))],
     ALERT("no_renegotiation", "unexpected_message"), "tls_failed"),
    (ON_TLS, "an unknown record", [record(99, b"x")], UNEXPECTED, "tls_failed"),
    (ON_TLS13, "a flood of KeyUpdates", [key_updates(200)], UNEXPECTED, "tls_failed"),
    (ON_TLS13, "a ticket from the client",
     [record(tls.HANDSHAKE, tls.message(tls.NEW_SESSION_TICKET, bytes(40)))], UNEXPECTED,
     "tls_failed"),
    (ON_TLS13, "a record of padding only",
     [record(0, bytes(40))], ALERT("unexpected_message", "decrypt_error"), "tls_failed"),
    # Leaving, in every way at every place.
    ("dialled " + SHAKING, "FIN", [fin], GONE, "client_left_early"),
    (LOGIN, "FIN", [fin], CLOSED, "client_left_early"),
    ("dialled " + LOGIN + " " + SHAKING, "RST", [wait(0.1), rst], LEFT, "client_left_early"),
    ("command", "FIN", [fin], CLOSED, "client_closed"),
    ("command", "RST", [rst], LEFT, "client_error"),
    ("response auth/12 auth/13", "close_notify and no FIN",
     [close_notify], CLOSED, "client_left_early"),
    (TLS_COMMAND, "close_notify and no FIN", [close_notify], CLOSED, "client_closed"),
    (ASKED, "FIN in a packet", [part(FIXED[:9]), fin], CLOSED, "client_left_early"),
    (TLS_COMMAND, "FIN in a record",
     [raw(b"\x17\x03\x03\x01\0" + bytes(90)), fin], CLOSED, "client_closed"),
    ("command", "FIN behind a query",
     [query(b"SELECT SLEEP(0.3)"), fin], GONE, "client_closed|server_closed"),
    ("command", "RST behind a query", [query(b"SELECT SLEEP(0.3)"), rst], LEFT, "client_error"),
    ("command", "RST in an unread result",
     [query(b"SELECT REPEAT('x', 100000) FROM seq_1_to_900"), wait(0.5), rst], LEFT,
     "client_error"),
    # Leaving when the server has asked back about COM_CHANGE_USER.
    ("reauth", "FIN", [fin], CLOSED, "client_closed"),
    ("reauth", "RST", [wait(0.1), rst], LEFT, "client_error"),
    ("reauth", "FIN in a packet", [part(HALF_ANSWER), fin], CLOSED, "client_closed"),
    (TLS_REAUTH, "silence", [], ERR(1159), "handshake_timeout", LATE),
    (TLS_REAUTH, "half a packet", [part(HALF_ANSWER)], ERR(1159), "handshake_timeout", LATE),
    ("reauth", "a wrong answer", [packet(b"x" * 64), answered], SERVED, "client_closed"),
    # Commands.
    ("command", "data behind COM_QUIT",
     [packet(b"\x01", 0), part(bytes(3000))], BROKEN,
     "server_closed|server_error|client_error|tls_failed"),
    ("command", "nothing, of a packet", [packet(b"", 0), answered], SERVED, "client_closed"),
    ("command/plain", "a sequence id ahead",
     [packet(b"\x03SELECT 1", 7)], GONE, "server_closed|server_error"),
    (TLS_COMMAND, "a sequence id ahead", [packet(b"\x03SELECT 1", 7)], ERR(1043), "bad_handshake"),
    (TLS_COMMAND, "COM_CHANGE_USER of garbage",
     [packet(CHANGE_USER + b"\xff" * 50, 0)], ERR(1043), "bad_handshake"),
    (TLS_COMMAND, "COM_CHANGE_USER of 2 MiB",
     [say(b"\0\0\x20\0" + CHANGE_USER + bytes(1000))], ERR(1153), "packet_too_long"),
    ("command/plain", "COM_CHANGE_USER of garbage",
     [packet(CHANGE_USER + b"\xff" * 50, 0), answered], SERVED, "client_closed"),
    ("command", "50,000 commands, no answer read",
     [part(wire.packet(0, b"\x0e") * 50000), wait(0.5), rst], LEFT, "client_error"),
]


def places(where):
    for place in where.split():
        point, _, link = place.partition("/")
        for one in (link,) if link else LINKS[point]:
            yield point, one


def make_runs(room, only, ports):
    """A Run for each row and place; each has an address of its own, for the log."""
    ports = dict(zip(("preferred", "required", "disabled", "hasty"), ports))
    numbers = itertools.count(2)
    runs = []
    for where, name, moves, end, reason, *within in CASES:
        for point, link in places(where):
            title = f"{point}/{link}: {name}"
            if only not in title:
                continue
            number = next(numbers)
            source = f"127.1.{number >> 8}.{number & 255}"
            port = ports.get(link, ports["hasty" if reason == "handshake_timeout" else "preferred"])
            version = link if link in ("12", "13") else ""

            def act(port=port, source=source, version=version, point=point, moves=moves):
                return misbehave(Peer(room, port, source, version), point, moves)
            runs.append(Run(title, end, reason, within[0] if within else SOON, source, act))
    return runs


def misbehave(peer, point, moves):
    with peer.sock:
        WAYS[point](peer)
        try:
            for move in moves:
                move(peer)
        except (ConnectionResetError, BrokenPipeError):
            pass  # The proxy has had enough.
        return peer.end()


def good_clients(room, ports):
    for version in ("", "12", "13"):
        peer = Peer(room, ports[0], "127.0.0.1", version)
        with peer.sock:
            WAYS["command"](peer)
            peer.query()


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder:
        authority = servers.new_authority(folder)
        with servers.MariaDB(folder).start() as server:
            server.wait()
            account = server.account("native")
            room = Room(folder, authority.ca, account.user, account.password)
            tables = [{"listen": "127.0.0.1:0", "server": f"127.0.0.1:{server.port}",
                       "tls_mode": mode} for mode in ("preferred", "required", "disabled")]
            tables.append(tables[0] | {"handshake_timeout": HASTY})
            config = write_config(os.path.join(folder, "proxy.toml"), authority.issue("proxy"),
                                  tables)

            def neighbour(ports):
                peer = Peer(room, ports[0], "127.0.0.1", "13")
                WAYS["command"](peer)
                return peer
            run_all(report, options, config, len(tables),
                    lambda ports: make_runs(room, options.only, ports),
                    lambda line: line["client"].rsplit(":", 1)[0], neighbour,
                    lambda ports: good_clients(room, ports))
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
