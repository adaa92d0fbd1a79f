"""The initramfs of a virtual machine: programs of this machine with their libraries, as a cpio."""

import os
import re
import stat
import subprocess

PYTHON = "/usr/lib/python3.11"
# What no test imports, and much of it.
PYTHON_SKIPPED = {"test", "idlelib", "lib2to3", "tkinter", "distutils", "ensurepip", "turtledemo",
                  "pydoc_data"}


class Image:
    """Collects files, each once, then writes them in the kernel's format (cpio, "newc")."""

    def __init__(self):
        self._entries = {}  # Path in the guest -> (mode, bytes, or the file to read).
        for folder in ("dev", "proc", "sys", "tmp", "root", "etc", "run", "var", "var/tmp", "usr"):
            self.folder("/" + folder)
        # The shape of Debian's root: what a library's or a script's first line says is found.
        for name in ("bin", "sbin", "lib", "lib64"):
            self.folder("/usr/" + name)
            self.link("/" + name, "usr/" + name)

    def folder(self, path):
        parent = os.path.dirname(path)
        if parent != "/" and parent not in self._entries:
            self.folder(parent)
        self._entries.setdefault(path, (stat.S_IFDIR | 0o755, b""))

    def link(self, path, target):
        self._entries.setdefault(path, (stat.S_IFLNK | 0o777, target.encode()))

    def text(self, path, content, mode=0o644):
        self.folder(os.path.dirname(path))
        self._entries[path] = (stat.S_IFREG | mode, content.encode())

    def file(self, source, path=None):
        """A file of this machine, at its own path by default; links to it stay links."""
        path = path or os.path.join(os.path.realpath(os.path.dirname(source)),
                                    os.path.basename(source))
        if path in self._entries:
            return
        real = os.path.realpath(source)
        self.folder(os.path.dirname(path))
        if os.path.islink(source) and real != path:
            self.link(path, real)
            self.file(real)
            return
        self._entries[path] = (stat.S_IFREG | stat.S_IMODE(os.stat(real).st_mode), real)

    def tree(self, source, path=None, skipped=()):
        """A folder with all that is below it."""
        path = path or source
        self.folder(path)
        for entry in os.scandir(source):
            if entry.name in skipped:
                continue
            below = os.path.join(path, entry.name)
            if entry.is_dir(follow_symlinks=False):
                self.tree(entry.path, below, skipped)
            elif entry.is_file():
                self.file(entry.path, below)
                self._libraries_if_binary(entry.path)

    def program(self, source, path=None):
        """A program and the libraries that it is linked with."""
        self.file(source, path)
        self._libraries_if_binary(source)

    def _libraries_if_binary(self, source):
        with open(source, "rb") as file:
            if file.read(4) != b"\x7fELF":
                return
        done = subprocess.run(["ldd", source], capture_output=True, text=True, check=False)
        for library in re.findall(r"(/\S+) \(0x", done.stdout):
            self.file(library)

    def python(self):
        self.program("/usr/bin/python3.11")
        self.link("/usr/bin/python3", "python3.11")
        self.tree(PYTHON, skipped=PYTHON_SKIPPED)

    def write(self, path):
        with open(path, "wb") as out:
            for number, (name, (mode, content)) in enumerate(self._entries.items(), 1):
                if isinstance(content, str):
                    with open(content, "rb") as file:
                        content = file.read()
                _write_entry(out, name[1:], number, mode, content)
            _write_entry(out, "TRAILER!!!", 0, 0, b"")


def _write_entry(out, name, number, mode, content):
    name = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0]
    entry = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    out.write(entry + bytes(-len(entry) % 4) + content + bytes(-len(content) % 4))
