"""A real MariaDB, and sysbench as its load."""

import os
import pathlib
import re
import shutil
import subprocess
import time

from compare_lib.certs import Certificate
from compare_lib.load import Metrics
from compare_lib.process import Failed, Process, cpu_seconds, free_port
from compare_lib.targets import Target

USER = "bench"
PASSWORD = "bench"
DATABASE = "sbtest"
ROWS = 100_000


def available() -> bool:
    needed = ("mariadbd", "mariadb-install-db", "mariadb", "sysbench")
    return all(shutil.which(program) for program in needed)


class MariaDB:
    """Started in a folder of its own, with TLS for those who ask for it."""

    def __init__(self, folder: pathlib.Path, certificate: Certificate, rows: int) -> None:
        self.port = free_port()
        data = folder / "mariadb"
        user = ["--user=root"] if os.geteuid() == 0 else []
        made = subprocess.run(
            ["mariadb-install-db", "--no-defaults", *user, f"--datadir={data}", "--skip-test-db",
             "--auth-root-authentication-method=normal"], capture_output=True, text=True)
        if made.returncode != 0:
            raise Failed(f"mariadb-install-db: {made.stderr}")
        socket = folder / "mariadb.sock"
        self.process = Process("mariadb", [
            "mariadbd", "--no-defaults", *user, f"--datadir={data}", f"--socket={socket}",
            f"--pid-file={folder}/mariadb.pid", "--bind-address=127.0.0.1", f"--port={self.port}",
            "--skip-name-resolve", "--max-connections=2000", "--innodb-buffer-pool-size=256M",
            # sysbench shows a certificate of its own, so the server wants to know whom to trust.
            f"--ssl-ca={certificate.certificate}", f"--ssl-cert={certificate.certificate}",
            f"--ssl-key={certificate.key}"], folder)
        self.process.wait_for_port(self.port)
        subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={socket}", "--user=root", "-e",
             f"CREATE DATABASE {DATABASE}; CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';"
             f"GRANT ALL ON {DATABASE}.* TO {USER}@'%'"], check=True, capture_output=True)
        done = subprocess.run(_sysbench(self.port, rows) + ["prepare"], capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise Failed(f"sysbench prepare: {done.stdout}{done.stderr}")

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        self.process.stop()


def _sysbench(port: int, rows: int) -> list[str]:
    return ["sysbench", "oltp_point_select", "--db-driver=mysql", "--mysql-host=127.0.0.1",
            f"--mysql-port={port}", f"--mysql-user={USER}", f"--mysql-password={PASSWORD}",
            f"--mysql-db={DATABASE}", "--tables=1", f"--table-size={rows}"]


def _tls_folder(folder: pathlib.Path, certificate: Certificate) -> pathlib.Path:
    """sysbench reads three files with these names where it stands."""
    made = folder / "sysbench"
    if not made.exists():
        made.mkdir()
        for name in "cacert.pem", "client-cert.pem":
            shutil.copy(certificate.certificate, made / name)
        shutil.copy(certificate.key, made / "client-key.pem")
    return made


def run(target: Target, arguments: list[str], seconds: float, rows: int, folder: pathlib.Path,
        certificate: Certificate) -> Metrics:
    """One run of sysbench through `target`. CPU is the target's over the whole run."""
    command = _sysbench(target.port, rows) + arguments + ["--percentile=99"]
    # sysbench knows whole seconds only.
    command += [f"--time={max(1, round(seconds))}", "run"]
    cpu = cpu_seconds(target.pid)
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True,
                          cwd=_tls_folder(folder, certificate))
    spent = cpu_seconds(target.pid) - cpu
    queries = re.search(r"queries:\s+(\d+)\s+\(([\d.]+) per sec", done.stdout)
    if done.returncode != 0 or queries is None:
        fatal = re.search(r"FATAL: error.*", done.stdout + done.stderr)
        raise Failed(f"sysbench: {fatal.group() if fatal else done.stderr}")
    percentile = re.search(r"99th percentile:\s+([\d.]+)", done.stdout)
    return {"per_s": float(queries.group(2)), "cpu_us": spent * 1e6 / int(queries.group(1)),
            "p99": float(percentile.group(1)) if percentile else 0.0,
            "seconds": time.monotonic() - start}
