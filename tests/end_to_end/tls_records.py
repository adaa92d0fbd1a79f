"""TLS records as no library would send them: made with the keys of a client's finished handshake.

The handshake is OpenSSL's, which tells its secrets to a key log; from there on the records are
ours: of any type, empty, too long, damaged, of a message that nobody may send.
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24
CLIENT_HELLO, NEW_SESSION_TICKET, KEY_UPDATE = 1, 4, 24
WARNING, FATAL = 1, 2
ALERTS = {"close_notify": 0, "unexpected_message": 10, "bad_record_mac": 20, "record_overflow": 22,
          "handshake_failure": 40, "illegal_parameter": 47, "decode_error": 50,
          "decrypt_error": 51, "protocol_version": 70, "internal_error": 80, "user_canceled": 90,
          "no_renegotiation": 100, "missing_extension": 109}


def clear_record(kind, data, version=0x0301):
    return struct.pack(">BHH", kind, version, len(data)) + data


def message(kind, body=b""):
    """A handshake message."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def alert(name, level=FATAL):
    return bytes([level, ALERTS[name]])


def alert_name(number):
    return next((name for name, value in ALERTS.items() if value == number), str(number))


def count_records(data):
    count = at = 0
    while at < len(data):
        count += 1
        at += 5 + int.from_bytes(data[at + 3:at + 5], "big")
    return count


def _expand_label(secret, label, length, digest):
    name = b"tls13 " + label
    info = struct.pack(">HB", length, len(name)) + name + b"\0"
    return HKDFExpand(digest, length, info).derive(secret)


def _prf(secret, seed, length):
    """P_SHA256 of TLS 1.2."""
    out, block = b"", seed
    while len(out) < length:
        block = hmac.digest(secret, block, hashlib.sha256)
        out += hmac.digest(secret, block + seed, hashlib.sha256)
    return out[:length]


class Forger:
    """Makes the records that follow the `sequence` that the library has sent. Afterwards the
    library must send nothing more. Ciphers: AES-GCM, in TLS 1.2 AES-128 with SHA-256."""

    def __init__(self, key_log, cipher, server_random, sequence):
        secrets = {line.split()[0]: bytes.fromhex(line.split()[2])
                   for line in key_log.splitlines() if not line.startswith("#")}
        self.is_13 = "CLIENT_TRAFFIC_SECRET_0" in secrets
        if self.is_13:
            self.digest = hashes.SHA384() if cipher.endswith("384") else hashes.SHA256()
            self.key_size = 32 if "256_GCM" in cipher else 16
            self._use(secrets["CLIENT_TRAFFIC_SECRET_0"])
        else:
            client_random = bytes.fromhex(
                next(line.split()[1] for line in key_log.splitlines()
                     if line.startswith("CLIENT_RANDOM")))
            block = _prf(secrets["CLIENT_RANDOM"],
                         b"key expansion" + server_random + client_random, 40)
            self.aead, self.iv = AESGCM(block[:16]), block[32:36]
        self.sequence = sequence

    def _use(self, secret):
        self.secret = secret
        self.aead = AESGCM(_expand_label(secret, b"key", self.key_size, self.digest))
        self.iv = _expand_label(secret, b"iv", 12, self.digest)

    def update(self):
        """Goes over to the keys that follow a KeyUpdate; TLS 1.3."""
        self._use(_expand_label(self.secret, b"traffic upd", self.digest.digest_size, self.digest))
        self.sequence = 0

    def record(self, kind, data, damage=False):
        sequence = struct.pack(">Q", self.sequence)
        self.sequence += 1
        if self.is_13:
            inner = data + bytes([kind])
            header = struct.pack(">BHH", APPLICATION_DATA, 0x0303, len(inner) + 16)
            nonce = bytes(a ^ b for a, b in zip(self.iv, bytes(4) + sequence))
            sealed = self.aead.encrypt(nonce, inner, header)
        else:
            additional = sequence + struct.pack(">BHH", kind, 0x0303, len(data))
            sealed = sequence + self.aead.encrypt(self.iv + sequence, data, additional)
            header = struct.pack(">BHH", kind, 0x0303, len(sealed))
        if damage:
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        return header + sealed
