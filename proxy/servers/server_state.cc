#include "proxy/servers/server_state.h"

#include <algorithm>

#include "proxy/limits.h"

namespace sallyport {
namespace {

uint64_t QuarantineMs(uint32_t round) {
  const uint32_t doublings = std::min<uint32_t>(round, 16);
  return std::min(kQuarantineMsMin << doublings, kQuarantineMsMax);
}

}  // namespace

bool ServerState::TryClaim(uint64_t now_ms) {
  uint64_t retry_at_ms = retry_at_ms_.load();
  if (retry_at_ms == 0 || retry_at_ms > now_ms || unhealthy()) return false;
  const uint32_t round = round_.load() + 1;
  if (!retry_at_ms_.compare_exchange_strong(retry_at_ms, now_ms + QuarantineMs(round))) {
    return false;  // Another was faster.
  }
  round_.store(round);
  return true;
}

// Within a quarantine it changes nothing: only TryClaim prolongs it, once a round, so that a
// thousand connections that fail together count once.
bool ServerState::Failed(uint64_t now_ms) {
  failures_.fetch_add(1, std::memory_order_relaxed);
  uint64_t none = 0;
  if (!retry_at_ms_.compare_exchange_strong(none, now_ms + QuarantineMs(0))) return false;
  round_.store(0);
  return TellDown();
}

bool ServerState::Answered() {
  // Every connection comes by: where all is well, nothing is written.
  if (retry_at_ms() == 0) return false;
  retry_at_ms_.store(0);
  return TellBack();
}

bool ServerState::CheckFailed() {
  unhealthy_.store(true);
  return TellDown();
}

bool ServerState::CheckPassed() {
  unhealthy_.store(false);
  retry_at_ms_.store(0);
  return TellBack();
}

bool ServerState::Unchecked() { return unhealthy_.exchange(false) && TellBack(); }

bool ServerState::TellBack() { return !down() && told_down_.exchange(false); }

void ServerState::CountConnectTime(uint64_t ms) {
  const auto bucket = std::lower_bound(kConnectTimeBuckets.begin(), kConnectTimeBuckets.end(), ms);
  const auto index = static_cast<size_t>(bucket - kConnectTimeBuckets.begin());
  connect_times_[index].fetch_add(1, std::memory_order_relaxed);
  connect_ms_sum_.fetch_add(ms, std::memory_order_relaxed);
}

}  // namespace sallyport
