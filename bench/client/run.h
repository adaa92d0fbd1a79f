// What the load generator's threads share: the plan, the moment, and what each has counted.
#ifndef BENCH_CLIENT_RUN_H_
#define BENCH_CLIENT_RUN_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bench/client/connection.h"
#include "bench/lib/histogram.h"

namespace sallyport::bench {

enum class Scenario { kQuery, kDownload, kUpload, kConnect, kIdle, kMixed };

// The phases of a run, in order. Only kMixed has both: kMeasure without the storm, kStorm with it.
enum class Phase { kSetup, kWarmup, kMeasure, kStorm, kStop };
inline constexpr size_t kMeasuredPhases = 2;

struct Plan {
  Scenario scenario = Scenario::kQuery;
  ConnectionOptions connection;
  bool resume = false;
  std::string tls_version;
  uint64_t connections = 32;  // Held; for kConnect, how many may be under way at once.
  uint64_t crowd = 0;  // Connections held beside them that stay idle.
  uint64_t threads = 1;
  double rate = 0;        // Requests (kConnect: connections) a second; 0: as fast as answers come.
  double storm_rate = 0;  // kMixed: new connections a second.
  uint64_t storm_connections = 0;  // kMixed: how many of them may be under way at once.
  std::string request;             // Whole packets.
};

// Tally is what one thread counts. One writer; the reporter reads beside it.
struct Tally {
  // Histograms by phase (kMeasure, kStorm): from a request's due time to its answer's end.
  std::array<Histogram, kMeasuredPhases> requests;
  // From a connection's due time to the answer of its one query.
  std::array<Histogram, kMeasuredPhases> connects;
  std::atomic<uint64_t> reply_bytes{0};
  std::atomic<uint64_t> request_bytes{0};
  std::atomic<uint64_t> resumed{0};
  std::atomic<uint64_t> errors{0};
};

inline void Increase(std::atomic<uint64_t>* counter, uint64_t by) {
  counter->store(counter->load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

class Run {
 public:
  explicit Run(const Plan& the_plan) : plan(the_plan) {}

  Phase phase() const { return phase_.load(std::memory_order_acquire); }
  // Begin moves on to `phase`. Traffic starts with kWarmup, at start_ns().
  void Begin(Phase phase, uint64_t now_ns);
  uint64_t start_ns() const { return start_ns_; }
  // Measured: the index of the tally's histograms for now; false outside the measured phases.
  bool Measured(size_t* index) const;

  // NoteError counts an error and keeps the first one's text.
  void NoteError(Tally* tally, const std::string& text);
  std::string first_error() const;
  // NoteTls keeps what was negotiated, once.
  void NoteTls(const std::string& description);
  std::string tls_description() const;

  const Plan plan;
  std::atomic<uint64_t> logged_in{0};  // Of the held connections.
  std::vector<std::unique_ptr<Tally>> tallies;

 private:
  std::atomic<Phase> phase_{Phase::kSetup};
  uint64_t start_ns_ = 0;
  mutable std::mutex mutex_;
  std::string first_error_;
  std::string tls_description_;
};

// Pacer gives the due times of an open loop: request k is due k / rate after the start, whatever
// became of those before. Latency counts from there, so that a slow answer makes those behind it
// late too (no coordinated omission).
class Pacer {
 public:
  Pacer(double rate, double first) : interval_ns_(rate > 0 ? 1e9 / rate : 0), next_(first) {}

  void Start(uint64_t start_ns) { start_ns_ = start_ns; }
  bool paced() const { return interval_ns_ > 0; }
  uint64_t due_ns() const { return start_ns_ + static_cast<uint64_t>(next_ * interval_ns_); }
  void Step(double by) { next_ += by; }

 private:
  double interval_ns_;
  double next_;
  uint64_t start_ns_ = 0;
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_RUN_H_
