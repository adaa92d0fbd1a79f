#include "proxy/log/line_limit.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

TEST(LineLimit, LetsABurstThroughAndThenSoManyASecond) {
  LineLimit limit(10, 5);
  uint64_t now_ms = 1'000'000;
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limit.Allow(now_ms) ? 1 : 0;
  EXPECT_EQ(allowed, 10);
  EXPECT_EQ(limit.left_out(), 90u);
  // A flood of ten seconds, one a millisecond.
  for (int i = 0; i < 10'000; ++i) allowed += limit.Allow(++now_ms) ? 1 : 0;
  EXPECT_EQ(allowed, 10 + 50);
}

TEST(LineLimit, LosesNoneUncounted) {
  LineLimit limit(3, 7);
  uint64_t allowed = 0, told = 0;
  for (uint64_t now_ms = 0; now_ms < 5000; now_ms += 13) {
    allowed += limit.Allow(now_ms) ? 1 : 0;
    if (now_ms % 650 == 0) told += limit.TakeLeftOut();
  }
  told += limit.TakeLeftOut();
  EXPECT_EQ(limit.left_out(), 0u);
  EXPECT_EQ(allowed + told, 385u);
}

TEST(LineLimit, AfterAQuietTimeTheBurstIsThereAgainAndNoMore) {
  LineLimit limit(4, 2);
  for (int i = 0; i < 9; ++i) (void)limit.Allow(0);
  int allowed = 0;
  for (int i = 0; i < 9; ++i) allowed += limit.Allow(UINT64_MAX / 2) ? 1 : 0;
  EXPECT_EQ(allowed, 4);
}

}  // namespace
}  // namespace sallyport
