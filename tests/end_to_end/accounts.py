"""The accounts that the servers have: one for each way of logging in.

caching_sha2_password remembers who has logged in once, per account. So a test of a cold cache needs
an account that no other client uses meanwhile: there is one for each client.
"""

import dataclasses
import getpass


@dataclasses.dataclass(frozen=True)
class Account:
    """`auth` is what follows IDENTIFIED, with {password} in it; `default_auth` is the plugin that
    the client is told to begin with, where it should differ from the account's."""
    user: str
    auth: str
    password: str
    title: str
    require: str = ""
    default_auth: str = ""
    cold: bool = False
    # Reached by the unix socket of the server only, e.g. because the plugin looks at the peer.
    unix_only: bool = False
    second_password: str = ""

    def sql(self):
        auth = self.auth.format(password=self.password, os_user=getpass.getuser())
        return (f"CREATE USER '{self.user}'@'%' IDENTIFIED {auth} {self.require};\n"
                f"GRANT ALL ON test.* TO '{self.user}'@'%';\n")


# 213 bytes and the NUL behind them are the most that one RSA-2048 OAEP block can hold.
LONG_PASSWORD = ("Long-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 6)[:213]

# Each has an account for its cold log-in.
CLIENT_NAMES = ("mariadb", "mysql", "mysql-zlib", "mysql-zstd", "pymysql", "node-mysql2",
                "node-mariadb", "php", "perl", "ruby", "connector-j", "go")

SHA2 = "WITH caching_sha2_password BY '{password}'"


def cold_user(client_name):
    return "cold_" + client_name.replace("-", "_")


def mariadb_accounts():
    return [
        Account("native", "VIA mysql_native_password USING PASSWORD('{password}')",
                "Native-Sesame-71", "mysql_native_password"),
        Account("ed25519", "VIA ed25519 USING PASSWORD('{password}')",
                "Edwards-Sesame-72", "client_ed25519"),
        Account("empty", "VIA mysql_native_password USING ''", "", "empty password"),
        Account("second", "VIA mysql_native_password USING PASSWORD('{password}')",
                "Second-Sesame-73", "(change_user's second)"),
        Account("must_ssl", "VIA mysql_native_password USING PASSWORD('{password}')",
                "Require-Sesame-74", "REQUIRE SSL", require="REQUIRE SSL"),
    ]


def mysql_accounts():
    cold = [Account(cold_user(name), SHA2, f"Cold-Sesame-{number}-81", "caching_sha2, cold",
                    cold=True)
            for number, name in enumerate(CLIENT_NAMES)]
    return cold + [
        Account("warm", SHA2, "Warm-Sesame-82", "caching_sha2, warm"),
        Account("sha256", "WITH sha256_password BY '{password}'", "Older-Sesame-83",
                "sha256_password"),
        Account("switched", SHA2, "Switch-Sesame-84", "caching_sha2, client begins with another",
                default_auth="sha256_password"),
        Account("empty", SHA2, "", "empty password"),
        Account("long", SHA2, LONG_PASSWORD, "213-byte password"),
        Account("second", SHA2, "Second-Sesame-85", "(change_user's second)"),
        Account("must_ssl", SHA2, "Require-Sesame-86", "REQUIRE SSL", require="REQUIRE SSL"),
        Account("two_factors", SHA2 + " AND IDENTIFIED WITH auth_socket AS '{os_user}'",
                "Factor-Sesame-87", "two factors", unix_only=True),
    ]
