// Packets, headers included, as real servers and clients sent them to each other over plaintext TCP
// on one machine: hex for Hex() of bytes.h. Password "secret" everywhere.
#ifndef TESTS_PACKET_REAL_PACKETS_H_
#define TESTS_PACKET_REAL_PACKETS_H_

#include <string_view>

namespace sallyport::packet {

// MariaDB 10.11.19: greeting. No CLIENT_SSL (its server had no certificate), CLIENT_LONG_PASSWORD
// clear and extended capabilities 1d in the last four reserved bytes.
inline constexpr std::string_view kMariaDbGreeting =
    "64 00 00 00 0a 35 2e 35 2e 35 2d 31 30 2e 31 31 2e 31 39 2d 4d 61 72 69 61 44 42 2d 30 2b "
    "64 65 62 31 32 75 31 00 04 00 00 00 3d 33 26 63 43 63 4b 2d 00 fe f7 08 02 00 ff 81 15 00 "
    "00 00 00 00 00 1d 00 00 00 3b 24 41 58 79 79 71 4c 67 44 5a 78 00 6d 79 73 71 6c 5f 6e 61 "
    "74 69 76 65 5f 70 61 73 73 77 6f 72 64 00";

// The mariadb command line 10.11.19 (Connector/C 3.3.20) to the above: user ann, database shop,
// attributes; extended capabilities in the last four reserved bytes.
inline constexpr std::string_view kMariaDbResponseWithDatabase =
    "d3 00 00 01 8c a2 bf 00 00 00 10 00 21 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 1d 00 00 00 61 6e 6e 00 14 9f 48 e7 3d e9 70 b9 b2 2f e4 d3 6f dc 70 f8 6a cb 90 77 "
    "15 73 68 6f 70 00 6d 79 73 71 6c 5f 6e 61 74 69 76 65 5f 70 61 73 73 77 6f 72 64 00 7e 03 "
    "5f 6f 73 05 4c 69 6e 75 78 0c 5f 63 6c 69 65 6e 74 5f 6e 61 6d 65 0a 6c 69 62 6d 61 72 69 "
    "61 64 62 04 5f 70 69 64 04 31 38 30 36 0f 5f 63 6c 69 65 6e 74 5f 76 65 72 73 69 6f 6e 06 "
    "33 2e 33 2e 32 30 09 5f 70 6c 61 74 66 6f 72 6d 06 78 38 36 5f 36 34 0c 70 72 6f 67 72 61 "
    "6d 5f 6e 61 6d 65 05 6d 79 73 71 6c 0c 5f 73 65 72 76 65 72 5f 68 6f 73 74 09 31 32 37 2e "
    "30 2e 30 2e 31";

// MariaDB 10.11.19: OK to the above, with the schema change in it.
inline constexpr std::string_view kMariaDbOk =
    "10 00 00 02 00 00 00 02 40 00 00 00 07 01 05 04 73 68 6f 70";

// The same client without a database.
inline constexpr std::string_view kMariaDbResponse =
    "ce 00 00 01 84 a2 bf 00 00 00 10 00 21 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 1d 00 00 00 61 6e 6e 00 14 2f 81 e8 dc a5 2f 49 59 0d 6c 34 1c d0 d9 c4 df f3 7d ec "
    "d3 6d 79 73 71 6c 5f 6e 61 74 69 76 65 5f 70 61 73 73 77 6f 72 64 00 7e 03 5f 6f 73 05 4c "
    "69 6e 75 78 0c 5f 63 6c 69 65 6e 74 5f 6e 61 6d 65 0a 6c 69 62 6d 61 72 69 61 64 62 04 5f "
    "70 69 64 04 31 38 30 38 0f 5f 63 6c 69 65 6e 74 5f 76 65 72 73 69 6f 6e 06 33 2e 33 2e 32 "
    "30 09 5f 70 6c 61 74 66 6f 72 6d 06 78 38 36 5f 36 34 0c 70 72 6f 67 72 61 6d 5f 6e 61 6d "
    "65 05 6d 79 73 71 6c 0c 5f 73 65 72 76 65 72 5f 68 6f 73 74 09 31 32 37 2e 30 2e 30 2e 31";

// MariaDB 10.11.19: AuthSwitchRequest to client_ed25519. Its auth_plugin_data are 32 bytes and no
// NUL.
inline constexpr std::string_view kMariaDbAuthSwitch =
    "30 00 00 02 fe 63 6c 69 65 6e 74 5f 65 64 32 35 35 31 39 00 56 82 ed 60 c5 c9 f2 45 2e 7e "
    "38 91 f7 ae 34 80 06 58 0c 98 c2 da 37 a7 9a 91 5e b4 63 e9 93 7a";

// MariaDB 10.11.19: a wrong password.
inline constexpr std::string_view kMariaDbError =
    "47 00 00 02 ff 15 04 23 32 38 30 30 30 41 63 63 65 73 73 20 64 65 6e 69 65 64 20 66 6f 72 "
    "20 75 73 65 72 20 27 61 6e 6e 27 40 27 31 32 37 2e 30 2e 30 2e 31 27 20 28 75 73 69 6e 67 "
    "20 70 61 73 73 77 6f 72 64 3a 20 59 45 53 29";

// MySQL 9.7.4: greeting, CLIENT_SSL included.
inline constexpr std::string_view kMySqlGreeting =
    "4b 00 00 00 0a 39 2e 37 2e 34 2d 32 00 09 00 00 00 64 0a 78 3b 65 4e 45 33 00 ff ff ff 02 "
    "00 ff df 15 00 00 00 00 00 00 00 00 00 00 0e 1f 2c 0b 63 3d 64 0d 38 2c 0b 62 00 63 61 63 "
    "68 69 6e 67 5f 73 68 61 32 5f 70 61 73 73 77 6f 72 64 00";

// The mysql command line 9.7.4 to the above: user ann, database shop, attributes.
inline constexpr std::string_view kMySqlResponseWithDatabase =
    "d2 00 00 01 8d a2 bf 19 00 00 00 01 ff 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 00 00 00 00 61 6e 6e 00 20 be fc a6 71 e8 cb 0e 0d 88 4b 28 2d 0e 7f 79 4b 58 db 1e "
    "84 0c 14 02 d2 54 00 f3 aa d1 eb fc db 73 68 6f 70 00 63 61 63 68 69 6e 67 5f 73 68 61 32 "
    "5f 70 61 73 73 77 6f 72 64 00 71 04 5f 70 69 64 04 33 37 32 35 09 5f 70 6c 61 74 66 6f 72 "
    "6d 06 78 38 36 5f 36 34 03 5f 6f 73 05 4c 69 6e 75 78 0c 5f 63 6c 69 65 6e 74 5f 6e 61 6d "
    "65 08 6c 69 62 6d 79 73 71 6c 07 6f 73 5f 75 73 65 72 04 72 6f 6f 74 0f 5f 63 6c 69 65 6e "
    "74 5f 76 65 72 73 69 6f 6e 05 39 2e 37 2e 34 0c 70 72 6f 67 72 61 6d 5f 6e 61 6d 65 05 6d "
    "79 73 71 6c";

// MySQL 9.7.4: caching_sha2_password's perform_full_authentication.
inline constexpr std::string_view kMySqlPerformFullAuthentication = "02 00 00 02 01 04";

// MySQL 9.7.4: fast_auth_success, and OK glued to it.
inline constexpr std::string_view kMySqlFastAuthAndOk =
    "02 00 00 02 01 03 07 00 00 03 00 00 00 02 00 00 00";

// The mysql command line 9.7.4 without a database.
inline constexpr std::string_view kMySqlResponse =
    "cd 00 00 01 85 a2 bf 19 00 00 00 01 ff 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 00 00 00 00 61 6e 6e 00 20 e3 58 b0 3a 6d 20 72 ae 6e 4e 55 e0 88 19 a8 0f 00 db d2 "
    "24 f5 db 08 8a 3e fb aa ac aa 7a 05 c5 63 61 63 68 69 6e 67 5f 73 68 61 32 5f 70 61 73 73 "
    "77 6f 72 64 00 71 04 5f 70 69 64 04 33 37 32 37 09 5f 70 6c 61 74 66 6f 72 6d 06 78 38 36 "
    "5f 36 34 03 5f 6f 73 05 4c 69 6e 75 78 0c 5f 63 6c 69 65 6e 74 5f 6e 61 6d 65 08 6c 69 62 "
    "6d 79 73 71 6c 07 6f 73 5f 75 73 65 72 04 72 6f 6f 74 0f 5f 63 6c 69 65 6e 74 5f 76 65 72 "
    "73 69 6f 6e 05 39 2e 37 2e 34 0c 70 72 6f 67 72 61 6d 5f 6e 61 6d 65 05 6d 79 73 71 6c";

// MySQL 9.7.4: AuthSwitchRequest to sha256_password: 20 bytes and a NUL.
inline constexpr std::string_view kMySqlAuthSwitch =
    "26 00 00 02 fe 73 68 61 32 35 36 5f 70 61 73 73 77 6f 72 64 00 27 53 1a 2e 06 2a 76 5e 2a "
    "6c 39 42 78 5b 21 07 3c 7b 2a 1e 00";

// The mariadb command line 10.11.19 to MySQL 9.7.4: no extended capabilities there.
inline constexpr std::string_view kMariaDbClientToMySql =
    "df 00 00 01 8d a2 bf 00 00 00 10 00 21 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 00 00 00 00 61 6e 6e 00 20 a5 d5 a6 c7 85 cc a0 25 9b d2 b7 5b 83 97 ad 89 4a 4f 36 "
    "85 e0 3c 89 1f 81 57 e9 bf b0 ac b6 df 73 68 6f 70 00 63 61 63 68 69 6e 67 5f 73 68 61 32 "
    "5f 70 61 73 73 77 6f 72 64 00 7e 03 5f 6f 73 05 4c 69 6e 75 78 0c 5f 63 6c 69 65 6e 74 5f "
    "6e 61 6d 65 0a 6c 69 62 6d 61 72 69 61 64 62 04 5f 70 69 64 04 33 37 33 31 0f 5f 63 6c 69 "
    "65 6e 74 5f 76 65 72 73 69 6f 6e 06 33 2e 33 2e 32 30 09 5f 70 6c 61 74 66 6f 72 6d 06 78 "
    "38 36 5f 36 34 0c 70 72 6f 67 72 61 6d 5f 6e 61 6d 65 05 6d 79 73 71 6c 0c 5f 73 65 72 76 "
    "65 72 5f 68 6f 73 74 09 31 32 37 2e 30 2e 30 2e 31";

// PHP 8.2.35's mysqlnd to MySQL 9.7.4: no CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA, so a one-byte
// length.
inline constexpr std::string_view kMysqlndResponse =
    "8d 00 00 01 8d a2 1a 00 00 00 00 c0 ff 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
    "00 00 00 00 00 00 61 6e 6e 00 20 c4 a9 76 26 ce 36 76 bb a8 86 e3 bf b2 ad 0f 7a d0 c0 45 "
    "48 72 5c 3f c4 0f 34 16 75 8d 15 16 eb 73 68 6f 70 00 63 61 63 68 69 6e 67 5f 73 68 61 32 "
    "5f 70 61 73 73 77 6f 72 64 00 2c 0c 5f 63 6c 69 65 6e 74 5f 6e 61 6d 65 07 6d 79 73 71 6c "
    "6e 64 0c 5f 73 65 72 76 65 72 5f 68 6f 73 74 09 31 32 37 2e 30 2e 30 2e 31";

// mysqlnd's COM_CHANGE_USER, to user sha without a database.
inline constexpr std::string_view kMysqlndChangeUser =
    "6c 00 00 00 11 73 68 61 00 20 c4 a9 76 26 ce 36 76 bb a8 86 e3 bf b2 ad 0f 7a d0 c0 45 48 "
    "72 5c 3f c4 0f 34 16 75 8d 15 16 eb 00 ff 00 63 61 63 68 69 6e 67 5f 73 68 61 32 5f 70 61 "
    "73 73 77 6f 72 64 00 2c 0c 5f 63 6c 69 65 6e 74 5f 6e 61 6d 65 07 6d 79 73 71 6c 6e 64 0c "
    "5f 73 65 72 76 65 72 5f 68 6f 73 74 09 31 32 37 2e 30 2e 30 2e 31";

}  // namespace sallyport::packet

#endif  // TESTS_PACKET_REAL_PACKETS_H_
