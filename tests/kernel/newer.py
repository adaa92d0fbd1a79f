"""A kernel that can do what Debian 12's own can't, such as change the keys of kernel TLS: the
newest of Debian's backports for its next release. Its packages come from this machine's own mirror,
by a configuration of apt that is not the system's."""

import glob
import os
import re

from machine import PACKAGE, list_modules, output_of, unpacked
import processes
from processes import Skipped

VERSION_MIN = (6, 14)
SUITE = "trixie-backports"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def kernel_folder():
    """The folder with the kernel's packages, made to look like those of Debian 12's own."""
    apt = apt_options(os.path.join(processes.cache_folder(), "kernel", "apt"))
    depends = output_of(["apt-cache", *apt, "depends", PACKAGE])
    found = re.search(r"Depends: linux-image-((\d+)\.(\d+)\S+)", depends)
    if not found or (int(found.group(2)), int(found.group(3))) < VERSION_MIN:
        raise Skipped(f"no kernel: apt knows no {PACKAGE} that is newer")
    # The kernel and its modules are packages of their own.
    image = "linux-image-" + found.group(1)
    depends = output_of(["apt-cache", *apt, "depends", image])
    parts = re.findall(rf"Depends: (linux-(?:binary|modules)-{re.escape(found.group(1))})\n",
                       depends)
    return unpacked(image, arrange, parts=parts, apt=apt)


def apt_options(folder):
    """What makes apt see SUITE and nothing else, and keep what it knows of that in `folder`."""
    mirrors = output_of(["apt-get", "indextargets", "--format", "$(REPO_URI)",
                         "Created-By: Packages", "Label: Debian", "Component: main"]).split()
    if not mirrors:
        raise Skipped("no kernel: apt has no list of Debian's packages")
    for below in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, below), exist_ok=True)
    with open(os.path.join(folder, "debian.sources"), "w", encoding="ascii") as sources:
        sources.write(f"Types: deb\nURIs: {mirrors[0]}\nSuites: {SUITE}\nComponents: main\n"
                      f"Architectures: amd64\nSigned-By: {KEYRING}\n")
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


def arrange(folder):
    """boot/vmlinuz-*, and lib/modules with modules that busybox can load."""
    for below in ("boot", "lib"):
        os.makedirs(os.path.join(folder, below), exist_ok=True)
    os.rename(os.path.join(folder, "usr/lib/modules"), os.path.join(folder, "lib/modules"))
    modules, = glob.glob(os.path.join(folder, "lib/modules/*"))
    os.rename(os.path.join(modules, "vmlinuz"),
              os.path.join(folder, "boot", "vmlinuz-" + os.path.basename(modules)))
    output_of(["xz", "--decompress",
               *glob.glob(os.path.join(modules, "**/*.ko.xz"), recursive=True)])
    list_modules(folder)
