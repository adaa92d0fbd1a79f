// What a run found out: as a line a second, as text, as JSON.
#ifndef BENCH_CLIENT_REPORT_H_
#define BENCH_CLIENT_REPORT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/client/run.h"
#include "bench/lib/histogram.h"

namespace sallyport::bench {

// One measured phase, over all threads.
struct Measurement {
  double seconds = 0;
  double cpu_seconds = 0;  // Of the processes under test.
  Histogram requests;
  Histogram connects;
};

struct Result {
  std::string scenario;
  std::vector<std::unique_ptr<Measurement>> phases;  // One; mixed: without the storm, with it.
  uint64_t held = 0;                                 // Connections logged in and held.
  double setup_seconds = 0;
  double setup_cpu_seconds = 0;
  uint64_t reply_bytes = 0;
  uint64_t request_bytes = 0;
  uint64_t resumed = 0;
  uint64_t errors = 0;
  std::string first_error;
  std::string tls;  // "TLSv1.3 TLS_AES_128_GCM_SHA256", or empty.
  bool has_process = false;
  uint64_t rss_before = 0;  // Of the processes under test, before the first connection.
  uint64_t rss_after = 0;   // At the end of the measurement, connections held.
  // Resident memory while connections were added: (connections, bytes).
  std::vector<std::pair<uint64_t, uint64_t>> growth;
  double own_cpu_seconds = 0;  // Of this process, in the measured phases.
};

std::string ResultText(const Result& result);
std::string ResultJson(const Result& result);

// Progress prints what happened since its last line, to stderr.
class Progress {
 public:
  void Print(const Run& run, double seconds);

 private:
  uint64_t bytes_ = 0;
  std::unique_ptr<Histogram> last_ = std::make_unique<Histogram>();
  int second_ = 0;
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_REPORT_H_
