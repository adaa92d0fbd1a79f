#!/usr/bin/python3
"""Runs a command in a sandbox that refuses io_uring, as container runtimes do.

    without_io_uring.py COMMAND [ARGUMENT...]

A seccomp filter answers io_uring_setup with EPERM; everything else is allowed.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, ERRNO = 0x7fff0000, 0x00050000
IO_URING_SETUP = 425  # The same on every architecture.
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def statement(code, value, jump_true=0, jump_false=0):
    return struct.pack("<HBBI", code, jump_true, jump_false, value)


def refuse_io_uring():
    install(statement(LOAD_WORD, 0)  # seccomp_data.nr
            + statement(JUMP_IF_EQUAL, IO_URING_SETUP, 0, 1)
            + statement(RETURN, ERRNO | errno.EPERM)
            + statement(RETURN, ALLOW))


def install(program):
    """Puts this process, and what it runs, under the filter."""
    filters = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a count, and a pointer behind padding.
    header = struct.pack("<H6xQ", len(program) // 8, ctypes.addressof(filters))
    fprog = ctypes.create_string_buffer(header, len(header))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if (libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) != 0
            or libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER),
                          ctypes.c_ulong(ctypes.addressof(fprog)), zero, zero) != 0):
        raise OSError(ctypes.get_errno(), "seccomp filter refused")


if __name__ == "__main__":
    refuse_io_uring()
    os.execvp(sys.argv[1], sys.argv[1:])
