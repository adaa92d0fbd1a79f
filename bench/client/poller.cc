#include "bench/client/poller.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "bench/lib/clock.h"

namespace sallyport::bench {
namespace {

// How long a thread without traffic may take to notice that the run goes on.
constexpr uint64_t kPhaseLatencyNs = 10'000'000;

}  // namespace

Poller::Poller() : fd_(epoll_create1(EPOLL_CLOEXEC)), events_(256) {
  // By default the kernel may wake a thread 50 us late, which an open loop would count as latency.
  prctl(PR_SET_TIMERSLACK, 1);
}

Poller::~Poller() { close(fd_); }

std::span<const epoll_event> Poller::Wait(uint64_t deadline_ns) {
  const uint64_t now = NowNs();
  const uint64_t left = deadline_ns > now ? std::min(deadline_ns - now, kPhaseLatencyNs) : 0;
  const timespec timeout = {.tv_sec = 0, .tv_nsec = static_cast<long>(left)};  // NOLINT
  const int count =
      epoll_pwait2(fd_, events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
  return std::span<const epoll_event>(events_).first(count < 0 ? 0 : static_cast<size_t>(count));
}

}  // namespace sallyport::bench
