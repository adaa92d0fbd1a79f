"""The sanitizer that the proxy was built with, and what it said."""

import functools
import re
import shutil

HEAD = re.compile(r"(ERROR|WARNING|FATAL): \w+Sanitizer|runtime error:")
# Of one process; behind that is its map of memory, or the next report.
LINES_MAX = 150

heads = []  # Of all proxies; processes.run_main fails for each.


@functools.lru_cache
def name_of(binary):
    """ "asan", "tsan", "ubsan", or "". """
    with open(shutil.which(binary) or binary, "rb") as file:
        found = re.search(rb"__(asan|tsan|ubsan)_", file.read())
    return found.group(1).decode() if found else ""


class Listener:
    """Reads what one process says on stderr, line by line, and prints a report as it comes: it may
    come behind the last check of a test, and whoever tests only a code may like the wrong one."""

    def __init__(self):
        self._left = 0

    def hear(self, line):
        if not self._left and HEAD.search(line):
            heads.append(line)
            self._left = LINES_MAX
        if self._left > 1:
            print("  " + line, flush=True)
            self._left -= 1
