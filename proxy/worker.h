// Worker: one thread with its ring, its listening sockets and every connection that it accepted.
// Workers share nothing that changes but Service's connections_open and signers.
#ifndef PROXY_WORKER_H_
#define PROXY_WORKER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "proxy/connection.h"
#include "proxy/ring/ring.h"
#include "proxy/service.h"
#include "proxy/stats.h"
#include "proxy/timer_wheel.h"

namespace sallyport {

class Worker {
 public:
  // service outlives the worker. listen_fds are the worker's own (SO_REUSEPORT) and are owned from
  // here on. index tells workers apart, in connection ids too.
  Worker(const Service* service, int index, std::unique_ptr<Ring> ring,
         std::vector<int> listen_fds);
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

  // For any thread. Drain: stop accepting, end when the last connection has. Stop: end them all
  // now.
  void Drain() { Request(Order::kDrain); }
  void Stop() { Request(Order::kStop); }

  const Stats& stats() const { return stats_; }

 private:
  enum class Order : uint8_t { kServe, kDrain, kStop };
  struct Slot {
    uint16_t generation = 0;
    std::unique_ptr<Connection> connection;
  };

  void Request(Order order);
  void End();
  void StepHandshakes();
  void Dispatch(const Completion& completion);
  void OnAccept(const Completion& completion);
  void ArmAccept(uint32_t listener);
  void RefuseTooMany(int fd);
  void Adopt(int fd);
  void FreeFinished();
  Connection* Find(SlotTag tag);
  void OnWake();
  void ObeyOrder();
  void StopListening();

  const Service* const service_;
  const int index_;
  std::unique_ptr<Ring> ring_;
  std::vector<int> listen_fds_;
  std::vector<bool> accept_in_flight_;
  const std::shared_ptr<SignatureInbox> inbox_;  // Its wake-up is for orders too.
  std::atomic<Order> order_{Order::kServe};
  std::atomic<bool> ended_{false};
  Order obeyed_ = Order::kServe;

  std::thread thread_;
  std::unique_ptr<TimerWheel> timers_;
  std::unique_ptr<uint8_t[]> receive_room_;
  Workbench bench_;
  Timer accept_pause_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  uint64_t accepted_ = 0;
  uint32_t open_ = 0;
  Stats stats_;
};

}  // namespace sallyport

#endif  // PROXY_WORKER_H_
