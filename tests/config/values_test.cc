#include "proxy/config/values.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

constexpr AddressRules kAny = {.unix_socket = true, .port_zero = true, .any_host = true};

TEST(Values, SecondsSurviveTheWayThere) {
  for (const int64_t ms : {0, 1, 7, 10, 100, 999, 1000, 1001, 28'800'000}) {
    EXPECT_EQ(ParseSeconds(SecondsText(ms), 0, 1'000'000'000).value_or(-1), ms) << SecondsText(ms);
  }
  // Every millisecond of four seconds: none falls to a binary fraction.
  for (int64_t ms = 0; ms <= 4000; ++ms) {
    ASSERT_EQ(ParseSeconds(SecondsText(ms), 0, 1'000'000'000).value_or(-1), ms);
  }
  EXPECT_EQ(SecondsText(500), "0.5");
  EXPECT_EQ(SecondsText(30'000), "30");
}

TEST(Values, SecondsAreStrictAboutTheirText) {
  for (const char* text : {"", " 1", "1 ", "1s", "0x10", "1e3", "+1", "1,5", "--1", "."}) {
    EXPECT_FALSE(ParseSeconds(text, 0, 1'000'000).ok()) << text;
  }
}

TEST(Values, AddressesComeApart) {
  struct Row {
    const char* text;
    const char* host;
    int port;
    const char* unix_path;
  };
  constexpr Row kRows[] = {
      {"127.0.0.1:3306", "127.0.0.1", 3306, ""},
      {"[::1]:3306", "::1", 3306, ""},
      {"[fe80::1%eth0]:1", "fe80::1%eth0", 1, ""},
      {":0", "", 0, ""},
      {"db-1.my_net.example:65535", "db-1.my_net.example", 65535, ""},
      {"unix:/run/m.sock", "", 0, "/run/m.sock"},
      {"unix:@name", "", 0, "@name"},
  };
  for (const Row& row : kRows) {
    const absl::StatusOr<Endpoint> endpoint = ParseAddress(row.text, kAny);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_EQ(endpoint->host, row.host);
    EXPECT_EQ(endpoint->port, row.port);
    EXPECT_EQ(endpoint->unix_path, row.unix_path);
  }
}

TEST(Values, NoPieceOfAnAddressIsOne) {
  for (const char* text :
       {"",       ":",      "a",       "a:",     ":a",         "[",       "[]",   "[]:1",
        "]:1",    "[::1",   "[::1]1",  "[::1]:", "a:-1",       "a:1x",    "a: 1", "unix:",
        "unix:/", "unix:@", "1.2.3:1", "a\nb:1", "http://a:1", "user@a:1"}) {
    EXPECT_FALSE(ParseAddress(text, kAny).ok()) << text;
  }
}

TEST(Values, KnowsWhenTheServerIsTheProxy) {
  const auto served = [](const char* server, const char* listen) {
    return IsServedBy(*ParseAddress(server, kAny), *ParseAddress(listen, kAny));
  };
  EXPECT_TRUE(served("127.0.0.1:1", "0.0.0.0:1"));
  EXPECT_TRUE(served("127.0.0.1:1", ":1"));
  EXPECT_TRUE(served("[::1]:1", ":1"));
  EXPECT_TRUE(served("localhost:1", "LOCALHOST:1"));
  EXPECT_TRUE(served("10.0.0.1:1", "10.0.0.1:1"));
  EXPECT_FALSE(served("127.0.0.1:1", "0.0.0.0:2"));
  EXPECT_FALSE(served("127.0.0.2:1", "127.0.0.1:1"));  // As a proxy before a server on one machine.
  EXPECT_FALSE(served("127.0.0.1:1", "10.0.0.1:1"));
  EXPECT_FALSE(served("127.0.0.1:1", "[::]:1"));  // A listener of one family.
  EXPECT_FALSE(served("unix:/a", ":1"));
}

TEST(Values, PathsAreUtf8) {
  for (const char* text :
       {"", "a b", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x92", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(CheckPath(text).ok()) << text;
  }
  for (const char* text :
       {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80\x80", "\xff", "\x7f", "a\x1b[0m"}) {
    EXPECT_FALSE(CheckPath(text).ok()) << text;
  }
}

}  // namespace
}  // namespace sallyport
