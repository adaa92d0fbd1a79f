// HealthWatch: the thread that makes health checks, all that are due at once.
#ifndef PROXY_SERVERS_HEALTH_WATCH_H_
#define PROXY_SERVERS_HEALTH_WATCH_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "proxy/ring/address.h"
#include "proxy/servers/health_check.h"
#include "proxy/servers/server_state.h"

namespace sallyport {

// A server to check. interval_ms 0: only until its greeting is known (LearnedGreeting::known).
// REQUIRES: state.
struct HealthTarget {
  Address address;
  std::shared_ptr<ServerState> state;
  uint32_t interval_ms = 0;
  uint32_t timeout_ms = 0;
  int proxy_protocol = 0;  // As HealthCheck takes it.
};

class HealthWatch {
 public:
  HealthWatch();
  ~HealthWatch();  // Ends the thread, and with it the checks that are under way.
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

  // Set says what to check from now on; the first call with a target starts the thread, which takes
  // over the caller's signal mask. Of targets with the same state the first counts. One that stays
  // keeps its time; one that goes counts as healthy again. Any thread.
  void Set(std::vector<HealthTarget> targets);

 private:
  struct Patient {
    HealthTarget target;
    uint64_t due_ms = 0;  // When to begin, or, once begun, to give up.
    std::unique_ptr<HealthCheck> check;
  };

  void Run();
  void TakeTargets();
  void Begin(Patient* patient, uint64_t now_ms);
  void GoOn(Patient* patient, uint64_t now_ms);
  void Conclude(Patient* patient, HealthCheck::Result result, uint64_t now_ms);
  uint64_t WaitAndStep();

  int wake_fd_;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<HealthTarget> posted_;  // This and the next three are guarded by mutex_.
  bool has_posted_ = false;
  bool stopping_ = false;
  bool started_ = false;

  // The thread's own.
  std::vector<Patient> patients_;
  std::unique_ptr<uint8_t[]> room_;
  std::unique_ptr<Outboxes> outboxes_;
};

}  // namespace sallyport

#endif  // PROXY_SERVERS_HEALTH_WATCH_H_
