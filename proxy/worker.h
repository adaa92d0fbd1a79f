// Worker: one thread with its ring, its listening sockets and every connection that it accepted.
// Workers share nothing that changes but OpenCounts and signers.
#ifndef PROXY_WORKER_H_
#define PROXY_WORKER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "proxy/connection.h"
#include "proxy/inspect.h"
#include "proxy/ring/ring.h"
#include "proxy/service.h"
#include "proxy/stats.h"
#include "proxy/timer_wheel.h"

namespace sallyport {

// One per listener, in the order of the configuration.
using Services = std::vector<std::shared_ptr<const Service>>;

struct ListenSocket {
  int fd = -1;
  uint32_t listener = 0;  // The place of its Service.
  bool accept_in_flight = false;
};

class Worker {
 public:
  // sockets are the worker's own (SO_REUSEPORT) and are owned from here on. index tells workers
  // apart, in connection ids too.
  Worker(Services services, int index, std::unique_ptr<Ring> ring,
         std::vector<ListenSocket> sockets);
  ~Worker();  // REQUIRES: Join returned, or Start never succeeded; or quiet().
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The loop, for a thread that drives it itself (a simulation does): Begin starts the ring on the
  // calling thread and begins to listen; then Turn, as often as it likes, until quiet.
  absl::Status Begin();
  void Turn();
  bool quiet() const;

  // Start does so on a thread of the worker's own. It returns once the ring stands or failed to.
  // cpu: the one that the thread is bound to, where the kernel lets it; negative: any.
  absl::Status Start(int cpu = -1);
  // Join waits for the thread's end; ended says whether it would return at once.
  void Join();
  bool ended() const { return ended_.load(std::memory_order_acquire); }

  // Hold, before Start: the loop runs, but accepts nobody before Serve.
  void Hold();
  void Serve() { Request(Order::kServe); }

  // For any thread. Drain: stop accepting, end when the last connection has. Stop: end them all
  // now.
  void Drain() { Request(Order::kDrain); }
  void Stop() { Request(Order::kStop); }
  // Replace gives other services, as many as there were, to the connections that come from now on:
  // none that begins after it returned gets the old ones.
  void Replace(Services services);
  // Ping asks for a sign of life; answered says whether the last one was given.
  void Ping();
  bool answered() const { return pings_answered_.load() == pings_.load(); }
  // List and CloseSession are errands that the worker does between two events. The result comes in
  // its time, or never (the worker has ended, or hangs): wait with a limit. Not valid: too many
  // wait already. CloseSession: false where no connection has that id.
  std::future<SessionPage> List(const SessionQuery& query);
  std::future<bool> CloseSession(uint64_t id);

  // Their work, for a thread that drives the loop itself.
  SessionPage ListNow(const SessionQuery& query) const;
  bool CloseNow(uint64_t id);

  const Stats& stats() const { return stats_; }

 private:
  enum class Order : uint8_t { kHold, kServe, kDrain, kStop };
  struct Slot {
    uint16_t generation = 0;
    std::unique_ptr<Connection> connection;
  };

  void Request(Order order);
  void End();
  void NoteTurn();
  void StepHandshakes();
  void Dispatch(const Completion& completion);
  void OnAccept(const Completion& completion);
  void ArmAccept(uint32_t index);
  void ArmAccepts();
  void Adopt(int fd, const std::shared_ptr<const Service>& service);
  void Refuse(int fd, const Service& service, const packet::Error& error, Refusal refusal);
  void RefuseTooMany(int fd, const Service& service, Refusal refusal);
  void FreeFinished();
  Connection* Find(SlotTag tag);
  void TellLeftOut();
  template <typename Result>
  std::future<Result> Post(std::function<Result()> errand);
  void DoErrands();
  void OnWake();
  void ObeyOrder();
  void TakeServices();
  void StopListening();

  Services services_;
  const int index_;
  std::unique_ptr<Ring> ring_;
  std::vector<ListenSocket> sockets_;
  const std::shared_ptr<SignatureInbox> inbox_;  // Its wake-up is for all that others ask for.
  std::atomic<Order> order_{Order::kServe};
  std::atomic<uint32_t> pings_{0};
  std::atomic<uint32_t> pings_answered_{0};
  std::mutex posted_mutex_;
  Services posted_;                             // Guarded by posted_mutex_; empty: nothing new.
  std::vector<std::function<void()>> errands_;  // Likewise.
  std::atomic<bool> ended_{false};
  Order obeyed_ = Order::kServe;

  std::thread thread_;
  std::unique_ptr<TimerWheel> timers_;
  std::unique_ptr<uint8_t[]> receive_room_;
  Workbench bench_;
  Timer accept_pause_;
  Timer left_out_due_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  uint64_t accepted_ = 0;
  uint32_t open_ = 0;
  bool busy_ = false;  // The turn had something to do.
  Stats stats_;
};

}  // namespace sallyport

#endif  // PROXY_WORKER_H_
