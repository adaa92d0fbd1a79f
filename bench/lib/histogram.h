// Histogram of durations: log-linear buckets, one writer, any number of readers.
//
// Every value is kept to within 1 % (each power of two is cut into 128 buckets), from a nanosecond
// to over a minute, in 32 KiB, so that recording one costs an increment and no memory.
#ifndef BENCH_LIB_HISTOGRAM_H_
#define BENCH_LIB_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sallyport::bench {

class Histogram {
 public:
  // What is longer than this is counted as this long.
  static constexpr uint64_t kValueMax = (uint64_t{1} << 37) - 1;  // 137 s in nanoseconds.

  // Record counts `value` once. One thread only; others may read meanwhile, and see it a bit later.
  void Record(uint64_t value);

  // Add and Subtract work bucket by bucket, for sums over threads and differences between two
  // moments. After Subtract, max() is that of both together. REQUIRES, for Subtract: `other` is an
  // earlier state of what is in here.
  void Add(const Histogram& other);
  void Subtract(const Histogram& other);

  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  uint64_t max() const { return max_.load(std::memory_order_relaxed); }
  double mean() const;
  // Percentile: the smallest recorded value that `percent` of all don't exceed, rounded up to its
  // bucket's end; 0 when nothing was recorded.
  uint64_t Percentile(double percent) const;

 private:
  static constexpr int kLinearBits = 7;
  static constexpr size_t kLinear = size_t{1} << kLinearBits;
  // Values below 2 * kLinear have buckets of their own; each later power of two has kLinear.
  static constexpr size_t kBuckets = (37 - kLinearBits + 1) * kLinear;

  static size_t BucketOf(uint64_t value);
  static uint64_t BucketEnd(size_t bucket);

  // Plain numbers but for readers in other threads: with one writer no locked instruction is
  // needed, hence load and store instead of fetch_add.
  using Counter = std::atomic<uint64_t>;
  std::array<Counter, kBuckets> buckets_{};
  Counter count_{0};
  Counter sum_{0};
  Counter max_{0};
};

}  // namespace sallyport::bench

#endif  // BENCH_LIB_HISTOGRAM_H_
