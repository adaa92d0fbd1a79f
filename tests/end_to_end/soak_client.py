#!/usr/bin/python3
"""Short sessions of PyMySQL, one after another, for a while: what soak.py has several of.

    soak_client.py PORT CA USER SECONDS          the password is in SALLYPORT_PASSWORD

Every third is in plaintext, every tenth reads 300 KB. Prints "sessions queries", and a line for
each session that went wrong.
"""

import os
import ssl
import sys
import time

import pymysql

QUERIES = 4


def one_session(port, tls_context, user, number):
    tls = {"ssl": tls_context} if number % 3 else {}
    connection = pymysql.connect(host="127.0.0.1", port=port, user=user, read_timeout=20,
                                 password=os.environ["SALLYPORT_PASSWORD"], **tls)
    with connection, connection.cursor() as cursor:
        for query in range(QUERIES):
            size = 300_000 if number % 10 == query == 0 else 20
            cursor.execute(f"SELECT {number}, REPEAT('s', {size})")
            if cursor.fetchall() != ((number, "s" * size),):
                raise ValueError("a wrong answer")


def main():
    port, ca, user, seconds = int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
    end = time.monotonic() + seconds
    tls_context = ssl.create_default_context(cafile=ca)
    sessions = 0
    while time.monotonic() < end:
        try:
            one_session(port, tls_context, user, sessions)
        except Exception as error:  # pylint: disable=broad-except
            print(f"session {sessions}: {type(error).__name__}: {error}")
            break
        sessions += 1
    print(sessions, sessions * QUERIES)


if __name__ == "__main__":
    main()
