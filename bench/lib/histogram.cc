#include "bench/lib/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace sallyport::bench {
namespace {

uint64_t Get(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

void Set(std::atomic<uint64_t>& counter, uint64_t value) {
  counter.store(value, std::memory_order_relaxed);
}

}  // namespace

void Histogram::Record(uint64_t value) {
  value = std::min(value, kValueMax);
  std::atomic<uint64_t>& bucket = buckets_[BucketOf(value)];
  Set(bucket, Get(bucket) + 1);
  Set(count_, Get(count_) + 1);
  Set(sum_, Get(sum_) + value);
  if (value > Get(max_)) {
    Set(max_, value);
  }
}

void Histogram::Add(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) {
    Set(buckets_[i], Get(buckets_[i]) + Get(other.buckets_[i]));
  }
  Set(count_, count() + other.count());
  Set(sum_, Get(sum_) + Get(other.sum_));
  Set(max_, std::max(max(), other.max()));
}

void Histogram::Subtract(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) {
    Set(buckets_[i], Get(buckets_[i]) - Get(other.buckets_[i]));
  }
  Set(count_, count() - other.count());
  Set(sum_, Get(sum_) - Get(other.sum_));
}

double Histogram::mean() const {
  const uint64_t n = count();
  return n == 0 ? 0 : static_cast<double>(Get(sum_)) / static_cast<double>(n);
}

uint64_t Histogram::Percentile(double percent) const {
  // The buckets' own total, not count_: a reader beside the writer may find them apart.
  uint64_t total = 0;
  for (const Counter& bucket : buckets_) {
    total += Get(bucket);
  }
  const auto wanted = static_cast<uint64_t>(std::ceil(static_cast<double>(total) * percent / 100));
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += Get(buckets_[i]);
    if (seen > 0 && seen >= wanted) {
      return std::min(BucketEnd(i), max());
    }
  }
  return 0;
}

// A value of b bits, b > kLinearBits, is known by its b and its kLinearBits + 1 highest bits.
size_t Histogram::BucketOf(uint64_t value) {
  const int bits = std::bit_width(value);
  if (bits <= kLinearBits + 1) {
    return value;
  }
  const int shift = bits - (kLinearBits + 1);
  return static_cast<size_t>(shift) * kLinear + (value >> shift);
}

uint64_t Histogram::BucketEnd(size_t bucket) {
  if (bucket < 2 * kLinear) {
    return bucket;
  }
  const size_t shift = bucket / kLinear - 1;
  const uint64_t first = (bucket - shift * kLinear) << shift;
  return first + (uint64_t{1} << shift) - 1;
}

}  // namespace sallyport::bench
