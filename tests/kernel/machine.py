"""Debian 12's own kernel in a virtual machine: where it comes from, and how it is run."""

import contextlib
import fcntl
import glob
import os
import re
import shutil
import subprocess
import threading

import processes
from processes import Skipped

# How much longer tests wait there for what is to happen; see processes.patience().
SLOWNESS = 12
PACKAGE = "linux-image-cloud-amd64"
# virtiofsd is of QEMU's packages; it is in no PATH.
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"


def output_of(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, **options)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise Skipped(f"no kernel: {command[0]}: {last}")
    return done.stdout


def unpacked(package, finish, *, parts=(), apt=()):
    """The folder with the files of Debian's package, and of the others in `parts`; fetched, and
    finished by `finish`, when it is not there yet. `apt`: options that apt-get needs for it."""
    base = os.path.join(processes.cache_folder(), "kernel")
    folder = os.path.join(base, package)
    os.makedirs(base, exist_ok=True)
    with open(os.path.join(base, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(folder):
            making = folder + ".making"
            shutil.rmtree(making, ignore_errors=True)
            os.mkdir(making)
            output_of(["apt-get", *apt, "download", package, *parts], cwd=making)
            for archive in glob.glob(os.path.join(making, "*.deb")):
                output_of(["dpkg", "-x", archive, making])
                os.remove(archive)
            finish(making)
            os.rename(making, folder)
    return folder


def list_modules(folder):
    release, = os.listdir(os.path.join(folder, "lib/modules"))
    output_of(["busybox", "depmod", "-b", folder, release])


def kernel_folder():
    """The folder with the kernel's package."""
    depends = output_of(["apt-cache", "depends", PACKAGE])
    found = re.search(r"Depends: (linux-image-6\.1\S+)", depends)
    if not found:
        raise Skipped(f"no kernel: apt knows no {PACKAGE} 6.1")
    return unpacked(found.group(1), list_modules)


def add_modules(image, kernel, folders):
    """The kernel's modules that lie in `folders`, where modprobe finds them."""
    modules, = glob.glob(os.path.join(kernel, "lib/modules/*"))
    inside = os.path.join("/usr/lib/modules", os.path.basename(modules))
    for path in glob.glob(os.path.join(modules, "modules.*")):
        image.file(path, os.path.join(inside, os.path.basename(path)))
    for folder in folders:
        image.tree(os.path.join(modules, "kernel", folder),
                   os.path.join(inside, "kernel", folder))


@contextlib.contextmanager
def shared_root(folder, memory_mib):
    """QEMU's arguments by which a machine sees this one's files as the virtiofs "host"."""
    if not os.path.exists(VIRTIOFSD):
        raise Skipped(f"no {VIRTIOFSD}")
    if os.getuid() != 0:
        raise Skipped("virtiofsd wants root, for its chroot")
    socket = os.path.join(folder, "virtiofs")
    # A chroot, because pivot_root, its other sandbox, works in no container.
    daemon = processes.start([VIRTIOFSD, f"--socket-path={socket}", "-o", "source=/", "-o",
                              "sandbox=chroot,cache=always,log_level=err"],
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        processes.wait_until(lambda: os.path.exists(socket), 10, "virtiofsd")
        yield ["-object", f"memory-backend-memfd,id=memory,size={memory_mib}M,share=on",
               "-numa", "node,memdev=memory", "-chardev", f"socket,id=virtiofs,path={socket}",
               "-device", "vhost-user-fs-pci,chardev=virtiofs,tag=host"]
    finally:
        processes.stop(daemon)


def run_machine(kernel, initramfs, seconds, cpus, memory_mib, *, more=(), say=print):
    """Runs it to its end; says its console's lines; gives the command's exit code, or None where it
    did not come to its end in time."""
    vmlinuz, = glob.glob(os.path.join(kernel, "boot/vmlinuz-*"))
    # no_timer_check: on a busy host the emulated timer fails the kernel's check of it, which is its
    # end.
    machine = processes.start(
        ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(cpus),
         "-m", str(memory_mib), "-nodefaults", "-no-user-config", "-display", "none",
         "-serial", "stdio", "-no-reboot",
         "-kernel", vmlinuz, "-initrd", initramfs,
         "-append", "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check rdinit=/init",
         *more],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return listen(machine, seconds, say)


def listen(machine, seconds, say):
    """Says what it prints; gives what run_machine does."""
    timer = threading.Timer(seconds, machine.kill)
    timer.start()
    code = None
    try:
        for raw in machine.stdout:
            line = raw.decode(errors="replace").rstrip()
            ended = re.match(r"guest: exit (\d+)$", line)
            if ended:
                code = int(ended.group(1))
            else:
                say(line)
    finally:
        timer.cancel()
        processes.stop(machine)
    return code
