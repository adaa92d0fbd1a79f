#include "proxy/config/nearest.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

TEST(Nearest, CountsEdits) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("listen", "listen"), 0u);
  EXPECT_EQ(EditDistance("lisen", "listen"), 1u);
  EXPECT_EQ(EditDistance("listten", "listen"), 1u);
  EXPECT_EQ(EditDistance("lixten", "listen"), 1u);
  EXPECT_EQ(EditDistance("lsiten", "listen"), 1u);  // Swapped neighbours are one slip, not two.
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(Nearest, IsTheSameBothWays) {
  for (const char* a : {"", "a", "tls_mode", "mode_tls", "server"}) {
    for (const char* b : {"", "b", "tls_mode", "svreer", "listen"}) {
      EXPECT_EQ(EditDistance(a, b), EditDistance(b, a));
    }
  }
}

TEST(Nearest, TakesTheFirstOfEquals) {
  constexpr std::string_view kNames[] = {"abc", "abd", "xyz"};
  EXPECT_EQ(Nearest("ab", kNames), "abc");
  EXPECT_EQ(Nearest("xy", kNames), "xyz");
}

TEST(Nearest, DoesNotLabourOverAHugeName) {
  constexpr std::string_view kNames[] = {"abc"};
  EXPECT_EQ(Nearest(std::string(10'000'000, 'a'), kNames), "abc");
}

}  // namespace
}  // namespace sallyport
