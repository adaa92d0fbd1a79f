"""Certificates for one test: an authority, a pair for the proxy or a server, and bad ones.

Made with python3-cryptography and not with the openssl command, whose Debian 12 version cannot
make a certificate that has already expired.
"""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def new_key(kind="ec"):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject, issuer, key, first, last):
    return (x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer))
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(first).not_valid_after(last))


def _write(path, content, mode=0o600):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    return path


def _key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Authority:
    """A certificate authority whose files lie in `folder`; `ca` is the path for clients."""

    def __init__(self, folder, name="sallyport test authority"):
        self.folder = folder
        self.name = name
        self.key = new_key()
        now = datetime.datetime.utcnow()
        certificate = (
            _builder(name, name, self.key, now - DAY, now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256()))
        self.ca = _write(os.path.join(folder, f"{name.replace(' ', '-')}.pem"),
                         certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def issue(self, name, kind="ec", first=-1, last=30, dns=("localhost",)):
        """Writes NAME.crt and NAME.key for 127.0.0.1 and the names, valid from day `first` to day
        `last` counted from today; gives the two paths."""
        # CN repeats the address, because old drivers look only there.
        return self._issue(name, "127.0.0.1", ExtendedKeyUsageOID.SERVER_AUTH, [
            *(x509.DNSName(each) for each in dns),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1"))], kind, first, last)

    def issue_client(self, common_name, last=30, dns=(), emails=()):
        """Likewise CLIENT-CN.crt and .key for a client."""
        return self._issue(f"client-{common_name}", common_name, ExtendedKeyUsageOID.CLIENT_AUTH,
                           [*(x509.DNSName(each) for each in dns),
                            *(x509.RFC822Name(each) for each in emails)], "ec", -2, last)

    def revoke(self, *pairs, name="revoked", last=30):
        """Writes NAME.crl, a list of these pairs' certificates; gives its path."""
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateRevocationListBuilder().issuer_name(_name(self.name))
                   .last_update(now - 2 * DAY).next_update(now + last * DAY))
        for certificate, _ in pairs:
            with open(certificate, "rb") as file:
                number = x509.load_pem_x509_certificate(file.read()).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(number)
                .revocation_date(now - DAY).build())
        return _write(os.path.join(self.folder, f"{name}.crl"),
                      builder.sign(self.key, hashes.SHA256()).public_bytes(
                          serialization.Encoding.PEM), 0o644)

    def _issue(self, name, common_name, usage, alternatives, kind, first, last):
        key = new_key(kind)
        now = datetime.datetime.utcnow()
        builder = (
            _builder(common_name, self.name, key, now + first * DAY, now + last * DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False))
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return (_write(os.path.join(self.folder, f"{name}.crt"),
                       certificate.public_bytes(serialization.Encoding.PEM), 0o644),
                _write(os.path.join(self.folder, f"{name}.key"), _key_pem(key)))
