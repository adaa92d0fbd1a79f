#include "bench/lib/histogram.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>

namespace sallyport::bench {
namespace {

TEST(Histogram, IsZeroBeforeAnythingWasRecorded) {
  const auto histogram = std::make_unique<Histogram>();
  EXPECT_EQ(histogram->count(), 0u);
  EXPECT_EQ(histogram->Percentile(99), 0u);
  EXPECT_EQ(histogram->mean(), 0);
}

TEST(Histogram, IsExactForSmallValues) {
  const auto histogram = std::make_unique<Histogram>();
  for (uint64_t value = 0; value < 256; ++value) histogram->Record(value);
  EXPECT_EQ(histogram->Percentile(50), 127u);
  EXPECT_EQ(histogram->Percentile(100), 255u);
  EXPECT_EQ(histogram->Percentile(0), 0u);
}

TEST(Histogram, IsWithinOnePercentOfEachValue) {
  for (uint64_t value = 1; value < Histogram::kValueMax; value = value * 5 / 4 + 1) {
    const auto histogram = std::make_unique<Histogram>();
    histogram->Record(value);
    histogram->Record(Histogram::kValueMax);  // Or Percentile would cut off at the maximum.
    const uint64_t percentile = histogram->Percentile(50);
    EXPECT_GE(percentile, value);
    EXPECT_LE(static_cast<double>(percentile), static_cast<double>(value) * 1.01);
  }
}

TEST(Histogram, CountsWhatIsTooLongAsTheLongest) {
  const auto histogram = std::make_unique<Histogram>();
  histogram->Record(UINT64_MAX);
  EXPECT_EQ(histogram->Percentile(100), Histogram::kValueMax);
}

TEST(Histogram, FindsTheTail) {
  const auto histogram = std::make_unique<Histogram>();
  for (int i = 0; i < 990; ++i) histogram->Record(100);
  for (int i = 0; i < 10; ++i) histogram->Record(100'000);
  EXPECT_EQ(histogram->Percentile(99), 100u);
  EXPECT_EQ(histogram->Percentile(99.1), 100'000u);
  EXPECT_DOUBLE_EQ(histogram->mean(), (990 * 100.0 + 10 * 100'000.0) / 1000);
}

TEST(Histogram, AddsThreadsAndSubtractsAnEarlierMoment) {
  const auto sum = std::make_unique<Histogram>();
  const auto early = std::make_unique<Histogram>();
  const auto late = std::make_unique<Histogram>();
  early->Record(10);
  late->Record(200);
  sum->Add(*early);
  sum->Add(*late);
  EXPECT_EQ(sum->count(), 2u);
  sum->Subtract(*early);
  EXPECT_EQ(sum->count(), 1u);
  EXPECT_EQ(sum->Percentile(1), 200u);
}

}  // namespace
}  // namespace sallyport::bench
