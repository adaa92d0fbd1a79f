#!/usr/bin/python3
"""Makes the seed corpora: real clients, the proxy and real servers talk, and what they say becomes
inputs of the fuzz targets.

    tests/fuzz/capture.py --proxy bazel-bin/proxy/server

Two recorders stand on the wire. The one between client and proxy ends the client's TLS and opens
its own towards the proxy, so that it sees what the client says inside; the one between proxy and
server relays. Inputs that the fuzzers found stay where they are (corpus/*/found_*); the others are
written anew. All passwords, keys and names in them are the tests' own.
"""

import datetime
import os
import select
import shutil
import socket
import ssl
import struct
import sys
import threading

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "../end_to_end"))

# pylint: disable=wrong-import-position
import clients
import mysql_wire as wire
import processes
import servers
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from options import make_parser, parse
from proxy import Proxy

CORPUS = os.path.join(HERE, "corpus")
CLIENTS = ["mariadb", "mysql", "php", "go"]
INPUT_SIZE_MAX = 1000  # Of one conversation: the log-in is at its front.

CLIENT_SAYS, SERVER_SAYS, STARTS_TLS = 0, 2, 4  # Steps of session_fuzz.cc.


class Conversation:
    """One connection, as both recorders saw it: a list of (step, bytes)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.steps = []
        self.client_hello = b""

    def add(self, step, data=b""):
        with self.lock:
            if self.steps and self.steps[-1][0] == step:
                data = self.steps.pop()[1] + data
            self.steps.append((step, data))

    def said(self, step):
        return b"".join(data for kind, data in self.steps if kind == step)

    def script(self, links=0):
        """The input of session_fuzz."""
        script = bytes([links, 1])
        for step, data in self.steps:
            script += bytes([step])
            if step != STARTS_TLS:
                script += struct.pack("<H", len(data)) + data
        return script[:INPUT_SIZE_MAX]


def relay(sides, record):
    """Both directions of one connection, until one ends. `sides` is (client, server), `record` what
    to do with what each says. One thread, since a TLS socket must not be used by two at once."""
    while True:
        ready = select.select(sides, [], [], 60)[0]
        if not ready:
            break
        for sock in ready:
            number = sides.index(sock)
            sock.settimeout(0)
            try:
                data = sock.recv(65536)
                while isinstance(sock, ssl.SSLSocket) and sock.pending():
                    data += sock.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                continue
            except OSError:
                data = b""
            if not data:
                for side in sides:
                    side.close()
                return
            record[number](data)
            sides[1 - number].settimeout(30)
            sides[1 - number].sendall(data)


class Recorder:
    """Listens; each connection is relayed to `target` by handle(client, server)."""

    def __init__(self, target, handle):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = target
        self.handle = handle
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.handle, args=(client, server), daemon=True).start()


class Wiretap:
    """Both recorders and what they record into."""

    def __init__(self, server_port, pair):
        self.conversation = Conversation()
        self.pair = pair
        self.server_side = Recorder(server_port, self._between_proxy_and_server)
        self.client_side = None

    def watch_clients(self, proxy_port):
        self.client_side = Recorder(proxy_port, self._between_client_and_proxy)

    def begin(self):
        self.conversation = Conversation()
        return self.conversation

    def _between_proxy_and_server(self, proxy, server):
        conversation = self.conversation
        relay((proxy, server), (lambda _: None, lambda data: conversation.add(SERVER_SAYS, data)))

    def _between_client_and_proxy(self, client, proxy):
        conversation = self.conversation
        number, payload = wire.read_packet(proxy)
        client.sendall(wire.packet(number, payload))
        number, payload = wire.read_packet(client)
        proxy.sendall(wire.packet(number, payload))
        if len(payload) == 32:
            conversation.add(STARTS_TLS)
            conversation.client_hello = client.recv(4096, socket.MSG_PEEK)
            inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            inside.load_cert_chain(*self.pair)
            client = inside.wrap_socket(client, server_side=True)
            outside = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            outside.check_hostname = False
            outside.verify_mode = ssl.CERT_NONE
            proxy = outside.wrap_socket(proxy)
        else:
            conversation.add(CLIENT_SAYS, wire.packet(number, payload))
        relay((client, proxy), (lambda data: conversation.add(CLIENT_SAYS, data), lambda _: None))


def packets(stream):
    """The payloads of the whole packets in a stream."""
    while len(stream) >= 4:
        size = int.from_bytes(stream[:3], "little")
        if len(stream) < 4 + size:
            return
        yield stream[4:4 + size]
        stream = stream[4 + size:]


def write(target, name, data):
    folder = os.path.join(CORPUS, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def write_conversation(name, conversation):
    """The inputs of all targets that a conversation has something for."""
    write("session_fuzz", name, conversation.script())
    said = list(packets(conversation.said(CLIENT_SAYS)))
    answered = list(packets(conversation.said(SERVER_SAYS)))
    if conversation.client_hello and name.endswith("empty_tls"):
        write("engine_fuzz", name, b"\0" + conversation.client_hello)
    write("handshake_response_fuzz", name, b"\x04abcd" + said[0])
    for payload in said:
        if payload[:1] == b"\x11":
            write("change_user_fuzz", name, said[0][:4] + b"\x04abcd" + payload)
    write("wire_fuzz", name, bytes([6, 5, 4, 3, 2, 0x46, 4, 0, 1, 7, 0, 0, 0, 1]) + said[0][32:])
    if name.endswith(("native_tls", "cold_tls")):
        write("greeting_fuzz", name, answered[0])
        write("assembler_fuzz", name, b"\0\4\x02\x30\x05" + conversation.said(SERVER_SAYS)[:400])
    for number, payload in enumerate(answered[1:4]):
        if payload[:1] in b"\x01\xfe\xff" and len(payload) < 600:
            write("server_auth_fuzz", f"{name}_{number}", payload)
        if payload.startswith(b"\x01-----BEGIN") and name.endswith("tls"):
            write("rsa_password_fuzz", name, b"\0" + payload[1:])


def capture(server, tap, found, ca):
    """Each kind of account by each client, over TLS and without."""
    for client in found:
        for account in server.accounts():
            cold = account.cold and account.user.endswith(client.name)
            if (account.unix_only or account.require or account.user == "second"
                    or account.cold and not cold
                    or account.default_auth and not client.default_auth):
                continue
            user = "cold" if cold else account.user
            for tls in (True, False):
                if cold:
                    server.forget_passwords()
                name = f"{server.name}_{client.name}_{user}_{'tls' if tls else 'plain'}"
                run(client, "login", tap, account, ca if tls else None, name)
        first = server.account("native" if server.name == "mariadb" else "warm")
        for operation in ("change_user", "local_infile", "wrong_password"):
            if operation in client.operations:
                server.forget_passwords()
                run(client, operation, tap, first, ca, f"{server.name}_{client.name}_{operation}",
                    server.account("second"))


def run(client, operation, tap, account, ca, name, second=None):
    conversation = tap.begin()
    ok, text = client.run(operation, ("127.0.0.1", tap.client_side.port), account, ca, second)
    if not conversation.said(CLIENT_SAYS):
        print(f"{name}: nothing was said: {text}")
        return
    print(f"{name}: {'ok' if ok else text}")
    write_conversation(name, conversation)


def certificate_inputs():
    """Certificates that are valid when the target looks, 2026-01-01, and their keys."""
    kinds = {"ecdsa": ec.generate_private_key(ec.SECP256R1()),
             "ed25519": ed25519.Ed25519PrivateKey.generate(),
             "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
    encodings = serialization.Encoding
    for kind, key in kinds.items():
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind)])
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(7)
            .not_valid_before(datetime.datetime(2025, 12, 1))
            .not_valid_after(datetime.datetime(2026, 2, 1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .sign(key, None if kind == "ed25519" else hashes.SHA256()))

        def private(encoding, key=key):
            return key.private_bytes(encoding, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption())
        der = certificate.public_bytes(encodings.DER)
        write("certificate_fuzz", f"{kind}_pem", b"\0" + certificate.public_bytes(encodings.PEM)
              + private(encodings.PEM))
        write("certificate_fuzz", f"{kind}_der",
              b"\xff" + struct.pack("<H", len(der)) + der + private(encodings.DER))
        public = key.public_key().public_bytes(encodings.DER,
                                               serialization.PublicFormat.SubjectPublicKeyInfo)
        write("rsa_password_fuzz", f"{kind}_der", bytes([100]) + public)


def main():
    options = parse(make_parser(__doc__))
    for folder, _, names in os.walk(CORPUS):
        for name in names:
            if name.startswith(("mariadb_", "mysql_")):
                os.remove(os.path.join(folder, name))
    certificate_inputs()
    if not shutil.which("mariadbd"):
        raise processes.Skipped("mariadbd is not installed")
    found = clients.ready(CLIENTS)
    with processes.test_folder() as folder:
        authority = servers.new_authority(folder)
        pair = authority.issue("proxy")
        for kind in (servers.MariaDB, servers.MySQL):
            with kind(folder) as server:
                server.start().wait()
                tap = Wiretap(server.port, pair)
                with Proxy(options.proxy, f"127.0.0.1:{tap.server_side.port}", pair=pair,
                           io_engine=options.io_engine) as proxy:
                    tap.watch_clients(proxy.port)
                    capture(server, tap, found, authority.ca)
    return 0


if __name__ == "__main__":
    processes.run_main(main)
