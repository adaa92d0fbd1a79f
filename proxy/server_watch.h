// ServerWatch: the services in force, and what changes them or their servers' states beside the
// workers: names that are looked up again, health checks.
#ifndef PROXY_SERVER_WATCH_H_
#define PROXY_SERVER_WATCH_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/servers/health_watch.h"
#include "proxy/servers/name_watch.h"
#include "proxy/servers/server_registry.h"
#include "proxy/worker.h"

namespace sallyport {

// Any thread.
class ServerWatch {
 public:
  // publish: gives workers the snapshots that are in force from now on; it is called by Put and by
  // the thread that looks names up, one call at a time.
  explicit ServerWatch(std::function<void(const Services&)> publish);

  ServerRegistry* registry() { return &registry_; }
  const ServerRegistry& registry() const { return registry_; }

  // Put puts `services` into force.
  void Put(Services services);
  // Start begins to look names up and to check servers, in threads. Once, after a Put, when whom
  // publish tells is all there.
  void Start();
  Services services() const;

  // WhyNotReady: the first listener with no server that is up, as text; empty: there is none.
  std::string WhyNotReady() const;

 private:
  void OnNamesChanged(uint64_t generation, size_t listener, const std::vector<ResolvedName>& names);
  void Publish();
  void Watch();

  const std::function<void(const Services&)> publish_;
  ServerRegistry registry_;
  mutable std::mutex mutex_;
  Services services_;        // Guarded by mutex_, as the next.
  uint64_t generation_ = 0;  // Of what the NameWatch has.
  bool started_ = false;
  HealthWatch health_;
  NameWatch names_;  // Last: its thread uses what stands above.
};

}  // namespace sallyport

#endif  // PROXY_SERVER_WATCH_H_
