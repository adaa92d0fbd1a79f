// Whose requests are answered.
#include "proxy/admin/access.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

TEST(Access, ReadersNameTheHostByAddressOrAsLocalhost) {
  for (const char* host : {"127.0.0.1", "127.0.0.1:6034", "localhost", "localhost:6034", "[::1]",
                           "[::1]:6034", "10.1.2.3:80", "[fe80::1]:1"}) {
    EXPECT_TRUE(MayRead({.host = host})) << host;
  }
  for (const char* host : {"evil.example", "evil.example:6034", "localhost.evil.example",
                           "127.0.0.1.evil.example", "", ":6034", "[::1", "::1]", "[]", "[evil]:1",
                           "127.0.0.1@evil.example", "2130706433", "0x7f.1"}) {
    EXPECT_FALSE(MayRead({.host = host})) << host;
  }
  EXPECT_FALSE(MayRead({}));
  // Found by admin_access_fuzz: what followed the NUL was not read. No request can have one today.
  EXPECT_FALSE(MayRead({.host = std::string_view("127.0.0.1\0.evil.example", 23)}));
}

TEST(Access, ChangesNeedTheHeader) {
  EXPECT_TRUE(MayChange({.host = "localhost:6034", .sallyport = "1"}));
  EXPECT_FALSE(MayChange({.host = "localhost:6034"}));
  EXPECT_FALSE(MayChange({.host = "evil.example", .sallyport = "1"}));
}

TEST(Access, ChangesComeFromNoPageOfOthers) {
  const auto from = [](std::optional<std::string_view> origin,
                       std::optional<std::string_view> site) {
    return MayChange(
        {.host = "127.0.0.1:6034", .origin = origin, .fetch_site = site, .sallyport = "1"});
  };
  EXPECT_TRUE(from("http://127.0.0.1:6034", "same-origin"));
  EXPECT_TRUE(from(std::nullopt, "none"));
  for (const char* origin : {"http://evil.example", "null", "", "http://127.0.0.1:8080",
                             "http://localhost:6034", "https://127.0.0.1:6034"}) {
    EXPECT_FALSE(from(origin, std::nullopt)) << origin;
  }
  for (const char* site : {"cross-site", "same-site", "", "SAME-ORIGIN"}) {
    EXPECT_FALSE(from(std::nullopt, site)) << site;
  }
}

}  // namespace
}  // namespace sallyport
