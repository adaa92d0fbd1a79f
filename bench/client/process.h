// What the kernel says of the processes under test.
#ifndef BENCH_CLIENT_PROCESS_H_
#define BENCH_CLIENT_PROCESS_H_

#include <cstdint>
#include <string_view>
#include <vector>

namespace sallyport::bench {

// One or more processes, seen as one.
class Processes {
 public:
  // "123" or "123,456"; empty for none. False: not a list of pids.
  bool Parse(std::string_view text);

  bool empty() const { return pids_.empty(); }
  // CpuSeconds: utime and stime of all threads, those that ended included.
  double CpuSeconds() const;
  // RssBytes: resident memory.
  uint64_t RssBytes() const;

 private:
  std::vector<int> pids_;
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_PROCESS_H_
