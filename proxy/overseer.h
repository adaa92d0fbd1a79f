// Overseer: what an operator's requests come to. It asks the workers, and never waits for long.
#ifndef PROXY_OVERSEER_H_
#define PROXY_OVERSEER_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/inspect.h"
#include "proxy/server_drains.h"
#include "proxy/worker.h"

namespace sallyport {

// Any thread may call it, but only one at a time gets answers quickly. Workers that have ended have
// no sessions.
class Overseer {
 public:
  // workers and drains outlive it. listen: each listener's addresses, in the order of the services.
  Overseer(std::vector<Worker*> workers, ServerDrains* drains,
           std::vector<std::vector<std::string>> listen)
      : workers_(std::move(workers)), drains_(drains), listen_(std::move(listen)) {}

  // SetServices tells of the snapshots that connections get from now on.
  void SetServices(Services services);

  // ListSessions goes on at `after` (0, or a list's `next`), to count_max sessions: those of the
  // first worker first. It takes a second at most; whatever did not come by then is missing.
  SessionList ListSessions(uint64_t after, uint32_t count_max) const;
  CloseOutcome CloseSession(uint64_t id) const;
  // DrainServer: no new connections to it, or again some; false where no listener has that server.
  bool DrainServer(std::string_view server, bool drained);
  std::vector<ListenerFacts> Listeners() const;

 private:
  Services services() const;

  const std::vector<Worker*> workers_;
  ServerDrains* const drains_;
  const std::vector<std::vector<std::string>> listen_;
  mutable std::mutex mutex_;
  Services services_;  // Guarded by mutex_.
};

}  // namespace sallyport

#endif  // PROXY_OVERSEER_H_
