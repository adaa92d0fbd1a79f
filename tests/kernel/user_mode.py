"""Debian 12's kernel as a program: Linux 6.1 of the architecture "um", in which processes run at
this machine's speed, and system calls some times slower. It has one processor."""

import os
import re
import shutil
import subprocess

from machine import listen, output_of, unpacked
import processes
from processes import Skipped

SLOWNESS = 6
PACKAGE = "user-mode-linux"
INIT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "user_mode_init")


def kernel_folder():
    """The folder with the kernel's package."""
    found = re.search(r"Candidate: (\S+)", output_of(["apt-cache", "policy", PACKAGE]))
    if not found or not found.group(1).startswith("6.1"):
        raise Skipped(f"no kernel: apt knows no {PACKAGE} 6.1")
    return unpacked(PACKAGE, lambda folder: None)


def run_machine(kernel, folder, seconds, memory_mib, *, say=print):
    """Runs what `folder` has for the first process (tests/kernel/suite); gives what
    machine.run_machine does."""
    with open(os.path.join(folder, "modules"), "w", encoding="ascii") as file:
        file.write(os.path.join(kernel, "usr/lib/uml/modules") + "\n")
    init = shutil.copy(INIT, os.path.join(folder, "init"))
    # Its memory is a file in TMPDIR, mapped without noexec; what it doesn't use costs nothing.
    machine = processes.start(
        [os.path.join(kernel, "usr/bin/linux.uml"), f"mem={memory_mib}M", f"uml_dir={folder}",
         "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}", "loglevel=2", "con=null",
         "con0=null,fd:1"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return listen(machine, seconds, say)
