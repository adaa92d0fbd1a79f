#include "proxy/ring/spin.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sallyport {
namespace {

constexpr int64_t kLimit = 50'000;
constexpr int64_t kShort = kLimit + Spin::kWakeUpNs;

// Blocks `count` times for `ns` each.
void Block(Spin* spin, uint32_t count, int64_t ns) {
  for (uint32_t i = 0; i < count; ++i) spin->Blocked(ns);
}

TEST(Spin, IsNeverWantedWithoutALimit) {
  Spin spin(0);
  Block(&spin, 2 * Spin::kPatienceMax, 1);
  EXPECT_FALSE(spin.wanted(1));
  EXPECT_FALSE(spin.learns(1));
}

TEST(Spin, BeginsAfterWaitsThatItWouldHaveCovered) {
  Spin spin(kLimit);
  EXPECT_FALSE(spin.wanted(1));
  Block(&spin, Spin::kPatienceMin - 1, kShort);
  EXPECT_FALSE(spin.wanted(1));
  Block(&spin, 1, kShort);
  EXPECT_TRUE(spin.wanted(1));
}

TEST(Spin, ALongWaitBeginsTheCountAnew) {
  Spin spin(kLimit);
  Block(&spin, Spin::kPatienceMin - 1, kShort);
  Block(&spin, 1, kShort + 1);
  Block(&spin, Spin::kPatienceMin - 1, kShort);
  EXPECT_FALSE(spin.wanted(1));
}

TEST(Spin, IsNotWantedWhileManyComeAtOnce) {
  Spin spin(kLimit);
  Block(&spin, Spin::kPatienceMin, kShort);
  EXPECT_TRUE(spin.wanted(Spin::kBatchMax));
  EXPECT_FALSE(spin.wanted(Spin::kBatchMax + 1));
}

TEST(Spin, EachFailureDoublesThePatienceUpToABound) {
  Spin spin(kLimit);
  Block(&spin, Spin::kPatienceMin, kShort);
  for (uint32_t patience = 2 * Spin::kPatienceMin;; patience *= 2) {
    ASSERT_TRUE(spin.wanted(1));
    spin.Failed();
    const uint32_t expected = std::min(patience, Spin::kPatienceMax);
    Block(&spin, expected - 1, kShort);
    ASSERT_FALSE(spin.wanted(1)) << patience;
    Block(&spin, 1, kShort);
    if (patience > 2 * Spin::kPatienceMax) break;
  }
}

TEST(Spin, GoesOnWhileItPaysAndForgivesFailures) {
  Spin spin(kLimit);
  Block(&spin, Spin::kPatienceMin, kShort);
  spin.Failed();
  Block(&spin, 2 * Spin::kPatienceMin, kShort);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(spin.wanted(1));
    spin.Paid();
  }
  spin.Failed();
  Block(&spin, 2 * Spin::kPatienceMin, kShort);
  EXPECT_TRUE(spin.wanted(1));
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
