"""The clients: how each is made ready and started, and what it can do. See clients/README.md."""

import fcntl
import hashlib
import os
import shutil
import subprocess

import accounts
import processes
import servers

HERE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "clients")
CONNECTOR_J = "/usr/share/java/mariadb-java-client.jar"
GO_DRIVER = "/usr/share/gocode/src/github.com/go-sql-driver/mysql"

# -S -E: it needs nothing but the standard library, and so starts faster.
COMMAND_LINE = ["/usr/bin/python3", "-S", "-E", os.path.join(HERE, "command_line.py")]

BASIC = ("login", "read", "write", "wrong_password")


def _made(name, sources, make):
    """A folder in the user's cache that make(folder) has filled; another when a source changes."""
    recipe = hashlib.sha256()
    for source in sources:
        with open(source, "rb") as file:
            recipe.update(file.read())
    base = os.path.join(processes.cache_folder(), "clients")
    os.makedirs(base, exist_ok=True)
    folder = os.path.join(base, f"{name}-{recipe.hexdigest()[:16]}")
    with open(os.path.join(base, f"{name}.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(folder):
            making = folder + ".making"
            shutil.rmtree(making, ignore_errors=True)
            os.mkdir(making)
            make(making)
            os.rename(making, folder)
    return folder


def _run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode != 0:
        raise processes.Skipped(f"{command[0]} failed: {done.stdout.strip()[-400:]}")


def _need(*programs):
    for program in programs:
        if not (os.path.exists(program) if "/" in program else shutil.which(program)):
            raise processes.Skipped(f"{program} is not installed")


def _script(interpreter, file, *options):
    def prepare():
        _need(interpreter)
        return [interpreter, *options, os.path.join(HERE, file)]
    return prepare


def _pymysql():
    try:
        import pymysql  # pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        raise processes.Skipped("python3-pymysql is not installed") from None
    return ["/usr/bin/python3", os.path.join(HERE, "pymysql_client.py")]


def _mariadb_command_line():
    _need("mariadb")
    return [*COMMAND_LINE, "mariadb"]


def _mysql_command_line(*options):
    def prepare():
        root = servers.mysql_root()
        return [*COMMAND_LINE, *servers.mysql_program(root, "mysql"), "--",
                f"--plugin-dir={root}/usr/lib/mysql/plugin", *options]
    return prepare


def _node(file):
    def prepare():
        _need("node", "npm")
        names = [os.path.join(HERE, "node", name) for name in
                 ("package.json", "package-lock.json", ".npmrc")]

        def make(folder):
            for name in names:
                shutil.copy(name, folder)
            _run(["npm", "ci", "--ignore-scripts"], cwd=folder)
        folder = _made("node", names, make)
        # NODE_PATH, because the packages do not lie beside the programs.
        return ["env", f"NODE_PATH={folder}/node_modules", "node", os.path.join(HERE, "node", file)]
    return prepare


def _connector_j():
    _need("java", "javac", CONNECTOR_J)
    source = os.path.join(HERE, "ConnectorJ.java")
    folder = _made("java", [source],
                   lambda folder: _run(["javac", "-cp", CONNECTOR_J, "-d", folder, source]))
    return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp",
            f"{CONNECTOR_J}:{folder}", "ConnectorJ"]


def _go():
    _need("go", GO_DRIVER)
    source = os.path.join(HERE, "go_client.go")
    environment = dict(
        os.environ, GOPATH="/usr/share/gocode", GO111MODULE="off", GOFLAGS="",
        GOCACHE=os.path.join(processes.cache_folder(), "go-build"))
    folder = _made("go", [source], lambda folder: _run(
        ["go", "build", "-o", os.path.join(folder, "go_client"), source], env=environment))
    return [os.path.join(folder, "go_client")]


class Client:
    """`prepare()` gives the command, or raises Skipped. `default_auth` tells whether it can be told
    which plugin to begin with."""

    def __init__(self, name, title, prepare, operations=BASIC, default_auth=False):
        self.name = name
        self.title = title
        self.prepare = prepare
        self.operations = operations
        self.default_auth = default_auth
        self.command = None

    def run(self, operation, address, account, tls_ca=None, second=None, timeout=60, **more):
        """Gives (ok, what it printed). `address` is (host, port) or the path of a unix socket;
        `more` are words for it."""
        timeout = processes.patience(timeout)
        words = [f"operation={operation}", f"user={account.user}"]
        if isinstance(address, str):
            words.append(f"socket={address}")
        else:
            words += [f"host={address[0]}", f"port={address[1]}"]
        words += ["tls=verify", f"ca={tls_ca}"] if tls_ca else ["tls=off"]
        words += [f"{name}={value}" for name, value in more.items()]
        if account.default_auth:
            words.append(f"plugin={account.default_auth}")
        environment = dict(os.environ, SALLYPORT_PASSWORD=account.password)
        if second:
            words.append(f"second_user={second.user}")
            environment["SALLYPORT_SECOND_PASSWORD"] = second.password
        try:
            done = subprocess.run([*self.command, *words], env=environment, check=False,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  errors="replace", timeout=timeout)
        except subprocess.TimeoutExpired:
            return False, f"hangs ({timeout} s)"
        text = done.stdout.strip() or f"exit code {done.returncode}: {done.stderr.strip()[-300:]}"
        return done.returncode == 0 and text.startswith("ok "), text


INFILE = (*BASIC, "local_infile")
ALL = (*INFILE, "change_user")

CLIENTS = [
    Client("mariadb", "mariadb command line", _mariadb_command_line, INFILE, default_auth=True),
    Client("mysql", "mysql command line", _mysql_command_line(), INFILE, default_auth=True),
    Client("mysql-zlib", "mysql, zlib", _mysql_command_line("--compression-algorithms=zlib"),
           INFILE, default_auth=True),
    Client("mysql-zstd", "mysql, zstd", _mysql_command_line("--compression-algorithms=zstd"),
           INFILE, default_auth=True),
    Client("pymysql", "PyMySQL", _pymysql, INFILE),
    Client("node-mysql2", "mysql2 (Node.js)", _node("mysql2_client.js"), ALL),
    # Its changeUser hangs on MariaDB 10.11, and refuses MySQL for a bug of that server's.
    Client("node-mariadb", "mariadb (Node.js)", _node("mariadb_client.js"), INFILE),
    Client("php", "PHP mysqli",
           _script("php", "mysqli_client.php", "-d", "mysqli.allow_local_infile=1"), ALL),
    Client("perl", "Perl DBD::MariaDB", _script("perl", "dbd_mariadb_client.pl"), INFILE),
    Client("ruby", "Ruby mysql2", _script("ruby", "mysql2_client.rb"), INFILE),
    Client("connector-j", "MariaDB Connector/J", _connector_j, INFILE),
    Client("go", "go-sql-driver", _go, INFILE),
]

NAMES = accounts.CLIENT_NAMES
assert NAMES == tuple(client.name for client in CLIENTS)


def ready(names=None):
    """The clients that can run here; says aloud which cannot, and why."""
    found = []
    for client in CLIENTS:
        if names and client.name not in names:
            continue
        try:
            client.command = client.prepare()
            found.append(client)
        except processes.Skipped as reason:
            print(f"SKIPPED: client {client.name}: {reason}")
    return found
