"""The flags that all scripts have."""

import argparse
import ctypes
import errno

from processes import Skipped

IO_URING_SETUP = 425  # The same on every architecture.


def io_uring_refusal():
    """Why this machine has no io_uring, or nothing. EFAULT, for the null pointer that is passed,
    means that the kernel would have gone on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(ctypes.c_long(IO_URING_SETUP), ctypes.c_uint(1), ctypes.c_void_p(None))
    code = ctypes.get_errno()
    return None if code == errno.EFAULT else errno.errorcode.get(code, str(code))


def make_parser(doc, proxy_required=True):
    """`doc` is the script's own; its first line becomes the description."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--proxy", required=proxy_required, metavar="PATH",
                        help="the proxy's binary" + (
                            "" if proxy_required else "; without it, only what needs none"))
    parser.add_argument("--io_engine", default="auto", choices=["auto", "io_uring", "epoll"])
    return parser


def add_only(parser):
    parser.add_argument("--only", default="", metavar="WORD",
                        help="only what has this in its name")


def parse(parser):
    """The options; skips where the engine that is asked for cannot run here."""
    options = parser.parse_args()
    if options.io_engine == "io_uring":
        refusal = io_uring_refusal()
        if refusal:
            raise Skipped(f"this machine refuses io_uring ({refusal})")
    return options
