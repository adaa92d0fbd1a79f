// StormThread: connections that come, log in, ask once, and go.
#ifndef BENCH_CLIENT_STORM_H_
#define BENCH_CLIENT_STORM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/client/connection.h"
#include "bench/client/poller.h"
#include "bench/client/run.h"

namespace sallyport::bench {

class StormThread {
 public:
  // Up to `slots` connections under way at once; `rate` new ones a second (0: as fast as they go).
  // It blows from phase `from` on.
  StormThread(Run* run, Tally* tally, uint64_t slots, double rate, Phase from);

  void Loop();

 private:
  struct Slot {
    std::unique_ptr<ClientConnection> connection;
    uint32_t generation = 0;  // So that an event of the one before isn't taken for this one's.
    uint64_t due_ns = 0;
  };

  void StartDue();
  void OnReady(const epoll_event& event);
  void OnEvent(uint32_t index, ClientConnection::Event event);
  void End(uint32_t index);

  Run* run_;
  Tally* tally_;
  Phase from_;
  Poller poller_;
  TlsClientContext tls_;
  ClientScratch scratch_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  Pacer pacer_;
  bool started_ = false;
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_STORM_H_
