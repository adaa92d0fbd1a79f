#include "proxy/ring/spin.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sallyport {
namespace {

constexpr int64_t kLimit = 50'000;
constexpr int64_t kShort = kLimit + Spin::kWakeUpNs;

// Sees a window's worth of completions, of `owners` connections in turn.
void See(Spin* spin, uint32_t owners) {
  for (uint32_t i = 0; i < Spin::kWindow; ++i) spin->Saw(1000 + i % owners);
}

// Blocks `count` times for `ns` each.
void Block(Spin* spin, uint32_t count, int64_t ns) {
  for (uint32_t i = 0; i < count; ++i) spin->Blocked(ns);
}

TEST(Spin, IsNeverWantedWithoutALimit) {
  Spin spin(0);
  See(&spin, 1);
  Block(&spin, 2 * Spin::kPatienceMax, 1);
  EXPECT_FALSE(spin.wanted());
  EXPECT_FALSE(spin.learns());
}

TEST(Spin, BeginsAfterWaitsThatItWouldHaveCovered) {
  Spin spin(kLimit);
  See(&spin, 1);
  EXPECT_FALSE(spin.wanted());
  Block(&spin, Spin::kPatienceMin - 1, kShort);
  EXPECT_FALSE(spin.wanted());
  Block(&spin, 1, kShort);
  EXPECT_TRUE(spin.wanted());
}

TEST(Spin, KnowsNothingOfTheConnectionsAtFirst) {
  Spin spin(kLimit);
  Block(&spin, Spin::kPatienceMin, kShort);
  EXPECT_FALSE(spin.wanted());
  See(&spin, 2);
  EXPECT_TRUE(spin.wanted());
}

TEST(Spin, ALongWaitBeginsTheCountAnew) {
  Spin spin(kLimit);
  See(&spin, 1);
  Block(&spin, Spin::kPatienceMin - 1, kShort);
  Block(&spin, 1, kShort + 1);
  Block(&spin, Spin::kPatienceMin - 1, kShort);
  EXPECT_FALSE(spin.wanted());
}

TEST(Spin, IsNotWantedWhileManyConnectionsAreBusy) {
  Spin spin(kLimit);
  See(&spin, 1);
  Block(&spin, Spin::kPatienceMin, kShort);
  EXPECT_TRUE(spin.wanted());
  See(&spin, Spin::kOwnersMax + 1);
  EXPECT_FALSE(spin.wanted());
  EXPECT_FALSE(spin.learns());
  See(&spin, Spin::kOwnersMax);
  EXPECT_TRUE(spin.wanted());
}

TEST(Spin, EachFailureDoublesThePatienceUpToABound) {
  Spin spin(kLimit);
  See(&spin, 1);
  Block(&spin, Spin::kPatienceMin, kShort);
  for (uint32_t patience = 2 * Spin::kPatienceMin;; patience *= 2) {
    ASSERT_TRUE(spin.wanted());
    spin.Failed();
    const uint32_t expected = std::min(patience, Spin::kPatienceMax);
    Block(&spin, expected - 1, kShort);
    ASSERT_FALSE(spin.wanted()) << patience;
    Block(&spin, 1, kShort);
    if (patience > 2 * Spin::kPatienceMax) break;
  }
}

TEST(Spin, GoesOnWhileItPaysAndForgivesFailures) {
  Spin spin(kLimit);
  See(&spin, 1);
  Block(&spin, Spin::kPatienceMin, kShort);
  spin.Failed();
  Block(&spin, 2 * Spin::kPatienceMin, kShort);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(spin.wanted());
    spin.Paid();
  }
  spin.Failed();
  Block(&spin, 2 * Spin::kPatienceMin, kShort);
  EXPECT_TRUE(spin.wanted());
}

TEST(Spin, StopsAtItsLimitAndWhenSomebodyElseWantsTheCpu) {
  const Spin spin(kLimit);
  EXPECT_TRUE(spin.keep_on(kLimit - 1, 1'000));
  EXPECT_FALSE(spin.keep_on(kLimit, 1'000));
  EXPECT_TRUE(spin.keep_on(1'000, Spin::kGapNsMax));
  EXPECT_FALSE(spin.keep_on(1'000, Spin::kGapNsMax + 1));
}

}  // namespace
}  // namespace sallyport
