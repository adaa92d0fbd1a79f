// ServerState: what all workers know of one server, whether it is up and how much it has to do.
// Any thread, no lock (but for what it greets with); each call is a few atomic operations on a
// cache line of its own.
//
// Two things keep a server out of use:
//
//   quarantine   a connection to it failed. It is left out for kQuarantineMsMin; then one
//                connection may try (TryClaim), and while that fails, the time doubles up to
//                kQuarantineMsMax
//   unhealthy    its health check failed: until one passes, where there are checks
//
// down() is either of the two. What says that a call changed it is true once for each change,
// however many threads saw the same: for one line in the log.
#ifndef PROXY_SERVERS_SERVER_STATE_H_
#define PROXY_SERVERS_SERVER_STATE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/servers/learned_greeting.h"

namespace sallyport {

// How an attempt to connect ended.
enum class ConnectOutcome : uint8_t { kConnected, kRefused, kTimedOut, kFailed };
inline constexpr std::array<std::string_view, 4> kConnectOutcomes = {"connected", "refused",
                                                                     "timed_out", "failed"};

// Times to connect, in milliseconds: each bucket counts what took no longer.
inline constexpr std::array<uint32_t, 9> kConnectTimeBuckets = {1,   2,   5,    10,  25,
                                                                100, 250, 1000, 5000};

class alignas(64) ServerState {
 public:
  // text: as errors, logs and metrics name it.
  explicit ServerState(std::string text) : text_(std::move(text)) {}
  ServerState(const ServerState&) = delete;
  ServerState& operator=(const ServerState&) = delete;

  const std::string& text() const { return text_; }

  // --- Connections that are open or being opened.
  void Open() { open_.fetch_add(1, std::memory_order_relaxed); }
  void Close() { open_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t open() const { return open_.load(std::memory_order_relaxed); }

  // --- Whether to use it.
  bool unhealthy() const { return unhealthy_.load(std::memory_order_relaxed); }
  // retry_at_ms: when the quarantine ends; 0: there is none.
  uint64_t retry_at_ms() const { return retry_at_ms_.load(std::memory_order_relaxed); }
  bool down() const { return unhealthy() || retry_at_ms() != 0; }
  // TryClaim lets one caller try a server whose quarantine is over, and begins the next, longer
  // one, which Answered ends. False: there is nothing to claim.
  bool TryClaim(uint64_t now_ms);

  // --- What connections found. True: it went down; it is back.
  bool Failed(uint64_t now_ms);
  bool Answered();

  // --- What health checks found. True, likewise.
  bool CheckFailed();
  bool CheckPassed();
  // Unchecked: there are no more checks, so what the last one said is forgotten. True: it is back.
  bool Unchecked();

  LearnedGreeting& greeting() { return greeting_; }
  const LearnedGreeting& greeting() const { return greeting_; }

  // --- Counters.
  void CountConnect(ConnectOutcome outcome) {
    connects_[static_cast<size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t connects(ConnectOutcome outcome) const {
    return connects_[static_cast<size_t>(outcome)].load(std::memory_order_relaxed);
  }
  void CountConnectTime(uint64_t ms);
  // connect_times: of one bucket alone; the last is of what took longer than all.
  uint64_t connect_times(size_t bucket) const {
    return connect_times_[bucket].load(std::memory_order_relaxed);
  }
  uint64_t connect_ms_sum() const { return connect_ms_sum_.load(std::memory_order_relaxed); }
  // failures: connections that failed, or that it never greeted.
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  // True: nobody has been told yet.
  bool TellDown() { return !told_down_.exchange(true); }
  bool TellBack();

  std::atomic<uint64_t> retry_at_ms_{0};
  std::atomic<uint32_t> round_{0};  // How often the quarantine was prolonged.
  std::atomic<uint32_t> open_{0};
  std::atomic<bool> unhealthy_{false};
  std::atomic<bool> told_down_{false};
  std::atomic<uint64_t> failures_{0};
  std::array<std::atomic<uint64_t>, kConnectOutcomes.size()> connects_{};
  std::array<std::atomic<uint64_t>, kConnectTimeBuckets.size() + 1> connect_times_{};
  std::atomic<uint64_t> connect_ms_sum_{0};
  LearnedGreeting greeting_;
  const std::string text_;
};

}  // namespace sallyport

#endif  // PROXY_SERVERS_SERVER_STATE_H_
