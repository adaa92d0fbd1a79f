#!/usr/bin/python3
"""Does what systemd does for a socket unit: listens, and passes the sockets on by LISTEN_FDS.

    with_sockets.py [--wait SECONDS] NAME=HOST:PORT... -- COMMAND...

With --wait, clients may connect for so long before the command runs. NAME=- passes /dev/null.
"""

import os
import socket
import sys
import time

FIRST = 3  # SD_LISTEN_FDS_START.


def main():
    arguments, command = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
    wait = 0.0
    if arguments[0] == "--wait":
        wait, arguments = float(arguments[1]), arguments[2:]
    names, fds = [], []
    for argument in arguments:
        name, address = argument.split("=")
        names.append(name)
        if address == "-":
            fds.append(os.open("/dev/null", os.O_RDWR))
            continue
        host, port = address.rsplit(":", 1)
        fds.append(socket.create_server((host, int(port))).detach())
    time.sleep(wait)
    high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
    for i, fd in enumerate(high):
        os.dup2(fd, FIRST + i, inheritable=True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)),
                      LISTEN_FDNAMES=":".join(names))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
