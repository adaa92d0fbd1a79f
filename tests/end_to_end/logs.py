#!/usr/bin/python3
"""What the log says of a connection, in text and in JSON, and where it says it.

    logs.py --proxy PATH [--io_engine epoll] [--only WORD]
"""

import json
import os
import signal
import socket
import ssl
import threading
import time

import life_cycle
import mysql_wire as wire
import processes
from options import add_only, make_parser, parse
from proxy import LISTENING, fields
from report import Report

KEYS = ("id client server server_thread user db tls cipher group sni resumed kernel_tls plugin "
        "mediated login server_errno bytes_from_client bytes_from_server dial_ms tls_ms auth_ms "
        "session_ms duration_ms reason").split()
SLOW = 0.12  # Seconds that the server below takes to believe somebody.


def slow_server(sock):
    """Believes everybody but "eve", in its own time."""
    time.sleep(SLOW)
    sock.sendall(wire.greeting())
    sequence_id, payload = wire.read_packet(sock)
    time.sleep(SLOW)
    if b"eve\0" in payload:
        sock.sendall(wire.err(sequence_id + 1, 1045, "Access denied", "28000"))
        return
    sock.sendall(wire.packet(sequence_id + 1, wire.OK_PAYLOAD))
    while True:
        wire.read_packet(sock)
        sock.sendall(wire.packet(1, wire.OK_PAYLOAD))


def log_in_with_database(port, ca):
    """Asks for the database "shop" and, by SNI, for "localhost"."""
    sock = wire.dial(("127.0.0.1", port))
    wire.read_packet(sock)
    flags = wire.CAPABILITIES | wire.CLIENT_CONNECT_WITH_DB
    sock.sendall(wire.ssl_request(capabilities=flags))
    sock = ssl.create_default_context(cafile=ca).wrap_socket(sock, server_hostname="localhost")
    response = wire.handshake_response(2, capabilities=flags)
    plugin = b"caching_sha2_password\0"
    payload = response[4:].replace(plugin, b"shop\0" + plugin)
    sock.sendall(wire.packet(2, payload))
    if wire.read_packet(sock)[1][:1] != b"\0":
        raise RuntimeError("the log-in was refused")
    return sock


def ended(lines, count=1):
    """The lines about connections, when there are so many."""
    def found():
        some = [line for line in lines() if "connection ended" in line]
        return some if len(some) >= count else None
    return processes.wait_until(found, 10, f"{count} lines")


def check_session(report, what, line):
    report.equal(f"{what}: all its fields", [key for key in KEYS if key not in line], [])
    for key, value in (("user", "ann"), ("db", "shop"), ("sni", "localhost"), ("login", "ok"),
                       ("tls", "TLSv1.3"), ("server_thread", "77"), ("server_errno", "0"),
                       ("plugin", "caching_sha2_password"), ("mediated", "no"),
                       ("reason", "client_closed")):
        report.equal(f"{what}: {key}", str(line[key]), value)
    report.check(f"{what}: the group", "25519" in str(line["group"]), str(line["group"]))
    auth, session, whole = (int(line[key]) for key in ("auth_ms", "session_ms", "duration_ms"))
    report.check(f"{what}: the log-in took {SLOW} s", 1000 * SLOW - 20 <= auth < 5000, str(auth))
    report.check(f"{what}: the session half a second", 480 <= session < 5000, str(session))
    report.check(f"{what}: the whole is more", whole >= auth + session + 1000 * SLOW - 20,
                 f"{whole}, {auth}, {session}")


def play(proxy, ca):
    """A session of half a second, and a log-in that the server refuses."""
    sock = log_in_with_database(proxy.port, ca)
    time.sleep(0.5)
    life_cycle.answers(sock)
    sock.unwrap()
    sock.close()
    with wire.dial(("127.0.0.1", proxy.port)) as sock:
        wire.read_packet(sock)
        sock.sendall(wire.handshake_response(1, user="eve"))
        wire.read_err(sock)


def text_lines(room):
    with room.proxy() as proxy:
        play(proxy, room.authority.ca)
        session, refused = (fields(line) for line in ended(lambda: proxy.lines, 2))
        check_session(room.report, "text", session)
        room.report.equal("text: a refusal", [refused[key] for key in (
            "user", "tls", "login", "server_errno", "session_ms", "reason")],
                          ["eve", "none", "refused", "1045", "0", "login_failed"])


def json_lines(room):
    path = os.path.join(room.folder, "json.log")
    config = os.path.join(room.folder, "json.toml")
    with open(config, "w", encoding="ascii") as file:
        file.write(f'log_format = "json"\nlog_file = "{path}"\n[[listener]]\nname = "main"\n'
                   f'listen = "127.0.0.1:{room.port}"\nserver = "{room.server.address}"\n'
                   f'tls_cert = "{room.pair[0]}"\ntls_key = "{room.pair[1]}"\n')
    with room.proxy(config=config, wait=False) as proxy:
        proxy.port = room.port
        processes.wait_until(lambda: any("listening" in line for line in read_lines(path)), 10,
                             "the proxy")
        play(proxy, room.authority.ca)
        lines = [json.loads(line) for line in ended(lambda: read_lines(path), 2)]
        session = next(line for line in lines if line["user"] == "ann")
        check_session(room.report, "JSON", session)
        room.report.equal("JSON: the listener's name", session["listener"], "main")
        room.report.check("JSON: numbers are numbers", isinstance(session["auth_ms"], int))
        proxy.stop()
        everything = [json.loads(line) for line in read_lines(path)]
        room.report.check("JSON: every line has time, level and event", all(
            {"time", "level", "event"} <= line.keys() for line in everything))
        room.report.equal("JSON: nothing on stderr", proxy.lines, [])


def read_lines(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def rotation(room):
    """Rotated again and again while sessions end: each leaves its line, in one of the files."""
    path = os.path.join(room.folder, "rotated.log")
    with room.proxy(arguments=["--log_file", path], wait=False) as proxy:
        processes.wait_until(lambda: any("listening" in line for line in read_lines(path)), 10,
                             "the proxy")
        listening = LISTENING.search("\n".join(read_lines(path)))
        proxy.port = int(listening.group(1))
        stop, done = threading.Event(), []

        def come_and_go():
            while not stop.is_set():
                life_cycle.log_in(proxy.port).close()
                done.append(1)
        threads = [threading.Thread(target=come_and_go) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(10):
                time.sleep(0.1)
                os.rename(path, f"{path}.{number}")
                proxy.process.send_signal(signal.SIGUSR1)
                processes.wait_until(lambda: any("log opened again" in line
                                                 for line in read_lines(path)), 5, "the new file")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        # What can't be opened leaves the old file in use.
        os.rename(path, path + ".kept")
        os.mkdir(path)
        proxy.process.send_signal(signal.SIGUSR1)
        processes.wait_until(lambda: any("can't be opened again" in line
                                         for line in read_lines(path + ".kept")), 5,
                             "the complaint")
        proxy.stop()
        files = [f"{path}.{number}" for number in [*range(10), "kept"]]
        lines = [line for name in files for line in read_lines(name)]
        room.report.equal("rotation: every session left its line",
                          sum("connection ended" in line for line in lines), len(done))
        room.report.check("rotation: files were used", all(read_lines(name) for name in files))
        room.report.equal("rotation: files are the owner's and the group's",
                          oct(os.stat(path + ".0").st_mode & 0o777), "0o640")


def bad_file(room):
    code, output = room.run("--listen", "127.0.0.1:0", "--admin", "", "--log_file", "/no/such/log")
    room.report.equal("a log that can't be opened: exit code 1", code, 1, output)
    room.report.equal("a log that can't be opened: why", output,
                      "sallyport: --log_file: /no/such/log: No such file or directory\n")


def scan(room):
    """A scan of the port: some lines, then their number; real sessions are told as ever."""
    with room.proxy(workers=1) as proxy:
        for _ in range(400):
            socket.create_connection(("127.0.0.1", proxy.port)).close()
        for _ in range(5):
            life_cycle.log_in(proxy.port).close()
        told = ended(lambda: [line for line in proxy.lines if "login=ok" in line], 5)
        room.report.equal("a scan: sessions are told", len(told), 5)
        processes.wait_until(lambda: "sallyport_connections_open 0" in proxy.get("/metrics"), 30,
                             "the scan to end")
        line = proxy.wait_line("left out of connections that never logged in", 15)
        room.report.check("a scan: its lines are limited, and somebody says so", line)
        proxy.stop()
        lines = [line for line in proxy.lines if "login=none" in line]
        counted = sum(int(fields(line)["count"]) for line in proxy.lines if "left out" in line)
        room.report.check("a scan: some of them are seen", 100 <= len(lines) < 300, str(len(lines)))
        room.report.equal("a scan: none is lost", len(lines) + counted, 400)


CHECKS = [text_lines, json_lines, rotation, bad_file, scan]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder:
        for check in CHECKS:
            behave = wire.accept_everybody if check in (rotation, scan) else slow_server
            with wire.FakeServer(behave) as server:
                room = life_cycle.Room(report, options, folder, server)
                room.port = processes.free_port()
                if options.only in check.__name__:
                    report.attempt(check.__name__, check, room)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
