"""MariaDB and MySQL servers of the test's own, on 127.0.0.1 and a unix socket.

Making a data folder takes ten seconds, so one is kept in the user's cache for each version and set
of accounts, and a test begins with a copy of it. A server runs as the user who runs the test.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess

import accounts
import certificates
import processes
from processes import Skipped

TOOL = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../tools/mysql_root")


def mysql_root(*words):
    """The folder that tools/mysql_root made; makes it, where this user can. `words` are for it."""
    done = subprocess.run([TOOL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode != 0:
        raise Skipped("no programs of sid: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    return done.stdout.strip()


def mysql_program(root, name):
    """The command that runs a program of the MySQL root folder; what `mysql_root --run` does,
    without a shell in between."""
    libraries = os.path.join(root, "usr/lib/x86_64-linux-gnu")
    folder = "usr/sbin" if name == "mysqld" else "usr/bin"
    program = os.path.join(root, folder, name)
    return [os.path.join(libraries, "ld-linux-x86-64.so.2"), "--library-path", libraries,
            "--argv0", program, program]


class Server:
    """One server. `tls` is an (authority, certificate, key) triple, or None for no TLS at all.
    `extra` are more options; `prefix` is put before the command, to run it elsewhere."""

    name = ""

    def __init__(self, folder, tls=None, extra=(), prefix=()):
        self.folder = os.path.join(folder, f"{self.name}-{os.urandom(3).hex()}")
        os.mkdir(self.folder)
        self.port = processes.free_port()
        self.socket = os.path.join(self.folder, "s.sock")
        self.tls = tls
        self.extra = list(extra)
        self.prefix = list(prefix)
        self.process = None

    # What the two servers do differently.
    def version(self):
        raise NotImplementedError

    def accounts(self):
        raise NotImplementedError

    def make_data(self, folder):
        raise NotImplementedError

    def command(self, data, socket, port):
        raise NotImplementedError

    def set_up_sql(self):
        return ("CREATE DATABASE IF NOT EXISTS test;\n"
                + "".join(account.sql() for account in self.accounts()))

    def account(self, user):
        return next(account for account in self.accounts() if account.user == user)

    def template(self):
        """The data folder to copy, made when it is not there yet."""
        recipe = (self.version() + self.set_up_sql()).encode()
        base = os.path.join(processes.cache_folder(), "data")
        os.makedirs(base, exist_ok=True)
        template = os.path.join(base, f"{self.name}-{hashlib.sha256(recipe).hexdigest()[:16]}")
        with open(template + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.isdir(template):
                return template
            making = template + ".making"
            shutil.rmtree(making, ignore_errors=True)
            self.make_data(making)
            socket = os.path.join(self.folder, "set-up.sock")
            self._run(making, socket, 0)
            self._wait(socket)
            try:
                self._sql(socket, self.set_up_sql())
            finally:
                processes.stop(self.process)
            os.rename(making, template)
            return template

    def _run(self, data, socket, port):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = processes.start(
                [*self.prefix, *self.command(data, socket, port), *self.extra],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)

    def _wait(self, socket):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at start:\n{self.log()[-2000:]}")
            return subprocess.run(
                ["mariadb-admin", "--no-defaults", "--user=root", f"--socket={socket}", "ping"],
                capture_output=True, check=False).returncode == 0
        processes.wait_until(ready, 60, f"{self.name} to start")

    def start(self):
        """Returns at once; wait() for it to be ready."""
        data = os.path.join(self.folder, "data")
        subprocess.run(["cp", "-a", "--reflink=auto", self.template(), data], check=True)
        self._run(data, self.socket, self.port)
        return self

    def wait(self):
        self._wait(self.socket)
        return self

    def stop(self):
        if self.process:
            processes.stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.stop()

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def _sql(self, socket, sql):
        done = subprocess.run(
            ["mariadb", "--no-defaults", "--user=root", f"--socket={socket}", "--batch",
             "--skip-column-names"], input=sql, capture_output=True, text=True, check=False,
            timeout=processes.patience(60))
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {done.stderr.strip()}")
        return done.stdout

    def sql(self, sql):
        """Runs SQL as root, by the unix socket; gives the rows as text."""
        return self._sql(self.socket, sql)

    def forget_passwords(self):
        """Empties the cache of caching_sha2_password; the next log-in needs the password."""
        self.sql("FLUSH PRIVILEGES")

    def _common(self, data, socket, port):
        tls = []
        if self.tls:
            authority, certificate, key = self.tls
            tls = [f"--ssl-ca={authority}", f"--ssl-cert={certificate}", f"--ssl-key={key}"]
        return [f"--datadir={data}", f"--socket={socket}", f"--port={port}",
                f"--pid-file={self.folder}/pid", *(["--user=root"] if os.getuid() == 0 else []),
                "--skip-networking" if port == 0 else "--bind-address=127.0.0.1",
                f"--connect-timeout={processes.patience(10):.0f}",  # 10 is both servers' default.
                "--max-allowed-packet=64M", "--max-connections=500", "--local-infile=1",
                "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0",
                "--innodb-doublewrite=OFF", "--skip-log-bin", *tls]


class MariaDB(Server):
    name = "mariadb"

    def version(self):
        return subprocess.run(["mariadbd", "--version"], capture_output=True, text=True,
                              check=True).stdout

    def accounts(self):
        return accounts.mariadb_accounts()

    def set_up_sql(self):
        return "INSTALL SONAME 'auth_ed25519';\n" + super().set_up_sql()

    def make_data(self, folder):
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={folder}",
                        "--auth-root-authentication-method=normal", "--skip-test-db",
                        *(["--user=root"] if os.getuid() == 0 else [])],
                       check=True, capture_output=True)

    def command(self, data, socket, port):
        if not shutil.which("mariadbd"):
            raise Skipped("no MariaDB: mariadbd is not installed")
        # The newer ones reserve addresses, 8 TiB of them, for a pool that may grow; not all kernels
        # have as many.
        return ["mariadbd", "--no-defaults", *self._common(data, socket, port),
                "--innodb-log-file-size=16M", "--loose-innodb-buffer-pool-size-max=32M"]


class MySQL(Server):
    name = "mysql"

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.root = mysql_root()

    def version(self):
        return subprocess.run([*mysql_program(self.root, "mysqld"), "--version"],
                              capture_output=True, text=True, check=True).stdout

    def accounts(self):
        return accounts.mysql_accounts()

    def set_up_sql(self):
        return "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so';\n" + super().set_up_sql()

    def make_data(self, folder):
        subprocess.run([*mysql_program(self.root, "mysqld"), "--no-defaults",
                        "--initialize-insecure", f"--basedir={self.root}/usr",
                        f"--datadir={folder}", "--secure-file-priv=",
                        *(["--user=root"] if os.getuid() == 0 else [])],
                       check=True, capture_output=True)

    def command(self, data, socket, port):
        # An empty list of versions is how MySQL's TLS is turned off; `--skip-ssl` is gone, and
        # without certificates it would make some for itself.
        no_tls = [] if self.tls else ["--tls-version=", "--auto-generate-certs=OFF"]
        return [*mysql_program(self.root, "mysqld"), "--no-defaults",
                f"--basedir={self.root}/usr", *self._common(data, socket, port),
                "--secure-file-priv=", "--mysqlx=OFF", "--innodb-redo-log-capacity=16M", *no_tls]


def server_tls(authority, folder_name="server"):
    """The `tls` triple for a server. RSA, as mysqld makes for itself."""
    certificate, key = authority.issue(folder_name, kind="rsa")
    return authority.ca, certificate, key


def new_authority(folder, name="sallyport test authority"):
    return certificates.Authority(folder, name)
