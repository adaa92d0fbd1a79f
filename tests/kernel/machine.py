"""Debian's kernels in a virtual machine: where they come from, and how they are run."""

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
# "oldest": Debian 12's own. "newer": the newest that Debian builds for its next release, which can
# do what the oldest can't: change the keys of kernel TLS.
KERNELS = ("oldest", "newer")
OLDEST, CHANGES_KEYS = (6, 1), (6, 14)
NEWER_SUITE = "trixie-backports"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# virtiofsd is of QEMU's packages; it is in no PATH.
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"


def output_of(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, **options)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        raise Skipped(f"no kernel: {command[0]}: {last}")
    return done.stdout


def kernel_folder(which):
    """The folder with an unpacked kernel, fetched when it is not there yet: boot/vmlinuz-*,
    lib/modules. `which` is one of KERNELS."""
    base = os.path.join(processes.cache_folder(), "kernel")
    os.makedirs(base, exist_ok=True)
    with open(os.path.join(base, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        apt = [] if which == "oldest" else newer_suite(base)
        depends = output_of(["apt-cache", *apt, "depends", PACKAGE])
        found = re.search(r"Depends: linux-image-((\d+)\.(\d+)\S+)", depends)
        version = tuple(map(int, found.group(2, 3))) if found else None
        if not found or (version != OLDEST if which == "oldest" else version < CHANGES_KEYS):
            raise Skipped(f"no kernel: apt knows no {PACKAGE} that is {which}: {version}")
        folder = os.path.join(base, "linux-image-" + found.group(1))
        if not os.path.isdir(folder):
            making = folder + ".making"
            shutil.rmtree(making, ignore_errors=True)
            os.mkdir(making)
            unpack(apt, found.group(1), making)
            os.rename(making, folder)
        return folder


def newer_suite(base):
    """apt's options by which it sees NEWER_SUITE of this machine's own mirror, and nothing else:
    its files are in a folder of their own, and the system's stay as they are."""
    folder = os.path.join(base, "apt")
    mirrors = output_of(["apt-get", "indextargets", "--format", "$(REPO_URI)",
                         "Created-By: Packages", "Label: Debian", "Component: main"]).split()
    if not mirrors:
        raise Skipped("no kernel: apt has no list of Debian's packages")
    for below in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, below), exist_ok=True)
    with open(os.path.join(folder, "debian.sources"), "w", encoding="ascii") as sources:
        sources.write(f"Types: deb\nURIs: {mirrors[0]}\nSuites: {NEWER_SUITE}\n"
                      f"Components: main\nArchitectures: amd64\nSigned-By: {KEYRING}\n")
    with open(os.path.join(folder, "configuration"), "w", encoding="ascii") as configuration:
        # What a machine hangs on to updates of its own lists is not for these.
        configuration.write("#clear APT::Update::Post-Invoke;\n"
                            "#clear APT::Update::Post-Invoke-Success;\n")
        for name, value in (("Dir::State::lists", "lists/"), ("Dir::Cache", "cache/"),
                            ("Dir::Etc::sourcelist", "debian.sources"),
                            ("Dir::Etc::sourceparts", "none")):
            configuration.write(f'{name} "{os.path.join(folder, value)}";\n')
    options = [f"--config-file={folder}/configuration"]
    try:
        output_of(["apt-get", *options, "-o", "APT::Update::Error-Mode=any", "update"])
    except Skipped:
        if not glob.glob(os.path.join(folder, "lists/*Packages*")):  # An older list will do.
            raise
    return options


def unpack(apt, version, folder):
    """Newer kernels are packages of several, below /usr, with compressed modules; they are made to
    look like the others."""
    image = "linux-image-" + version
    depends = output_of(["apt-cache", *apt, "depends", image])
    parts = re.findall(rf"Depends: (linux-(?:binary|modules)-{re.escape(version)})\n", depends)
    output_of(["apt-get", *apt, "download", image, *parts], cwd=folder)
    for package in glob.glob(os.path.join(folder, "*.deb")):
        output_of(["dpkg", "-x", package, folder])
        os.remove(package)
    below_usr = os.path.join(folder, "usr/lib/modules")
    if os.path.isdir(below_usr):
        os.makedirs(os.path.join(folder, "boot"))
        os.makedirs(os.path.join(folder, "lib"))
        os.rename(below_usr, os.path.join(folder, "lib/modules"))
    release, = os.listdir(os.path.join(folder, "lib/modules"))
    modules = os.path.join(folder, "lib/modules", release)
    if os.path.exists(os.path.join(modules, "vmlinuz")):
        os.rename(os.path.join(modules, "vmlinuz"), os.path.join(folder, "boot/vmlinuz-" + release))
    compressed = glob.glob(os.path.join(modules, "**/*.ko.xz"), recursive=True)
    if compressed:
        output_of(["xz", "--decompress", *compressed])
    output_of(["busybox", "depmod", "-b", folder, release])


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
