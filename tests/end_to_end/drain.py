#!/usr/bin/python3
"""How SIGTERM drains: not ready, then not accepting, then no sessions, with a line for each.

    drain.py --proxy PATH [--io_engine epoll] [--only WORD]
"""

import os
import socket
import time
import urllib.error

import life_cycle
import mysql_wire as wire
import processes
from life_cycle import answers, exit_within, log_in, refused
from options import add_only, make_parser, parse
from report import Report


def status(proxy, path):
    try:
        proxy.get(path)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


def order_of(proxy, *words):
    """The places of the lines with these words; None for a line that is not there."""
    return [next((i for i, line in enumerate(proxy.lines) if word in line), None)
            for word in words]


def delay(room):
    """While /readyz says no, all else goes on; then nothing is accepted, and sessions still do."""
    with room.proxy(arguments=["--drain_delay=1.5", "--shutdown_timeout=20"]) as proxy:
        room.report.equal("/readyz before", status(proxy, "/readyz"), 200)
        old = log_in(proxy.port, room.authority.ca)
        began = time.monotonic()
        proxy.process.terminate()
        proxy.wait_line("not ready any more")
        room.report.equal("/readyz during the delay", status(proxy, "/readyz"), 503)
        new = log_in(proxy.port, room.authority.ca)
        room.report.check("new clients are served during the delay", answers(new))
        proxy.wait_line("accepting no more")
        took = time.monotonic() - began
        room.report.check("the delay is as long as asked for", 1.4 < took < 4, f"{took:.2f} s")
        # The line says that the workers are told.
        processes.wait_until(lambda: refused(proxy.port), 5, "new clients to be refused")
        room.report.check("and both sessions go on", answers(old) and answers(new))
        old.close()
        time.sleep(0.2)
        room.report.check("until the last has ended", proxy.alive() and answers(new))
        new.close()
        room.report.equal("which ends it with 0", exit_within(proxy, 5), 0)
        proxy.stop()
        places = order_of(proxy, "stopping: not ready any more signal=SIGTERM drain_delay_ms=1500",
                          "accepting no more sessions=2", " stopped")
        room.report.check("a line for each step", None not in places and places == sorted(places),
                          f"{places}: {proxy.lines}")


def second_signal_in_the_delay(room):
    with room.proxy(arguments=["--drain_delay=60", "--shutdown_timeout=60"]) as proxy:
        sock = log_in(proxy.port)
        proxy.process.terminate()
        proxy.wait_line("not ready any more")
        proxy.process.terminate()
        room.report.equal("a second signal ends the delay and all sessions",
                          exit_within(proxy, 3), 0)
        sock.settimeout(3)
        room.report.check("whose clients see an end",
                          wire.read_to_end(sock)[1] in ("closed", "reset"))
        proxy.stop()
        room.report.check("a line says so", any(
            "ending all sessions why=signal sessions=1" in line for line in proxy.lines),
                          str(proxy.lines))


def what_is_left_is_told(room):
    """A log-in under way gets 1053, for a command an ERR_Packet would be a wrong answer."""
    with room.proxy(arguments=["--shutdown_timeout=1"]) as proxy:
        session = log_in(proxy.port)
        halfway = wire.dial(("127.0.0.1", proxy.port))
        wire.read_packet(halfway)
        proxy.process.terminate()
        room.report.equal("who has not logged in is told 1053", wire.read_err(halfway).code, 1053)
        session.settimeout(processes.patience(5))
        room.report.equal("who has is closed", wire.read_to_end(session)[0], b"")
        room.report.equal("exit code", exit_within(proxy, 5), 0)
        proxy.stop()
        room.report.check("a line says so", any(
            "ending all sessions why=shutdown_timeout sessions=2" in line
            for line in proxy.lines), str(proxy.lines))


def service_manager(room):
    """The manager hears of it, with more patience, and its watchdog is fed to the end."""
    path = os.path.join(room.folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(processes.patience(5))
        prefix = ["env", f"NOTIFY_SOCKET={path}", "WATCHDOG_USEC=400000"]
        with room.proxy(prefix=prefix,
                        arguments=["--drain_delay=1", "--shutdown_timeout=2"]) as proxy:
            sock = log_in(proxy.port)
            proxy.process.terminate()
            text = ""
            while "STOPPING=1" not in text:
                text = manager.recv(4096).decode()
            room.report.check("STOPPING comes with the time it may take",
                              "EXTEND_TIMEOUT_USEC=13000000" in text, text)
            fed = 0
            while exit_within(proxy, 0) == "still running":
                manager.settimeout(0.3)
                try:
                    fed += "WATCHDOG=1" in manager.recv(4096).decode()
                except TimeoutError:
                    pass
            room.report.check("the watchdog is fed while it drains", fed >= 15, f"{fed} times")
            sock.close()


CHECKS = [delay, second_signal_in_the_delay, what_is_left_is_told, service_manager]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder, wire.FakeServer(wire.accept_everybody) as server:
        room = life_cycle.Room(report, options, folder, server)
        report.attempt_each(CHECKS, options.only, room)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
