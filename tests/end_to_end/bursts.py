#!/usr/bin/python3
"""Bytes for hundreds of sessions at once, more than io_uring's shared buffers hold.

    bursts.py --proxy PATH [--io_engine epoll] [--sessions 300]

The proxy is stopped, each session is sent a command, and it goes on. Every command must arrive
whole, and a session that found no buffer may be told so once, not again and again.
"""

import contextlib
import hashlib
import os
import resource
import signal

import life_cycle
import mysql_wire as wire
import processes
import servers
from options import make_parser, parse
from proxy import Proxy
from report import Report

# Kernels that hand out few completions at a time run short of buffers only where each wants some.
SIZES = (1, 5_000, 20_000, 60_000)
BURSTS = 3
# For each burst, of a session: its command, and the reply of its server.
TOLD_MAX = 2


def digest_everything(sock):
    """A server that believes everybody and answers each command with its digest."""
    sock.settimeout(120)  # The first waits for the last.
    sock.sendall(wire.greeting())
    sequence_id, _ = wire.read_packet(sock)
    sock.sendall(wire.packet(sequence_id + 1, wire.OK_PAYLOAD))
    while True:
        _, payload = wire.read_packet(sock)
        sock.sendall(wire.packet(1, hashlib.sha1(payload).digest()))


def metric(proxy, name):
    return next(int(float(line.split()[-1])) for line in proxy.get("/metrics").splitlines()
                if line.startswith(name + " "))


def burst(proxy, sessions, size):
    """Gives the number of wrong answers."""
    wanted = []
    proxy.process.send_signal(signal.SIGSTOP)
    for sock in sessions:
        payload = b"\x03" + os.urandom(size)
        sock.sendall(wire.packet(0, payload))
        wanted.append(hashlib.sha1(payload).digest())
    proxy.process.send_signal(signal.SIGCONT)
    answers = [wire.read_packet(sock)[1] for sock in sessions]
    return sum(answer != right for answer, right in zip(answers, wanted))


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--sessions", type=int, default=300)
    options = parse(parser)
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1]))
    report = Report()
    exhausted = "sallyport_receive_ring_exhausted_total"
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(processes.test_folder())
        server = stack.enter_context(wire.FakeServer(digest_everything))
        proxy = stack.enter_context(Proxy(
            options.proxy, server.address, workers=1, io_engine=options.io_engine,
            pair=servers.new_authority(folder).issue("proxy")))
        sessions = [stack.enter_context(life_cycle.log_in(proxy.port))
                    for _ in range(options.sessions)]
        for size in SIZES:
            before = metric(proxy, exhausted)
            wrong = sum(burst(proxy, sessions, size) for _ in range(BURSTS))
            told = metric(proxy, exhausted) - before
            report.equal(f"{size} bytes each: every command arrives as it was sent", wrong, 0)
            report.check(f"{size} bytes each: who finds no buffer isn't told again and again",
                         told <= TOLD_MAX * BURSTS * len(sessions), f"told {told} times")
            print(f"        ({told / BURSTS / len(sessions):.1f} times a session and burst)")
        if options.io_engine == "io_uring":
            report.check("the buffers were used up", metric(proxy, exhausted) > 0)
        report.equal("it stops with 0", proxy.stop(), 0)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
