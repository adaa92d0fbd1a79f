"""A MySQL client on OpenSSL's libssl itself, which can do what Python's ssl module can't: choose
the cipher of TLS 1.3, send a KeyUpdate, shut one direction down, resume where it likes."""

import ctypes
import socket
import struct

import mysql_wire as wire
import processes

TLS = {"TLSv1.2": 0x303, "TLSv1.3": 0x304}
SSL_CTRL_SET_MIN_PROTO_VERSION, SSL_CTRL_SET_MAX_PROTO_VERSION = 123, 124
ERROR_SSL, ERROR_SYSCALL, ERROR_ZERO_RETURN = 1, 5, 6
ENDS = {ERROR_SSL: "TLS error", ERROR_SYSCALL: "cut off", ERROR_ZERO_RETURN: "close_notify"}
UNEXPECTED_EOF = 294  # Of ERROR_SSL: an end without close_notify.
KEY_UPDATE_NOT_REQUESTED, KEY_UPDATE_REQUESTED = 0, 1
SSL_OP_ENABLE_KTLS = 1 << 3


def _library():
    lib = ctypes.CDLL("libssl.so.3")
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new", "SSL_get1_session"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


LIB = _library()
CRYPTO = ctypes.CDLL("libcrypto.so.3")
CRYPTO.ERR_peek_last_error.restype = ctypes.c_ulong


def _pointer(value):
    return ctypes.c_void_p(value)


class Client:
    """Logged in over TLS when it is made; the fake server of mysql_wire believes everybody. With
    `kernel` OpenSSL leaves the records to the kernel where it can (what it reads: TLS 1.2's)."""

    def __init__(self, port, version, cipher, session=None, timeout=60, user="ann", kernel=False):
        timeout = int(processes.patience(timeout))
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.settimeout(None)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", timeout, 0))
        wire.read_packet(self.sock)
        self.sock.sendall(wire.ssl_request())
        self._ctx = _pointer(LIB.SSL_CTX_new(_pointer(LIB.TLS_client_method())))
        for control in (SSL_CTRL_SET_MIN_PROTO_VERSION, SSL_CTRL_SET_MAX_PROTO_VERSION):
            LIB.SSL_CTX_ctrl(self._ctx, control, ctypes.c_long(TLS[version]), None)
        if kernel:
            LIB.SSL_CTX_set_options(self._ctx, ctypes.c_uint64(SSL_OP_ENABLE_KTLS))
        choose = (LIB.SSL_CTX_set_ciphersuites if version == "TLSv1.3"
                  else LIB.SSL_CTX_set_cipher_list)
        assert choose(self._ctx, cipher.encode()) == 1
        self._ssl = _pointer(LIB.SSL_new(self._ctx))
        LIB.SSL_set_fd(self._ssl, self.sock.fileno())
        if session:
            assert LIB.SSL_set_session(self._ssl, session) == 1
        if LIB.SSL_connect(self._ssl) != 1:
            raise OSError("no TLS handshake")
        self.resumed = LIB.SSL_session_reused(self._ssl) == 1
        self.send(wire.handshake_response(2, user=user))
        self.read_packet()

    def send(self, data):
        done = LIB.SSL_write(self._ssl, data, len(data))
        if done != len(data):
            raise OSError(f"SSL_write: {ENDS.get(LIB.SSL_get_error(self._ssl, done))}")

    def receive(self, count=65536):
        """(bytes, None) or (b"", how it ended)"""
        buffer = ctypes.create_string_buffer(count)
        CRYPTO.ERR_clear_error()
        got = LIB.SSL_read(self._ssl, buffer, count)
        if got > 0:
            return buffer.raw[:got], None
        error, reason = LIB.SSL_get_error(self._ssl, got), CRYPTO.ERR_peek_last_error() & 0x7fffff
        if error == ERROR_SSL and reason == UNEXPECTED_EOF:
            error = ERROR_SYSCALL
        return b"", ENDS.get(error, "nothing came")

    def read(self, count):
        parts, size = [], 0
        while size < count:
            data, end = self.receive(min(count - size, 1 << 20))
            if end:
                raise EOFError(f"{end} after {size} of {count} bytes")
            parts.append(data)
            size += len(data)
        return b"".join(parts)

    def read_packet(self):
        header = self.read(4)
        return self.read(int.from_bytes(header[:3], "little"))

    def read_to_end(self):
        parts = []
        while True:
            data, end = self.receive()
            if end:
                return b"".join(parts), end
            parts.append(data)

    def command(self, payload):
        self.send(wire.packet(0, payload))

    def update_keys(self, requested):
        """Sent with the next bytes."""
        assert LIB.SSL_key_update(self._ssl, requested) == 1

    def send_key_update(self):
        """Asks for the server's too; at once."""
        self.update_keys(KEY_UPDATE_REQUESTED)
        assert LIB.SSL_do_handshake(self._ssl) == 1

    def session(self):
        return _pointer(LIB.SSL_get1_session(self._ssl))

    def say_goodbye(self):
        LIB.SSL_shutdown(self._ssl)

    def close(self):
        LIB.SSL_free(self._ssl)
        LIB.SSL_CTX_free(self._ctx)
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()
