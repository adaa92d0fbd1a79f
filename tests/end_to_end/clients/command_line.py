#!/usr/bin/python3
"""The command lines of MariaDB and MySQL, by the contract of README.md.

The words before `operation=` are the command itself, and behind a `--` what is particular to it,
for example `mysql -- --compression-algorithms=zstd`; it is told to read no option files.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile

READ_BYTES = 3 << 20
WRITE_BYTES = 2 << 20


def split_arguments(words):
    """All words up to the first that looks like `name=value`, without dashes, are the command."""
    first = next(n for n, word in enumerate(words) if re.match(r"[a-z_]+=", word))
    return words[:first], dict(word.split("=", 1) for word in words[first:])


def split_options(command):
    """The command up to the `--`, and what follows it."""
    at = command.index("--") if "--" in command else len(command)
    return command[:at], command[at + 1:]


def connection_arguments(program, options):
    arguments = [f"--user={options['user']}", "--connect-timeout=20", "--local-infile=1",
                 "--batch", "--raw", "--skip-column-names", "--max-allowed-packet=64M"]
    if "socket" in options:
        arguments.append(f"--socket={options['socket']}")
    else:
        arguments += [f"--host={options['host']}", f"--port={options['port']}", "--protocol=tcp"]
    verify = options["tls"] == "verify"
    if "mariadb" in os.path.basename(program[-1]):
        arguments += ([f"--ssl-ca={options['ca']}", "--ssl-verify-server-cert"] if verify
                      else ["--skip-ssl"])
    else:
        arguments += ([f"--ssl-ca={options['ca']}", "--ssl-mode=VERIFY_IDENTITY"] if verify
                      else ["--ssl-mode=DISABLED", "--get-server-public-key"])
    for word, option in (("cert", "ssl-cert"), ("key", "ssl-key"), ("sni", "tls-sni-servername"),
                         ("tls_version", "tls-version")):
        if word in options:
            arguments.append(f"--{option}={options[word]}")
    if options.get("plugin"):
        arguments.append(f"--default-auth={options['plugin']}")
    return arguments


def run(command, options, password, sql):
    """Gives standard output; raises RuntimeError with "NUMBER MESSAGE" where the client failed."""
    program, more = split_options(command)
    # --no-defaults must be the first option of both programs.
    call = [*program, "--no-defaults", *more, *connection_arguments(program, options)]
    environment = dict(os.environ, MYSQL_PWD=password)
    done = subprocess.run(call, input=sql.encode(), env=environment, capture_output=True,
                          check=False, timeout=60)
    if done.returncode != 0:
        text = " ".join(done.stderr.decode(errors="replace").split())
        number = re.search(r"ERROR (\d+)", text)
        raise RuntimeError(f"{number.group(1) if number else 0} {text}")
    return done.stdout


def login(query):
    user, cipher = query("SELECT CURRENT_USER(); SHOW SESSION STATUS LIKE 'Ssl_cipher'").decode(
        ).splitlines()
    return f"{user} {cipher.split(chr(9))[1] or '-'}"


def read(query):
    value = query(f"SELECT REPEAT('sallyport-read--', {READ_BYTES // 16})").rstrip(b"\n")
    if value != b"sallyport-read--" * (READ_BYTES // 16):
        raise RuntimeError(f"0 wrong bytes, {len(value)} of them")
    return len(value)


def write(query):
    value = "sallyport-write-" * (WRITE_BYTES // 16)
    length, digest = query(f"SET @v = '{value}'; SELECT LENGTH(@v), SHA2(@v, 256)").decode().split()
    if int(length) != WRITE_BYTES or digest != hashlib.sha256(value.encode()).hexdigest():
        raise RuntimeError(f"0 the server has {length} bytes, SHA-256 {digest}")
    return length


def local_infile(query):
    with tempfile.NamedTemporaryFile("w") as lines:
        lines.write("7\n" * 1000)
        lines.flush()
        return query("CREATE TEMPORARY TABLE test.numbers (n INT); "
                     f"LOAD DATA LOCAL INFILE '{lines.name}' INTO TABLE test.numbers; "
                     "SELECT COUNT(*) FROM test.numbers").decode().strip()


OPERATIONS = {"login": login, "read": read, "write": write, "local_infile": local_infile}


def main():
    command, options = split_arguments(sys.argv[1:])
    password = os.environ["SALLYPORT_PASSWORD"]
    operation = options["operation"]
    try:
        if operation == "wrong_password":
            try:
                run(command, options, password + "-wrong", "SELECT 1")
            except RuntimeError as error:
                if not str(error).startswith("1045 "):
                    raise
                print("ok 1045")
                return 0
            print("error 0 the wrong password was accepted")
            return 1
        if operation not in OPERATIONS:
            print("unsupported")
            return 3
        print("ok", OPERATIONS[operation](lambda sql: run(command, options, password, sql)))
        return 0
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print("error", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
