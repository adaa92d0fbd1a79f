// For micro benchmarks: the limit that is printed beside a result, and a watch for a part of a
// loop.
#ifndef BENCH_LIB_LIMIT_H_
#define BENCH_LIB_LIMIT_H_

#include <algorithm>
#include <cstdint>

#include "bench/lib/clock.h"

namespace sallyport::bench {

// NsPerCall is what a call of `work` takes at best: the best of ten runs of about a millisecond.
template <typename Work>
double NsPerCall(Work&& work) {
  double best = 1e18;
  for (int run = 0; run < 10; ++run) {
    uint64_t calls = 0;
    const uint64_t start = NowNs();
    uint64_t now = start;
    for (uint64_t batch = 1; now - start < 1'000'000; batch *= 2) {
      for (uint64_t i = 0; i < batch; ++i) work();
      calls += batch;
      now = NowNs();
    }
    best = std::min(best, static_cast<double>(now - start) / static_cast<double>(calls));
  }
  return best;
}

// StopWatch adds up the time between Start and Stop, less what reading the clock takes. It counts
// what one side of a conversation costs while both are in one thread.
class StopWatch {
 public:
  void Start() { started_ = NowNs(); }
  void Stop() { ns_ += static_cast<double>(NowNs() - started_) - OwnNs(); }
  double seconds() const { return std::max(ns_, 0.0) / 1e9; }

 private:
  static double OwnNs() {
    static const double ns = NsPerCall([] { NowNs(); });
    return ns;
  }

  uint64_t started_ = 0;
  double ns_ = 0;
};

}  // namespace sallyport::bench

#endif  // BENCH_LIB_LIMIT_H_
