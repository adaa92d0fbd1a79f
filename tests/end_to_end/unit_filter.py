#!/usr/bin/python3
"""Runs a command under the SystemCallFilter of a systemd unit, without systemd.

    unit_filter.py UNIT COMMAND [ARGUMENT...]

What systemd makes of the unit, this makes, too: a seccomp filter with a list of what is allowed;
the rest gets EPERM, as SystemCallErrorNumber asks.
"""

import os
import platform
import re
import subprocess
import sys

import without_io_uring as seccomp

NUMBERS = f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h"
EPERM = 1


def members(name):
    """The system calls that a word of SystemCallFilter stands for."""
    if not name.startswith("@"):
        return {name}
    listing = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    words = [line.strip() for line in listing.splitlines()[1:]]
    return set().union(*(members(word) for word in words if word and not word.startswith("#")))


def allowed_by(unit):
    """The names that the unit's filter, which has to begin with a list of them, lets through."""
    allowed = members("@default")
    with open(unit, encoding="utf-8") as file:
        lines = re.findall(r"^SystemCallFilter=(.*)$", file.read(), re.MULTILINE)
    for line in lines:
        for word in line.lstrip("~").split():
            allowed = allowed - members(word) if line[0] == "~" else allowed | members(word)
    return allowed


def main():
    with open(NUMBERS, encoding="ascii") as file:
        numbers = {name: int(number) for name, number in
                   re.findall(r"#define __NR_(\w+) (\d+)", file.read())}
    allow = [numbers[name] for name in allowed_by(sys.argv[1]) if name in numbers]
    program = seccomp.statement(seccomp.LOAD_WORD, 0)
    for number in allow:
        program += seccomp.statement(seccomp.JUMP_IF_EQUAL, number, 0, 1)
        program += seccomp.statement(seccomp.RETURN, seccomp.ALLOW)
    program += seccomp.statement(seccomp.RETURN, seccomp.ERRNO | EPERM)
    seccomp.install(program)
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
