#!/usr/bin/python3
"""Prints the tables of write_keys_test.cc: what OpenSSL, as a server, derived and sent.

    tests/tls/write_keys_vectors.py        other bytes each time

A client and a server of Python's ssl module (OpenSSL) are joined in memory, for each cipher and
version. OpenSSL's key log gives the traffic secret, or TLS 1.2's master secret, from which the key
block is computed here by RFC 5246, 5. The record is the server's third with data, as it was sent.
Then the same after the server's KeyUpdate, with the first traffic secret all the same.
"""

import ctypes
import hmac
import os
import ssl
import subprocess
import sys
import tempfile

# Our name, version, OpenSSL's cipher, hash, bytes of the key block.
SUITES = [
    ("kAes128Gcm", "1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", "sha256", 40),
    ("kAes256Gcm", "1.2", "ECDHE-ECDSA-AES256-GCM-SHA384", "sha384", 72),
    ("kChaCha20Poly1305", "1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", "sha256", 88),
    ("kAes128Gcm", "1.3", "TLS_AES_128_GCM_SHA256", "sha256", 0),
    ("kAes256Gcm", "1.3", "TLS_AES_256_GCM_SHA384", "sha384", 0),
    ("kChaCha20Poly1305", "1.3", "TLS_CHACHA20_POLY1305_SHA256", "sha256", 0),
]
# Python can't choose among the ciphers of TLS 1.3; OpenSSL's configuration can.
CONFIGURATION = """openssl_conf = start
[start]
ssl_conf = ssl
[ssl]
system_default = suites
[suites]
Ciphersuites = {}
"""


def prf(secret, label, seed, size, name):
    """TLS 1.2's P_hash."""
    out, a = b"", label + seed
    while len(out) < size:
        a = hmac.digest(secret, a, name)
        out += hmac.digest(secret, a + label + seed, name)
    return out[:size]


def records_of(data):
    found = []
    while data:
        end = 5 + int.from_bytes(data[3:5], "big")
        found.append(data[:end])
        data = data[end:]
    return found


def update_keys(server):
    """What Python can't: it has the SSL* behind an object's head and one more pointer."""
    library = ctypes.CDLL("libssl.so.3")
    ssl_at = id(server._sslobj) + 3 * ctypes.sizeof(ctypes.c_void_p)  # pylint: disable=W0212
    pointer = ctypes.c_void_p.from_address(ssl_at)
    assert library.SSL_key_update(pointer, 0) == 1 and library.SSL_do_handshake(pointer) == 1


def talk(folder, version, cipher, update):
    """(the key log's words, all that the server sent, its third record with data)"""
    exact = getattr(ssl.TLSVersion, "TLSv1_" + version[-1])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(os.path.join(folder, "cert"), os.path.join(folder, "key"))
    server.num_tickets = 0
    server.keylog_filename = os.path.join(folder, "log")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for context in (server, client):
        context.minimum_version = context.maximum_version = exact
        if version == "1.2":
            context.set_ciphers(cipher)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    sent, kept, waiting = b"", down.write, list(ends)
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
            if end is ends[1]:
                more = down.read()
                sent += more
                kept(more)
    assert ends[0].cipher()[0] == cipher
    if update:
        ends[1].write(b"zero")
        update_keys(ends[1])
    down.read()
    for text in (b"one", b"two", b"The third record."):
        ends[1].write(text)
    with open(server.keylog_filename, encoding="ascii") as log:
        words = [line.split() for line in log if not line.startswith("#")]
    return words, sent, records_of(down.read())[2]


def vector(suite, update):
    aead, version, cipher, name, size = suite
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-subj", "/CN=x", "-keyout", folder + "/key", "-out", folder + "/cert"],
            check=True, capture_output=True)
        words, sent, record = talk(folder, version, cipher, update)
    if version == "1.3":
        secret, = [w[2] for w in words if w[0] == "SERVER_TRAFFIC_SECRET_0"]
    else:
        _, client_random, master = next(w for w in words if w[0] == "CLIENT_RANDOM")
        server_random = records_of(sent)[0][11:43]
        secret = prf(bytes.fromhex(master), b"key expansion",
                     server_random + bytes.fromhex(client_random), size, name).hex()
    # Sequence numbers begin with the keys: TLS 1.2's Finished has the first.
    sequence = 2 if version == "1.3" else 3
    print(f"    {{Aead::{aead}, {str(version == '1.3').lower()}, EVP_{name}, {sequence},"
          if not update else f"    {{Aead::{aead}, EVP_{name},")
    for text in (secret, record.hex()):
        parts = [text[at:at + 88] for at in range(0, len(text), 88)]
        print("\n".join(f'     "{part}"' for part in parts) + ("}," if text != secret else ","))


def main():
    if len(sys.argv) > 1:
        vector(SUITES[int(sys.argv[1])], len(sys.argv) > 2)
        return
    runs = [(str(number),) for number in range(len(SUITES))]
    runs += [(str(number), "update") for number, suite in enumerate(SUITES) if suite[1] == "1.3"]
    for run in runs:
        cipher = SUITES[int(run[0])][2]
        with tempfile.NamedTemporaryFile("w") as file:
            if cipher.startswith("TLS_"):
                file.write(CONFIGURATION.format(cipher))
                file.flush()
            subprocess.run([sys.executable, __file__, *run], check=True,
                           env=dict(os.environ, OPENSSL_CONF=file.name))


if __name__ == "__main__":
    main()
