"""Certificates for a run, by openssl."""

import dataclasses
import pathlib
import subprocess

_KEYS = {
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-newkey", "rsa:2048"],
}


@dataclasses.dataclass(frozen=True)
class Certificate:
    certificate: pathlib.Path
    key: pathlib.Path
    both: pathlib.Path  # In one file, as HAProxy wants them.


def make(folder: pathlib.Path) -> dict[str, Certificate]:
    """One self-signed certificate of each kind, for localhost."""
    certificates = {}
    for kind, options in _KEYS.items():
        made = Certificate(folder / f"{kind}.crt", folder / f"{kind}.key", folder / f"{kind}.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *options,
             "-keyout", made.key, "-out", made.certificate], check=True, capture_output=True)
        made.both.write_bytes(made.certificate.read_bytes() + made.key.read_bytes())
        certificates[kind] = made
    return certificates
