"""Of kernel_tls.py: KeyUpdates of TLS 1.3, which are answered where the kernel can change keys
(Linux 6.14), else there is a clean end."""

import signal
import time

import processes
from kernel_tls_room import (BULK, CIPHERS, COM_QUERY, MORE_THAN_ALL_HOLDS, MORE_THAN_SOCKETS_HOLD,
                             counter, from_server, pattern, small_and_bulk, tls_stat)
from openssl_client import KEY_UPDATE_NOT_REQUESTED, KEY_UPDATE_REQUESTED, Client

KEY_UPDATE_SIZE = 27  # Its record.


def kernel_changes_keys():
    return "TlsTxRekeyOk" in tls_stat()  # Linux 6.14.


def key_updates(room, proxy):
    answered, mark = kernel_changes_keys(), proxy.mark()
    line = next(line for line in proxy.lines if "listening" in line)
    room.report.check("KeyUpdate: what is to be expected is told",
                      f"key_updates={'answered' if answered else 'refused'}" in line, line)
    with Client(proxy.port, *CIPHERS[3]) as client:
        client.update_keys(KEY_UPDATE_NOT_REQUESTED)
        client.command(COM_QUERY + b"give 100000")
        room.report.check("KeyUpdate that asks for none: all goes on",
                          client.read(100000) == pattern(100000))
    proxy.wait_line("reason=", start=mark)
    if not answered:
        key_updates_refused(room, proxy)
        return
    for version, cipher in CIPHERS[3:]:
        key_updates_answered(room, proxy, version, cipher)
    key_updates_wait(room, proxy)
    key_updates_fail(room, proxy)


def key_updates_refused(room, proxy):
    mark = proxy.mark()
    with Client(proxy.port, *CIPHERS[3]) as client:
        client.update_keys(KEY_UPDATE_REQUESTED)
        client.command(COM_QUERY + b"give 10")
        _, end = client.read_to_end()
        room.report.equal("KeyUpdate that asks for one: a clean end", end, "close_notify")
    line = proxy.wait_line("reason=", start=mark)
    room.report.check("KeyUpdate: the log says why",
                      "reason=key_update_refused" in (line or ""), line)


def rekeys(before):
    """(those that the kernel did since, those that it refused)"""
    now = tls_stat()
    return tuple(now[name] - before[name] for name in ("TlsTxRekeyOk", "TlsTxRekeyError"))


def key_updates_answered(room, proxy, version, cipher):
    """Between bulk both ways, and within it."""
    mark, before, times = proxy.mark(), tls_stat(), 4
    with Client(proxy.port, version, cipher) as client:
        for i in range(times):
            client.update_keys(KEY_UPDATE_REQUESTED)
            small_and_bulk(room, f"{cipher}, KeyUpdate {i}", client)
        spliced = from_server(proxy)[1]
        client.command(COM_QUERY + b"give %d" % MORE_THAN_SOCKETS_HOLD)
        data = client.read(MORE_THAN_SOCKETS_HOLD // 3)
        client.send_key_update()
        data += client.read(MORE_THAN_SOCKETS_HOLD // 3)
        client.send_key_update()
        client.command(COM_QUERY + b"give 10")
        data += client.read(MORE_THAN_SOCKETS_HOLD - len(data))
        room.report.check(f"{cipher}: KeyUpdate within bulk",
                          data == pattern(MORE_THAN_SOCKETS_HOLD) and
                          client.read(10) == pattern(10))
        room.report.check(f"{cipher}: which was spliced",
                          from_server(proxy)[1] - spliced > BULK, from_server(proxy)[1] - spliced)
        client.update_keys(KEY_UPDATE_REQUESTED)
        client.command(COM_QUERY + b"last 70000")
        data, end = client.read_to_end()
        room.report.equal(f"{cipher}: a clean end under new keys", (data == pattern(70000), end),
                          (True, "close_notify"))
    line = proxy.wait_line("reason=", start=mark) or ""
    room.report.check(f"{cipher}: an ordinary end", "reason=server_closed" in line, line)
    room.report.equal(f"{cipher}: the kernel changed keys", rekeys(before), (times + 3, 0))


def key_updates_wait(room, proxy):
    """A client that asks and asks, and reads nothing: one answer, behind all that waits."""
    size, asked = MORE_THAN_ALL_HOLDS, 20
    before, line = tls_stat(), 'received_bytes_total{side="client",way="tls"}'
    with Client(proxy.port, *CIPHERS[3]) as client:
        client.command(COM_QUERY + b"give %d" % size)
        came = -1
        while came != from_server(proxy)[0]:
            came = from_server(proxy)[0]
            time.sleep(1)
        heard = counter(proxy, line)
        for _ in range(asked):
            client.send_key_update()
        processes.wait_until(lambda: counter(proxy, line) >= heard + asked * KEY_UPDATE_SIZE, 20,
                             "the proxy to read them")
        room.report.equal("KeyUpdates behind bulk: nothing is done yet", rekeys(before), (0, 0))
        room.report.check("KeyUpdates behind bulk: all comes", client.read(size) == pattern(size))
        small_and_bulk(room, "KeyUpdates behind bulk: and goes on", client)
        room.report.equal("KeyUpdates behind bulk: one answer", rekeys(before), (1, 0))
        client.update_keys(KEY_UPDATE_REQUESTED)
        small_and_bulk(room, "KeyUpdates behind bulk: and another", client)
        room.report.equal("KeyUpdates behind bulk: two", rekeys(before), (2, 0))


def key_updates_fail(room, proxy):
    """The kernel says no, though it was probed (strace says it): nothing can be said any more."""
    mark = proxy.mark()
    with Client(proxy.port, *CIPHERS[3]) as client:
        strace = processes.start(["strace", "-f", "-q", "-e", "trace=setsockopt", "-e",
                                  "inject=setsockopt:error=ENOMEM", "-o", "/dev/null", "-p",
                                  str(proxy.process.pid)])
        time.sleep(2)
        client.update_keys(KEY_UPDATE_REQUESTED)
        client.command(COM_QUERY + b"give 10")
        room.report.equal("KeyUpdate fails: cut off", client.read_to_end(), (b"", "cut off"))
        strace.send_signal(signal.SIGINT)
        strace.wait()
    line = proxy.wait_line("reason=key_update_failed", start=mark) or ""
    room.report.check("KeyUpdate fails: the log says why", "Cannot allocate memory" in line,
                      proxy.lines[mark:])
