"""What is measured: how each is started, and how it is spoken to."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
from collections.abc import Sequence

from compare_lib.certs import Certificate
from compare_lib.process import Process, free_port


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a started target is to stand in front of, and how."""
    folder: pathlib.Path
    certificate: Certificate
    server_port: int
    server_pid: int
    connections_max: int
    cpu: int | None  # The one CPU that it gets, with one worker; None: all, and a worker each.

    @property
    def threads(self) -> int:
        return 1 if self.cpu is not None else os.cpu_count() or 1


class Target:
    """One way to reach the server. `tls` and `plain` say how load may speak to it."""

    name = ""
    about = ""
    tls: str | None = "mysql"  # load's --tls; None: it has no TLS.
    plain: bool = True

    def __init__(self) -> None:
        self.process: Process | None = None
        self.port = 0
        self.pid = 0

    def start(self, setup: Setup) -> None:
        self.port = free_port()
        self.process = Process(self.name, self.command(setup), setup.folder, setup.cpu)
        self.process.wait_for_port(self.port)
        self.pid = self.process.pid

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None

    def command(self, setup: Setup) -> list[str]:
        raise NotImplementedError


class Direct(Target):
    """No proxy at all: what the server and the load cost by themselves."""

    name = "direct"
    about = "no proxy"
    tls = None

    def start(self, setup: Setup) -> None:
        self.port = setup.server_port
        self.pid = setup.server_pid


class DirectTls(Direct):
    """In front of a server that has TLS itself."""

    tls = "mysql"


class External(Target):
    """Somebody else's process, from --target name=host:port,pid."""

    about = "given with --target"

    def __init__(self, name: str, address: str, pid: int) -> None:
        super().__init__()
        self.name = name
        self.address = address
        self.external_pid = pid

    def start(self, setup: Setup) -> None:
        host, _, port = self.address.rpartition(":")
        if host not in ("127.0.0.1", "localhost"):
            raise ValueError(f"--target {self.name}: only 127.0.0.1 is ever spoken to")
        self.port = int(port)
        self.pid = self.external_pid


class Sallyport(Target):
    def __init__(self, binary: pathlib.Path, engine: str, name: str = "sallyport",
                 flags: Sequence[str] = ()) -> None:
        super().__init__()
        self.binary = binary
        self.engine = engine
        self.flags = flags  # After all others, so that they win.
        self.name = name if engine == "io_uring" else f"{name}-{engine}"
        self.about = " ".join(["this proxy,", f"--io_engine={engine}", *flags])

    def command(self, setup: Setup) -> list[str]:
        return [str(self.binary), f"--listen=127.0.0.1:{self.port}",
                f"--server=127.0.0.1:{setup.server_port}", f"--io_engine={self.engine}",
                f"--workers={setup.threads}", "--admin=", "--shutdown_timeout=0",
                f"--max_connections={setup.connections_max}",
                f"--tls_cert={setup.certificate.certificate}",
                f"--tls_key={setup.certificate.key}", *self.flags]


class HAProxy(Target):
    """Plain TCP, which knows neither MySQL nor its TLS."""

    name = "haproxy"
    about = "HAProxy, TCP mode"
    tls = None
    options = "  option splice-auto"
    bind = ""

    def command(self, setup: Setup) -> list[str]:
        path = setup.folder / f"{self.name}.cfg"
        bind = self.bind.format(pem=setup.certificate.both)
        path.write_text(f"""\
global
  maxconn {setup.connections_max}
  # Its default is a quarter of maxconn, two files each, which may be more than is allowed here.
  maxpipes 64
  nbthread {setup.threads}
  tune.ssl.default-dh-param 2048
  # The cipher that the others use: OpenSSL's own first choice costs more.
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
defaults
  mode tcp
  timeout connect 30s
  timeout client 1h
  timeout server 1h
{self.options}
listen proxy
  bind 127.0.0.1:{self.port} backlog 4096 {bind}
  server server 127.0.0.1:{setup.server_port}
""", encoding="ascii")
        return ["haproxy", "-db", "-f", str(path)]


class HAProxySplice(HAProxy):
    """With splicing forced: it is HAProxy's best for bulk. (Under splice-auto, HAProxy 2.6 never
    found this bulk worth splicing: 0.7 s/GB, as without.)"""

    name = "haproxy-splice"
    about = "HAProxy, TCP mode, options splice-request and splice-response"
    options = "  option splice-request\n  option splice-response"


class HAProxyTls(HAProxy):
    """A TLS terminator: for it the load starts TLS before the greeting."""

    name = "haproxy-tls"
    about = "HAProxy, TLS terminator (TLS before the greeting)"
    tls = "direct"
    plain = False
    bind = "ssl crt {pem}"


class Router(Target):
    name = "router"
    about = "MySQL Router, classic protocol, TLS ends there"

    def __init__(self, root: pathlib.Path) -> None:
        super().__init__()
        self.root = root

    def command(self, setup: Setup) -> list[str]:
        # A new folder each time: the port of the last one must not be found in it.
        folder = setup.folder / f"router-{self.port}"
        folder.mkdir()
        config = folder / "router.conf"
        config.write_text(f"""\
[DEFAULT]
logging_folder={folder}
data_folder={folder}
runtime_folder={folder}
plugin_folder={self.root}/usr/lib/mysqlrouter/plugin
max_total_connections={setup.connections_max}
[logger]
level=WARNING
[io]
threads={setup.threads}
[routing:bench]
bind_address=127.0.0.1
bind_port={self.port}
destinations=127.0.0.1:{setup.server_port}
routing_strategy=first-available
protocol=classic
max_connections={setup.connections_max}
max_connect_errors=4294967295
connection_sharing=0
client_ssl_mode=PREFERRED
client_ssl_cert={setup.certificate.certificate}
client_ssl_key={setup.certificate.key}
server_ssl_mode=DISABLED
""", encoding="ascii")
        # As `mysql_root --run` does it, plus the folder of Router's own libraries.
        loader = next(self.root.glob("usr/lib/*-linux-gnu/ld-linux-*.so.*"))
        libraries = f"{loader.parent}:{self.root}/usr/lib/mysql-router"
        return [str(loader), "--library-path", libraries, str(self.root / "usr/bin/mysqlrouter"),
                f"--config={config}"]


def find_router(tool: pathlib.Path) -> Router | None:
    """MySQL Router in the folder that tools/mysql_root makes, when that was made."""
    if not tool.exists():
        return None
    found = subprocess.run([str(tool), "--path"], capture_output=True, text=True)
    if found.returncode != 0:
        return None
    root = pathlib.Path(found.stdout.strip())
    return Router(root) if (root / "usr/bin/mysqlrouter").exists() else None


def has_haproxy() -> bool:
    return shutil.which("haproxy") is not None
