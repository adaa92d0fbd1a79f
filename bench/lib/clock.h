#ifndef BENCH_LIB_CLOCK_H_
#define BENCH_LIB_CLOCK_H_

#include <time.h>

#include <cstdint>

namespace sallyport::bench {

// NowNs is CLOCK_MONOTONIC in nanoseconds.
inline uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace sallyport::bench

#endif  // BENCH_LIB_CLOCK_H_
