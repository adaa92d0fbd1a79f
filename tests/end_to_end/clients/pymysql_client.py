#!/usr/bin/python3
"""PyMySQL, by the contract of README.md."""

import hashlib
import os
import sys
import tempfile

import pymysql

READ_BYTES = 3 << 20
WRITE_BYTES = 2 << 20


def connect(options, password):
    where = ({"unix_socket": options["socket"]} if "socket" in options
             else {"host": options["host"], "port": int(options["port"])})
    tls = ({"ssl_ca": options["ca"], "ssl_verify_cert": True, "ssl_verify_identity": True}
           if options["tls"] == "verify" else {"ssl_disabled": True})
    if "cert" in options:
        tls.update(ssl_cert=options["cert"], ssl_key=options["key"])
    return pymysql.connect(user=options["user"], password=password, local_infile=True,
                           connect_timeout=20, max_allowed_packet=64 << 20, **where, **tls)


def login(cursor, options):
    cursor.execute("SELECT CURRENT_USER()")
    user = cursor.fetchone()[0]
    cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    return f"{user} {cursor.fetchone()[1] or '-'}"


def read(cursor, options):
    cursor.execute(f"SELECT REPEAT('sallyport-read--', {READ_BYTES // 16})")
    value = cursor.fetchone()[0]
    if value != "sallyport-read--" * (READ_BYTES // 16):
        raise ValueError(f"wrong bytes, {len(value)} of them")
    return len(value)


def write(cursor, options):
    value = "sallyport-write-" * (WRITE_BYTES // 16)
    cursor.execute("SELECT LENGTH(@v), SHA2(@v, 256) FROM (SELECT @v := %s) AS t", (value,))
    length, digest = cursor.fetchone()
    if length != WRITE_BYTES or digest != hashlib.sha256(value.encode()).hexdigest():
        raise ValueError(f"the server has {length} bytes, SHA-256 {digest}")
    return length


def local_infile(cursor, options):
    cursor.execute("CREATE TEMPORARY TABLE test.lines (n INT)")
    with tempfile.NamedTemporaryFile("w") as lines:
        lines.write("".join(f"{n}\n" for n in range(1000)))
        lines.flush()
        cursor.execute(f"LOAD DATA LOCAL INFILE '{lines.name}' INTO TABLE test.lines")
    cursor.execute("SELECT COUNT(*) FROM test.lines")
    return cursor.fetchone()[0]


OPERATIONS = {"login": login, "read": read, "write": write, "local_infile": local_infile}


def main():
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    password = os.environ["SALLYPORT_PASSWORD"]
    operation = options["operation"]
    try:
        if operation == "wrong_password":
            try:
                connect(options, password + "-wrong")
            except pymysql.err.OperationalError as error:
                if error.args[0] != 1045:
                    raise
                print("ok 1045")
                return 0
            print("error 0 the wrong password was accepted")
            return 1
        if operation not in OPERATIONS:
            print("unsupported")
            return 3
        connection = connect(options, password)
        print("ok", OPERATIONS[operation](connection.cursor(), options))
        connection.close()
        return 0
    except pymysql.err.MySQLError as error:
        print("error", error.args[0], *error.args[1:])
    except Exception as error:  # pylint: disable=broad-except
        print("error 0", type(error).__name__, error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
