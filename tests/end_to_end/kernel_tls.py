#!/usr/bin/python3
"""Kernel TLS: what goes to clients is encrypted by the kernel, where it can; else all is as before.

    kernel_tls.py --proxy PATH [--io_engine epoll] [--sessions N] [--short] [--counts]
    tests/kernel/run --proxy PATH kernel_tls       where this machine's kernel can't

On a kernel without TLS: `auto` falls back with one line, `on` refuses to start.
"""

import contextlib
import os
import signal
import socket
import time

import mysql_wire as wire
import processes
import sanitizer
import servers
from kernel_tls_room import (BULK, CIPHERS, COM_CHANGE_USER, COM_QUERY, COM_QUIT,
                             MORE_THAN_ALL_HOLDS, MORE_THAN_SOCKETS_HOLD, Room, behave, counter,
                             from_server, pattern, small_and_bulk, tls_stat)
from key_updates import key_updates
from openssl_client import Client
from options import make_parser, parse
from report import Report

WAITING_BYTES_MAX = 2 << 20
GROWTH_KIB_MAX = 2 << 10
FAILED_START = 1
CALLS = ("recvfrom", "sendto", "splice", "io_uring_enter", "epoll_wait")
GATE_KIB = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 1024)


def kernel_has_tls():
    """Whether a connection takes the "tls" protocol on top; loads the module, for root."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as sock:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, 31, b"tls")
                return True
    return False


def each_cipher(room, proxy):
    for version, cipher in CIPHERS:
        before, spliced = tls_stat(), from_server(proxy)[1]
        mark = proxy.mark()
        with Client(proxy.port, version, cipher) as client:
            small_and_bulk(room, cipher, client)
            # What comes in trickles isn't spliced: on a slow machine one answer may be that.
            for _ in range(10):
                grown = from_server(proxy)[1] - spliced
                if grown > BULK // 2:
                    break
                client.command(COM_QUERY + b"give %d" % BULK)
                client.read(BULK)
            room.report.check(f"{cipher}: bulk is spliced", grown > BULK // 2, grown)
            client.command(COM_QUERY + b"last 70000")
            data, end = client.read_to_end()
            room.report.equal(f"{cipher}: the server ends first", (data == pattern(70000), end),
                              (True, "close_notify"))
        line = proxy.wait_line("reason=", start=mark)
        room.report.check(f"{cipher}: the log says so", line and "kernel_tls=true" in line, line)
        room.report.equal(f"{cipher}: the kernel did it",
                          tls_stat()["TlsTxSw"] - before["TlsTxSw"], 1)


def ends(room, proxy):
    for version, cipher in (CIPHERS[0], CIPHERS[3]):
        mark = proxy.mark()
        with Client(proxy.port, version, cipher) as client:
            client.command(COM_QUERY + b"give 5")
            client.read(5)
            client.say_goodbye()
            room.report.equal(f"{version}: the client ends first", client.read_to_end(),
                              (b"", "close_notify"))
        line = proxy.wait_line("reason=", start=mark)
        room.report.check(f"{version}: client_closed", "reason=client_closed" in (line or ""), line)
    # Bytes still wait when the server ends: all of them come, and the end.
    size = MORE_THAN_SOCKETS_HOLD
    with Client(proxy.port, *CIPHERS[3]) as client:
        client.command(COM_QUERY + b"last %d" % size)
        time.sleep(1)
        data, end = client.read_to_end()
        room.report.equal("a slow reader gets all",
                          (len(data), data == pattern(size), end), (size, True, "close_notify"))
    with Client(proxy.port, *CIPHERS[3]) as client:  # One that dies.
        client.command(COM_QUERY + b"give %d" % size)
        client.read(100)
    processes.wait_until(lambda: counter(proxy, "connections_open") == 0, 20, "all to end")


def resumption(room, proxy):
    for version, cipher in (CIPHERS[1], CIPHERS[4]):
        before = tls_stat()["TlsTxSw"]
        with Client(proxy.port, version, cipher) as client:
            small_and_bulk(room, f"{version}, before resumption", client)
            session = client.session()
            client.say_goodbye()  # OpenSSL resumes no session that it saw cut off.
        with Client(proxy.port, version, cipher, session=session) as client:
            room.report.check(f"{version}: resumed", client.resumed)
            small_and_bulk(room, f"{version}, resumed", client)
        room.report.equal(f"{version}: the kernel did both", tls_stat()["TlsTxSw"] - before, 2)


def change_user(room, proxy):
    for version, cipher in (CIPHERS[2], CIPHERS[5]):
        with Client(proxy.port, version, cipher) as client:
            client.command(COM_QUERY + b"give %d" % BULK)
            client.read(BULK)
            client.command(COM_CHANGE_USER + b"bob\0\0\0" + b"\x2d\0" + b"caching_sha2_password\0")
            switch = client.read_packet()
            room.report.check(f"{version}: COM_CHANGE_USER, another plugin",
                              switch.startswith(b"\xfemysql_native_password\0"), switch)
            client.send(wire.packet(2, wire.native_scramble(b"x", wire.NONCE)))
            room.report.equal(f"{version}: COM_CHANGE_USER, OK", client.read_packet(),
                              wire.OK_PAYLOAD)
            small_and_bulk(room, f"{version}, another user", client)


def kernel_at_both_ends(room, proxy):
    """What the proxy's kernel encrypts, the client's decrypts: TlsDecryptError is a witness then,
    and not just a counter that nobody touches."""
    for version, cipher in CIPHERS[:2]:  # OpenSSL 3.0 can no more than AES-GCM of TLS 1.2.
        before = tls_stat()
        with Client(proxy.port, version, cipher, kernel=True) as client:
            small_and_bulk(room, f"{cipher}, the kernel at both ends", client)
            client.command(COM_QUERY + b"last 70000")
            data, end = client.read_to_end()
            room.report.equal(f"{cipher}, the kernel at both ends: the end",
                              (data == pattern(70000), end), (True, "close_notify"))
        grown = {name: tls_stat()[name] - before[name]
                 for name in ("TlsTxSw", "TlsRxSw", "TlsDecryptError")}
        # The client encrypts by the kernel, too.
        room.report.equal(f"{cipher}, the kernel at both ends: its counts", grown,
                          {"TlsTxSw": 2, "TlsRxSw": 1, "TlsDecryptError": 0})


def back_pressure(room, proxy):
    """Who reads nothing stops the server, in time, and costs no memory; then all comes."""
    with Client(proxy.port, *CIPHERS[3]) as client:
        memory, before, came = proxy.resident_kib(), from_server(proxy)[0], -1
        client.command(COM_QUERY + b"give %d" % MORE_THAN_ALL_HOLDS)
        # Where memory is slow, the server takes seconds to make its answer.
        processes.wait_until(lambda: from_server(proxy)[0] > before, 20, "the answer to begin")
        while came != from_server(proxy)[0]:
            came = from_server(proxy)[0]
            time.sleep(1)
        waiting = counter(proxy, "pipe_bytes") + counter(proxy, "send_queue_bytes")
        room.report.check("back-pressure: the server is not read to its end",
                          counter(proxy, "connections_open") == 1 and
                          0 < waiting <= WAITING_BYTES_MAX, waiting)
        grown = proxy.resident_kib() - memory
        if not sanitizer.name_of(room.options.proxy):
            room.report.check("back-pressure: no memory", grown < GROWTH_KIB_MAX, f"{grown} KiB")
        room.report.check("back-pressure: then all comes",
                          client.read(MORE_THAN_ALL_HOLDS) == pattern(MORE_THAN_ALL_HOLDS))
        room.report.check("back-pressure: there was something to stop",
                          from_server(proxy)[0] - came > MORE_THAN_ALL_HOLDS // 4,
                          from_server(proxy)[0] - came)


def many(room, proxy):
    count = room.options.sessions
    processes.wait_until(lambda: tls_stat()["TlsCurrTxSw"] == 0, 20, "earlier sessions to end")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(proxy.port, *CIPHERS[i % len(CIPHERS)]))
                   for i in range(count)]
        # A session goes over behind the OK that its client has seen already.
        processes.wait_until(lambda: tls_stat()["TlsCurrTxSw"] >= count, 20,
                             f"{count} sessions on kernel TLS at once")
        room.report.equal(f"{count} sessions: all on kernel TLS at once",
                          tls_stat()["TlsCurrTxSw"], count)
        for size in (50, 40000):
            for client in clients:
                client.command(COM_QUERY + b"give %d" % size)
            good = sum(client.read(size) == pattern(size) for client in clients)
            room.report.equal(f"{count} sessions: answers of {size} bytes", good, count)
    processes.wait_until(lambda: tls_stat()["TlsCurrTxSw"] == 0, 20, "the kernel to forget them")


def shutdown(room):
    with room.proxy("on") as proxy:
        with Client(proxy.port, *CIPHERS[3]) as client:
            client.command(COM_QUERY + b"give 10")
            client.read(10)
            proxy.process.terminate()
            proxy.wait_line("stopping")
            proxy.process.terminate()  # The second ends all sessions at once.
            room.report.equal("the proxy ends: a clean end", client.read_to_end(),
                              (b"", "close_notify"))


def drain(room):
    """SIGTERM lets a session on kernel TLS live, and its bulk pass."""
    with room.proxy("on") as proxy:
        with Client(proxy.port, *CIPHERS[3]) as client:
            small_and_bulk(room, "before a drain", client)
            proxy.process.terminate()
            room.report.check("drain: begins", proxy.wait_line("accepting no more"), proxy.lines)
            before = from_server(proxy)[1]
            small_and_bulk(room, "in a drain", client)
            room.report.check("drain: still spliced", from_server(proxy)[1] > before)
            client.command(COM_QUIT)
            room.report.equal("drain: a clean end", client.read_to_end(), (b"", "close_notify"))
        room.report.equal("drain: then the proxy ends", proxy.process.wait(600), 0)


def limits(room):
    """Limits of time and number end sessions, and refuse them, as without kernel TLS."""
    with room.proxy("on", more_arguments=["--idle_timeout=5", "--max_connections=1"]) as proxy:
        mark = proxy.mark()
        with Client(proxy.port, *CIPHERS[3]) as client:
            with socket.create_connection(("127.0.0.1", proxy.port), 60) as sock:
                room.report.equal("limits: one too many is told", wire.read_err(sock).code, 1040)
            for _ in range(4):  # Bulk that is spliced counts as life.
                time.sleep(2)
                client.command(COM_QUERY + b"give %d" % BULK)
                room.report.check("limits: who does something stays",
                                  client.read(BULK) == pattern(BULK))
            data, end = client.read_to_end()
            room.report.equal("limits: who does nothing is sent away", (data, end),
                              (b"", "close_notify"))
        line = proxy.wait_line("reason=idle_timeout", start=mark) or ""
        room.report.check("limits: the log says so", "kernel_tls=true" in line, proxy.lines[mark:])


def count(room, mode, size, times):
    """System calls by name, and bytes that enter the proxy's memory, of `times` answers."""
    with room.proxy(mode) as proxy, Client(proxy.port, *CIPHERS[3]) as client:
        table = f"/tmp/strace-{os.getpid()}"
        before = from_server(proxy)
        strace = processes.start(["strace", "-f", "-q", "-c", "-U", "name,calls", "-o", table, "-p",
                                  str(proxy.process.pid)])
        time.sleep(2)
        for _ in range(times):
            client.command(COM_QUERY + b"give %d" % size)
            room.report.check(f"{mode}, {size}: all came", client.read(size) == pattern(size))
        strace.send_signal(signal.SIGINT)
        strace.wait()
        came, spliced = (now - was for now, was in zip(from_server(proxy), before))
        with open(table, encoding="ascii") as file:
            rows = [line.split() for line in file]
        os.remove(table)
    calls = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
    return [calls.get(name, 0) for name in CALLS], came - spliced


def counts(room):
    """What answers cost, counted; of a size around the gate between sending and splicing, too."""
    print(f"{'answer':>10}  {'kernel_tls':10}  {'bytes read':>10}", *CALLS, "  each")
    for size, times in ((32 << 20, 1), *((kib << 10, 32) for kib in GATE_KIB)):
        for mode in ("off", "on"):
            made, read = count(room, mode, size, times)
            print(f"{size:10}  {mode:10}  {read / times:10.0f}",
                  *(f"{calls / times:{len(name)}.1f}" for name, calls in zip(CALLS, made)))


def with_kernel_tls(room):
    if room.options.counts:
        counts(room)
        return
    with room.proxy("on") as proxy:
        if not room.report.check("on: it starts", proxy.port, proxy.lines):
            return
        basic = (each_cipher, ends, key_updates)
        more = (resumption, change_user, kernel_at_both_ends, back_pressure, many)
        for check in basic + (() if room.options.short else more):
            room.report.attempt(check.__name__, check, room, proxy)
        room.report.equal("no refused keys", counter(proxy, "kernel_tls_failures_total"), 0)
        if room.options.short:
            return
        room.report.check("sessions are counted", counter(proxy, "kernel_tls_sessions_total")
                          > room.options.sessions)
    with room.proxy("off") as proxy, Client(proxy.port, *CIPHERS[3]) as client:
        before = tls_stat()["TlsTxSw"]
        small_and_bulk(room, "off", client)
        room.report.equal("off: the kernel has no part in it", tls_stat()["TlsTxSw"], before)
    for check in (shutdown, drain, limits):
        room.report.attempt(check.__name__, check, room)
    stat = tls_stat()
    print("  ".join(f"{name}={value}" for name, value in stat.items() if value))
    room.report.equal("nothing failed to decrypt", stat["TlsDecryptError"], 0)


def without_kernel_tls(room):
    print(f"kernel {os.uname().release} has no TLS: only what the proxy makes of that")
    with room.proxy("auto") as proxy:
        room.report.check("auto: it starts", proxy.port, proxy.lines)
        warnings = [line for line in proxy.lines if "no kernel TLS" in line]
        room.report.equal("auto: one line says why", len(warnings), 1, proxy.lines)
        for version, cipher in (CIPHERS[0], CIPHERS[3]):
            mark = proxy.mark()
            with Client(proxy.port, version, cipher) as client:
                small_and_bulk(room, f"auto: {version}", client)
                client.command(COM_QUIT)
                room.report.equal(f"auto: {version} ends", client.read_to_end(),
                                  (b"", "close_notify"))
            line = proxy.wait_line("reason=", start=mark)
            room.report.check(f"auto: {version}'s line", "kernel_tls=false" in (line or ""), line)
    with room.proxy("on") as proxy:
        room.report.equal("on: it refuses to start", proxy.exit_code, FAILED_START)
        room.report.check("on: and says why", any("kernel_tls" in line for line in proxy.lines),
                          proxy.lines)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--counts", action="store_true", help="count instead of testing")
    parser.add_argument("--sessions", type=int, default=200, help="at once")
    parser.add_argument("--short", action="store_true", help="each cipher, ends and KeyUpdates")
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder, wire.FakeServer(behave) as server:
        room = Room(report, options, servers.new_authority(folder).issue("proxy"), server)
        (with_kernel_tls if kernel_has_tls() else without_kernel_tls)(room)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
