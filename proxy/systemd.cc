#include "proxy/systemd.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <algorithm>
#include <string>

namespace sallyport {

void NotifyReady() { sd_notify(0, "READY=1"); }

// The time tells the manager that this, and not an earlier RELOADING, answers its signal.
void NotifyReloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const uint64_t now_us =
      static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_us)).c_str());
}

void NotifyStopping(uint64_t ms) {
  // What comes after the last wait: sessions are told, the log is written.
  constexpr uint64_t kBesideMs = 10'000;
  const uint64_t us = 1000 * (ms + kBesideMs);
  sd_notify(0, ("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(us)).c_str());
}

void NotifyStatus(const std::string& status) { sd_notify(0, ("STATUS=" + status).c_str()); }

uint32_t WatchdogMs() {
  uint64_t interval_us = 0;
  if (sd_watchdog_enabled(0, &interval_us) <= 0) return 0;
  constexpr uint64_t kHourMs = 3'600'000;
  return static_cast<uint32_t>(std::clamp<uint64_t>(interval_us / 1000, 1, kHourMs));
}

void FeedWatchdog() { sd_notify(0, "WATCHDOG=1"); }

}  // namespace sallyport
