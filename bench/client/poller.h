// Poller: a thread's epoll, with deadlines finer than a millisecond.
#ifndef BENCH_CLIENT_POLLER_H_
#define BENCH_CLIENT_POLLER_H_

#include <sys/epoll.h>

#include <cstdint>
#include <span>
#include <vector>

namespace sallyport::bench {

class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  int fd() const { return fd_; }
  // Wait returns what is ready at `deadline_ns` (of NowNs) at the latest, and in any case soon
  // enough to see a new phase.
  std::span<const epoll_event> Wait(uint64_t deadline_ns);

 private:
  int fd_;
  std::vector<epoll_event> events_;
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_POLLER_H_
