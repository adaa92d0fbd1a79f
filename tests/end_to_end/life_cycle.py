#!/usr/bin/python3
"""Start, stop, and what is said when it cannot start.

    life_cycle.py --proxy PATH [--io_engine epoll] [--only WORD]

Each check is a small function; most need no real server, but one that believes everybody.
"""

import os
import signal
import socket
import subprocess
import time

import mysql_wire as wire
import processes
import sanitizer
import servers
from options import add_only, make_parser, parse
from proxy import Proxy
from report import Report

HERE = os.path.dirname(os.path.realpath(__file__))


class Room:
    def __init__(self, report, options, folder, server):
        self.report, self.options, self.folder, self.server = report, options, folder, server
        self.authority = servers.new_authority(folder)
        self.pair = self.authority.issue("proxy")

    def proxy(self, **more):
        more.setdefault("pair", self.pair)
        more.setdefault("io_engine", self.options.io_engine)
        return Proxy(self.options.proxy, self.server.address, **more)

    def run(self, *arguments, seconds=15):
        """Runs the binary to its end. Gives (exit code, output)."""
        done = subprocess.run([self.options.proxy, *arguments], check=False,
                              timeout=processes.patience(seconds),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout


def log_in(port, ca=None):
    """A logged-in session; over TLS where an authority is given."""
    sock = wire.dial(("127.0.0.1", port))
    wire.read_packet(sock)
    if ca:
        sock = wire.open_tls(sock, ca)
    sock.sendall(wire.handshake_response(2 if ca else 1))
    if wire.read_packet(sock)[1][:1] != b"\0":
        raise RuntimeError("the log-in was refused")
    return sock


def answers(sock):
    """Whether the session still works."""
    try:
        sock.sendall(wire.packet(0, b"\x0e"))
        return wire.read_packet(sock)[1][:1] == b"\0"
    except (OSError, EOFError):
        return False


def refused(port):
    """Whether a new client is turned away: by the kernel, or by 1053."""
    try:
        with wire.dial(("127.0.0.1", port), 3) as sock:
            sequence_id, payload = wire.read_packet(sock)
            return payload[:1] == b"\xff" and wire.Err(payload, sequence_id).code == 1053
    except (OSError, EOFError):
        return True


def exit_within(proxy, seconds):
    try:
        return proxy.process.wait(processes.patience(seconds))
    except subprocess.TimeoutExpired:
        return "still running"


def stops_when_idle(room):
    for name in ("SIGTERM", "SIGINT"):
        with room.proxy() as proxy:
            proxy.process.send_signal(getattr(signal, name))
            room.report.equal(f"{name} ends an idle proxy with 0", exit_within(proxy, 3), 0)


def lets_sessions_finish(room):
    for ca in (None, room.authority.ca):
        how = "TLS" if ca else "plaintext"
        with room.proxy(arguments=["--shutdown_timeout=20"]) as proxy:
            sock = log_in(proxy.port, ca)
            proxy.process.terminate()
            time.sleep(0.5)
            room.report.check(f"{how}: a session goes on after SIGTERM", answers(sock))
            processes.wait_until(lambda: refused(proxy.port), 5, f"{how}: new clients refused")
            sock.close()
            room.report.equal(f"{how}: it ends with 0 when the last session has",
                              exit_within(proxy, 5), 0)


def grace_ends(room):
    with room.proxy(arguments=["--shutdown_timeout=1"]) as proxy:
        sock = log_in(proxy.port)
        began = time.monotonic()
        proxy.process.terminate()
        code = exit_within(proxy, 8)
        took = time.monotonic() - began
        room.report.equal("an open session is cut when the grace time is over", code, 0)
        room.report.check("and not before", took > 0.7, f"after {took:.1f} s")
        sock.settimeout(3)
        data, end = wire.read_to_end(sock)
        room.report.check("its client is told so or cut off", end in ("closed", "reset"),
                          f"{data!r}, {end}")


def second_signal(room):
    with room.proxy(arguments=["--shutdown_timeout=30"]) as proxy:
        _sock = log_in(proxy.port)
        proxy.process.terminate()
        time.sleep(0.3)
        running = proxy.alive()
        proxy.process.terminate()
        code = exit_within(proxy, 3)
        room.report.check("a second signal ends it at once", running and code != "still running",
                          f"running after the first: {running}; exit code: {code}")


def bad_arguments(room):
    """2 for what is written wrongly, and the message names it."""
    config = os.path.join(room.folder, "bad.toml")
    with open(config, "w", encoding="ascii") as file:
        file.write('listen = "127.0.0.1:0"\n\ntls_mode = "perhaps"\n')
    base = ["--listen", "127.0.0.1:0", "--admin", ""]
    for what, arguments, named in (
            ("an unknown flag", ["--no_such_flag"], "no_such_flag"),
            ("a bad TLS mode", ["--tls_mode", "perhaps"], "tls_mode"),
            ("a bad number", ["--workers", "many"], "workers"),
            ("a bad address", ["--server", "nowhere:port"], "server"),
            ("a certificate without a key", ["--tls_cert", room.pair[0]], "tls_key"),
            ("a bad line in a file", ["--config", config], "bad.toml:3"),
            ("a file that is not there", ["--config", "/no/such.toml"], "/no/such.toml")):
        code, output = room.run(*base, *arguments)
        room.report.equal(f"{what}: exit code 2", code, 2, output[-300:])
        room.report.check(f"{what}: is named", named in output, output[-300:])
    for flag in ("--help", "--version"):
        room.report.equal(f"{flag}: exit code 0", room.run(flag)[0], 0)
    room.report.equal("--check_config of a good configuration: 0", room.run(
        *base, "--check_config", "--tls_cert", room.pair[0], "--tls_key", room.pair[1])[0], 0)
    room.report.equal("--check_config of a bad one: 2",
                      room.run("--check_config", "--config", config)[0], 2)


def port_in_use(room):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output = room.run("--listen", f"127.0.0.1:{port}", "--admin", "",
                                "--io_engine", room.options.io_engine)
        room.report.equal("a port in use: exit code 1", code, 1, output[-300:])
        room.report.check("a port in use: is named", str(port) in output, output[-300:])


def bad_certificates(room):
    """Each is refused at the start, and the file is named; one that has expired at least loudly."""
    other = room.authority.issue("other")
    garbage = os.path.join(room.folder, "garbage.pem")
    with open(garbage, "w", encoding="ascii") as file:
        file.write("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    base = ["--listen", "127.0.0.1:0", "--admin", "", "--io_engine", room.options.io_engine]
    for what, certificate, key, named in (
            ("a key of another certificate", room.pair[0], other[1], "other.key"),
            ("a certificate of garbage", garbage, room.pair[1], "garbage.pem"),
            ("a key of garbage", room.pair[0], garbage, "garbage.pem"),
            ("a certificate that is not there", "/no/such.crt", room.pair[1], "/no/such.crt"),
            ("a key that is not there", room.pair[0], "/no/such.key", "/no/such.key")):
        code, output = room.run(*base, "--tls_cert", certificate, "--tls_key", key)
        room.report.check(f"{what}: exit code 1 or 2", code in (1, 2), f"{code}: {output[-300:]}")
        room.report.check(f"{what}: is named", named in output, output[-300:])
    expired = room.authority.issue("expired", first=-20, last=-10)
    with room.proxy(pair=expired) as proxy:
        line = proxy.wait_line("(?i)expired|not valid|validity", 2)
        room.report.check("an expired certificate: a line says so", line,
                          " / ".join(proxy.lines))


def open_key_files(room):
    """A key that others may read is warned of; one that all may write is refused."""
    certificate, key = room.authority.issue("open")
    os.chmod(key, 0o644)
    with room.proxy(pair=(certificate, key)) as proxy:
        line = proxy.wait_line("private key's file", 2)
        room.report.check("a key that others may read: a line names file and mode",
                          line and key in line and "0644" in line, " / ".join(proxy.lines))
    os.chmod(key, 0o666)
    code, output = room.run("--listen", "127.0.0.1:0", "--admin", "", "--tls_cert", certificate,
                            "--tls_key", key)
    room.report.equal("a key that all may write: exit code 2", code, 2, output[-300:])
    room.report.check("a key that all may write: is named", key in output and "0666" in output,
                      output[-300:])


def sandbox(room):
    """All threads are inside or, where the kernel has no Landlock, the proxy says so."""
    def threads_inside(proxy):
        folder = f"/proc/{proxy.process.pid}/task"
        return {"NoNewPrivs:\t1" in open(f"{folder}/{thread}/status", encoding="ascii").read()
                for thread in os.listdir(folder)}
    with room.proxy(pair=room.pair, arguments=["--sandbox", "on"], wait=False,
                    leaks=False) as proxy:
        line = proxy.wait_line("listening on|sandbox")
        if line and "no Landlock" in line:
            room.report.equal("sandbox on without Landlock: exit code 1", exit_within(proxy, 5), 1)
            return
        room.report.equal("sandbox on: each thread is inside", threads_inside(proxy), {True})
    with room.proxy(pair=room.pair, arguments=["--sandbox", "off"], leaks=False) as proxy:
        room.report.equal("sandbox off: no thread is inside", threads_inside(proxy), {False})
    with room.proxy(pair=room.pair, arguments=["--core_dumps"]) as proxy:
        room.report.equal("core dumps: no thread is inside", threads_inside(proxy), {False})


def memory_is_private(room):
    """Nobody but root may look into the proxy (/proc/PID/environ, mem, ptrace); see core_files."""
    # Root's own processes are root's anyway. The binary may lie where nobody else may look.
    prefix = [] if os.geteuid() else [
        "setpriv", "--reuid=65534", "--clear-groups", "--pdeathsig=KILL",
        "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode != 0:
        print("SKIPPED: the owner of its memory: root may not become another user here")
        return
    user = os.geteuid() or 65534
    for arguments, owner in (([], 0), (["--core_dumps"], user)):
        with room.proxy(pair=None, prefix=prefix, leaks=False,
                        arguments=["--sandbox", "off", *arguments]) as proxy:
            name = f"the owner of its memory, {arguments}"
            if room.report.check(f"{name}: it starts", proxy.port, " / ".join(proxy.lines)):
                with open(f"/proc/{proxy.process.pid}/status", encoding="ascii") as status:
                    room.report.check(f"{name}: it is not root's process",
                                      f"\nUid:\t{user}\t" in status.read())
                room.report.equal(name, os.stat(f"/proc/{proxy.process.pid}/environ").st_uid,
                                  owner)


def dies_with_core(process):
    """Ends it by SIGABRT; whether the kernel wrote a core file."""
    process.send_signal(signal.SIGABRT)
    # WNOWAIT leaves it for subprocess, which forgets about the core file.
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT).si_code == os.CLD_DUMPED


def core_files(room):
    """There are secrets in the proxy's memory: none is written unless core_dumps is given."""
    if sanitizer.name_of(room.options.proxy):
        print("SKIPPED: core files of a sanitizer's build, which allows none itself")
        return
    folder = os.path.join(room.folder, "cores")
    os.mkdir(folder)
    prefix = ["env", f"--chdir={folder}", "prlimit", "--core=unlimited", "--"]
    other = processes.start([*prefix, "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE)
    other.stdout.readline()
    if not dies_with_core(other):
        print("SKIPPED: core files: this machine writes none")
        return
    for arguments, expected in (([], False), (["--core_dumps"], True)):
        with room.proxy(prefix=prefix, arguments=["--sandbox", "off", *arguments]) as proxy:
            room.report.check(f"core file, {arguments}: it starts", proxy.port)
            room.report.equal(f"core file, {arguments}: written", dies_with_core(proxy.process),
                              expected)


def without_certificate(room):
    # A machine's name may be one that no certificate can have; Linux's own first one is "(none)".
    nameless = ["unshare", "--uts", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c",
                'echo "(none)" > /proc/sys/kernel/hostname && exec "$@"', "sh"]
    for name, prefix in (("without a certificate", []), ("and without a host's name", nameless)):
        with room.proxy(pair=None, prefix=prefix) as proxy:
            if not room.report.check(f"{name}: it starts", proxy.port, " / ".join(proxy.lines)):
                continue
            room.report.check(f"{name}: the log says that it made one",
                              proxy.wait_line("(?i)self.signed", 2), " / ".join(proxy.lines))
            sock = wire.dial(("127.0.0.1", proxy.port))
            _, payload = wire.read_packet(sock)
            room.report.check(f"{name}: and offers TLS",
                              wire.parse_greeting(payload)[1] & wire.CLIENT_SSL)
            sock.close()


def positional_form(room):
    """The form of the Go program: listen port, server port, certificate, key."""
    port = processes.free_port()
    with room.proxy(positional=[str(port), str(room.server.port), *room.pair],
                    admin=False) as proxy:
        room.report.equal("PORT PORT CERTIFICATE KEY: listens there", proxy.port, port,
                          " / ".join(proxy.lines))
        sock = log_in(port, room.authority.ca)
        room.report.check("and serves over TLS", answers(sock))
        sock.close()


def tls_modes(room):
    with room.proxy(tls_mode="required") as proxy:
        sock = wire.dial(("127.0.0.1", proxy.port))
        wire.read_packet(sock)
        sock.sendall(wire.handshake_response(1))
        found = wire.read_err(sock)
        room.report.check("required: plaintext is told 3159",
                          (found.code, found.sequence_id) == (3159, 2), str(found))
    with room.proxy(tls_mode="disabled") as proxy:
        sock = wire.dial(("127.0.0.1", proxy.port))
        _, payload = wire.read_packet(sock)
        room.report.check("disabled: TLS is not offered",
                          not wire.parse_greeting(payload)[1] & wire.CLIENT_SSL)
        sock.close()
        sock = log_in(proxy.port)
        room.report.check("disabled: plaintext is served", answers(sock))


def admin_answers(room):
    with room.proxy() as proxy:
        room.report.check("/healthz answers", proxy.get("/healthz") is not None)
        log_in(proxy.port, room.authority.ca).close()
        metrics = proxy.get("/metrics")
        room.report.check("/metrics is Prometheus' text", "# TYPE" in metrics, metrics[:200])


def no_io_uring(room):
    """In a sandbox without io_uring, auto says why and serves; io_uring says why and does not."""
    prefix = ["/usr/bin/python3", os.path.join(HERE, "without_io_uring.py")]
    with room.proxy(prefix=prefix, io_engine="auto") as proxy:
        line = proxy.wait_line("(?i)io_uring.*(EPERM|not permitted|refus|seccomp|denied)", 2)
        room.report.check("auto without io_uring: the log says why", line, " / ".join(proxy.lines))
        room.report.check("auto without io_uring: and says epoll", proxy.wait_line("epoll", 2))
        sock = log_in(proxy.port, room.authority.ca)
        room.report.check("auto without io_uring: serves", answers(sock))
        sock.close()
    with room.proxy(prefix=prefix, io_engine="io_uring") as proxy:
        room.report.equal("io_uring without io_uring: exit code 1", exit_within(proxy, 3), 1)
        room.report.check("io_uring without io_uring: and why",
                          any("io_uring" in line for line in proxy.lines), str(proxy.lines))


CHECKS = [stops_when_idle, lets_sessions_finish, grace_ends, second_signal, bad_arguments,
          port_in_use, bad_certificates, open_key_files, sandbox, memory_is_private, core_files,
          without_certificate, positional_form, tls_modes, admin_answers, no_io_uring]


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    options = parse(parser)
    report = Report()
    with processes.test_folder() as folder, wire.FakeServer(wire.accept_everybody) as server:
        room = Room(report, options, folder, server)
        report.attempt_each(CHECKS, options.only, room)
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
