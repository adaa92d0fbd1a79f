#!/usr/bin/python3
"""Many short connections, one after another, that end in different ways: what leaks.py counts.

    connect_many.py PORT CA FIRST COUNT STEP

A program of its own, because Python's threads share one core, and its forks share its threads'
locks. Prints a line for each connection that did not come about.
"""

import sys

import mysql_wire as wire


def one_connection(address, context, number):
    """One of six lives of a connection, by its number."""
    with wire.dial(address) as sock:
        wire.read_packet(sock)
        life = number % 6
        if life == 0:
            return  # Leaves early.
        sequence_id = 1
        if life >= 3:
            sock.sendall(wire.ssl_request())
            if life == 5:
                sock.sendall(b"\x80" * 50)
                wire.read_to_end(sock)
                return
            sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
            sequence_id = 2
        sock.sendall(wire.handshake_response(sequence_id))
        if wire.read_packet(sock)[1][:1] != b"\0":
            raise RuntimeError("the log-in was refused")
        sock.sendall(wire.packet(0, b"\x03SELECT 1"))
        wire.read_packet(sock)
        if life in (1, 3):
            sock.sendall(wire.packet(0, b"\x01"))  # COM_QUIT; the others just close.
        sock.close()


def main():
    port, first, count, step = (int(sys.argv[n]) for n in (1, 3, 4, 5))
    context = wire.tls_context(sys.argv[2])
    for number in range(first, first + count, step):
        try:
            one_connection(("127.0.0.1", port), context, number)
        except Exception as error:  # pylint: disable=broad-except
            print(f"{number}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
