#!/usr/bin/python3
"""The Debian package: what lintian says, and its life with a real dpkg.

    package.py [--deb PATH] [--only WORD]

dpkg works on this machine's own root, under an overlay whose changes are gone afterwards. systemctl
and its like are stand-ins there, which write down what they are asked for.
"""

import os
import re
import shutil
import subprocess
import sys
import time

import life_cycle
import mysql_wire as wire
import processes
import sanitizer
from options import add_only, make_parser, parse
from report import Report

HERE = os.path.dirname(os.path.realpath(__file__))
STAND_INS = ("/usr/bin/systemctl", "/usr/bin/deb-systemd-invoke")
# Links are made by the real one, which needs no manager for that.
STAND_IN = """#!/bin/sh
echo "{name} $*" >> /run/asked
case "$*" in *preset* | *enable* | *mask*) exec {path}.real "$@" ;; esac
"""
OURS = re.compile(r"/(etc|usr|var|run|lib)/.*sallyport")


def run(*command, **options):
    done = subprocess.run(command, check=False, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    return done.returncode, done.stdout


class Root:
    """A root folder over this machine's. In a mount namespace of its own (see main), so that no
    mount outlives this process."""

    def __init__(self, folder):
        self.path, self.upper = os.path.join(folder, "root"), os.path.join(folder, "t/upper")
        os.mkdir(self.path)
        os.mkdir(os.path.join(folder, "t"))
        # An overlay can't lie upon another, which /tmp may be part of.
        self.mount("-t", "tmpfs", "tmpfs", os.path.join(folder, "t"))
        work = os.path.join(folder, "t/work")
        os.mkdir(self.upper)
        os.mkdir(work)
        self.mount("-t", "overlay", "overlay", self.path, "-o",
                   f"lowerdir=/,upperdir={self.upper},workdir={work}")
        for name in ("proc", "dev"):
            self.mount("--rbind", f"/{name}", f"{self.path}/{name}")
        self.mount("-t", "tmpfs", "tmpfs", f"{self.path}/run")
        os.makedirs(f"{self.path}/run/systemd/system")
        for path in STAND_INS:
            here = self.path + path
            os.rename(here, here + ".real")
            with open(here, "w", encoding="ascii") as file:
                file.write(STAND_IN.format(name=os.path.basename(path), path=path))
            os.chmod(here, 0o755)

    @staticmethod
    def mount(*arguments):
        code, output = run("mount", *arguments)
        if code:
            raise processes.Skipped(f"mount {' '.join(arguments)}: {output.strip()}")

    def run(self, *command):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                       "LC_ALL": "C.UTF-8"}
        return run("chroot", self.path, *command, env=environment)

    def asked(self):
        """What the stand-ins were asked for since the last time."""
        path = f"{self.path}/run/asked"
        if not os.path.exists(path):
            return ""
        with open(path, encoding="ascii") as file:
            text = file.read()
        os.remove(path)
        return text

    def left(self):
        """Paths of ours that the package's life has left behind."""
        found = []
        for top, folders, files in os.walk(self.upper):
            names = [os.path.join(top, name)[len(self.upper):] for name in folders + files]
            found += [name for name in names if OURS.match(name) and
                      not os.path.basename(name).startswith("lintian") and
                      os.path.lexists(self.path + name)]
        return found


def newer(deb, folder):
    """The package with the next version."""
    root = os.path.join(folder, "newer")
    subprocess.run(["dpkg-deb", "-R", deb, root], check=True)
    control = os.path.join(root, "DEBIAN/control")
    with open(control, encoding="utf-8") as file:
        text = re.sub("^(Version: .*)$", r"\1+next", file.read(), flags=re.MULTILINE)
    with open(control, "w", encoding="utf-8") as file:
        file.write(text)
    path = os.path.join(folder, "newer.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", root, path], check=True,
                   stdout=subprocess.DEVNULL)
    return path


def lintian(report, deb):
    if not shutil.which("lintian"):
        print("SKIPPED: lintian is not installed")
        return
    _, output = run("lintian", "--allow-root", "--tag-display-limit", "0", deb)
    tags = [line for line in output.splitlines() if re.match("[EW]: ", line)]
    report.equal("lintian: no error, no warning", tags, [], output)


def life(report, deb, folder):
    root = Root(folder)
    shutil.copy(deb, f"{root.path}/run/first.deb")
    shutil.copy(newer(deb, folder), f"{root.path}/run/second.deb")
    code, output = root.run("dpkg", "-i", "/run/first.deb")
    if not report.equal("it installs", code, 0, output):
        return
    asked = root.asked()
    report.check("and the service is started",
                 "deb-systemd-invoke start sallyport.service" in asked, asked)
    report.check("and enabled", os.path.lexists(
        f"{root.path}/etc/systemd/system/multi-user.target.wants/sallyport.service"))
    report.equal("keys are for root and the service",
                 root.run("stat", "-c", "%U:%G %a", "/etc/sallyport/tls"),
                 (0, "root:sallyport 750\n"))
    report.equal("files are as they were packed", root.run("dpkg", "--verify", "sallyport"),
                 (0, ""))
    serves(report, root)

    config = f"{root.path}/etc/sallyport/sallyport.toml"
    with open(config, "a", encoding="ascii") as file:
        file.write("# An administrator's own.\n")
    root.asked()
    code, output = root.run("dpkg", "-i", "/run/second.deb")
    report.equal("it upgrades", code, 0, output)
    asked = root.asked()
    report.check("which restarts and stops nothing", not re.search("(start|stop) ", asked), asked)
    with open(config, encoding="ascii") as file:
        report.check("and keeps the configuration", "An administrator's own." in file.read())

    code, output = root.run("dpkg", "-r", "sallyport")
    report.equal("it is removed", code, 0, output)
    asked = root.asked()
    report.check("which stops the service", "deb-systemd-invoke stop sallyport.service" in asked,
                 asked)
    report.check("and leaves the configuration", os.path.exists(config))
    code, output = root.run("dpkg", "-P", "sallyport")
    report.equal("it is purged", code, 0, output)
    report.equal("and nothing is left", root.left(), [])
    report.check("not in /run either", not os.path.exists(f"{root.path}/run/sallyport"))
    code, output = root.run("dpkg", "-i", "/run/second.deb")
    report.equal("it can be installed again", code, 0, output)


def serves(report, root):
    """What the unit starts, as its user, with the configuration as it comes: but for the number of
    connections, for which the unit has the descriptors (LimitNOFILE) and this machine may not."""
    unit = os.path.join(root.path, "usr/lib/systemd/system/sallyport.service")
    with open(unit, encoding="utf-8") as file:
        text = file.read()
    command = re.search("^ExecStart=(.*)$", text, re.MULTILINE).group(1).split()
    files = int(re.search("^LimitNOFILE=(.*)$", text, re.MULTILINE).group(1))
    with open(f"{root.path}/etc/sallyport/sallyport.toml", encoding="utf-8") as file:
        connections = int(re.search("^max_connections = (.*)$", file.read(), re.MULTILINE).group(1))
    report.check("the unit has descriptors for all connections", files > 2.2 * connections, files)
    root.run("install", "-d", "-o", "sallyport", "-g", "sallyport", "-m", "700", "/run/sallyport")
    if sanitizer.name_of(f"{root.path}/usr/sbin/sallyport") == "asan":
        command.append("--core_dumps")  # Or it may not look for leaks.
    log = open(os.path.join(root.path, "run/log"), "w+", encoding="utf-8")
    process = processes.start(
        ["chroot", root.path, "setpriv", "--reuid=sallyport", "--regid=sallyport", "--clear-groups",
         "--no-new-privs", *command, "--listen=127.0.0.1:16033", "--admin=127.0.0.1:0",
         "--log_file=", "--max_connections=1000"], stdout=log, stderr=log)
    def said():
        log.seek(0)
        return log.read()
    for _ in range(100):
        if "listening on" in said() or process.poll() is not None:
            break
        time.sleep(0.05)
    report.check("the unit's command serves with the configuration as it comes",
                 "listening on 127.0.0.1:16033" in said(), said())
    report.check("and can be upgraded", os.path.exists(f"{root.path}/run/sallyport/upgrade"))
    with wire.dial(("127.0.0.1", 16033)) as sock:
        report.check("and answers", wire.read_err(sock).code == 2003)  # No server is there.
    report.equal("and stops with 0", processes.stop(process), 0, said())
    os.remove(f"{root.path}/run/log")
    code, output = root.run("/usr/sbin/sallyport", "--check_config", "--config",
                            "/etc/sallyport/sallyport.toml")
    report.check("the configuration is listening to this machine only",
                 code == 0 and re.search(r'^listen = \["127.0.0.1:6033"\]', output, re.MULTILINE),
                 output)
    report.equal("the manual page is one", run("man", "--warnings", "-l",
                                               f"{root.path}/usr/share/man/man8/sallyport.8.gz",
                                               env={"PATH": os.environ["PATH"],
                                                    "MANPAGER": "true"})[0], 0)


def main():
    parser = make_parser(__doc__)
    add_only(parser)
    parser.add_argument("--deb", default=os.path.join(HERE,
                                                      "../../bazel-bin/packaging/sallyport.deb"))
    options = parse(parser)
    if os.geteuid() != 0:
        raise processes.Skipped("only root can mount and install")
    if "SALLYPORT_UNSHARED" not in os.environ:
        os.environ["SALLYPORT_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation=private", sys.executable,
                              *sys.argv])
    report, deb = Report(), os.path.realpath(options.deb)
    with processes.test_folder() as folder:
        try:
            if options.only in "lintian":
                report.attempt("lintian", lintian, report, deb)
            if options.only in "life":
                life(report, deb, folder)
        finally:
            run("umount", "--recursive", os.path.join(folder, "root"))
            run("umount", os.path.join(folder, "t"))
    return report.exit_code()


if __name__ == "__main__":
    processes.run_main(main)
