// SteadyThread: connections that log in once and then send requests, or just stay.
#ifndef BENCH_CLIENT_STEADY_H_
#define BENCH_CLIENT_STEADY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/client/connection.h"
#include "bench/client/poller.h"
#include "bench/client/run.h"

namespace sallyport::bench {

class SteadyThread {
 public:
  // It holds `connections` of them and sends `rate` requests a second (0: closed loop); `index`
  // spreads the threads' due times. With `silent` each sends one request and stays idle.
  SteadyThread(Run* run, Tally* tally, uint64_t connections, double rate, uint64_t index,
               bool silent);

  // Loop returns when the run stops.
  void Loop();

 private:
  struct Held {
    Held(double rate, double first) : pacer(rate, first) {}
    std::unique_ptr<ClientConnection> connection;
    Pacer pacer;
    uint64_t due_ns = 0;  // Of the request under way.
  };

  void LogInMore();
  void StartTraffic();
  void SendDue();
  void SendNow(Held* held, uint64_t due_ns);
  void OnReady(const epoll_event& event);
  void OnEvent(Held* held, ClientConnection::Event event);
  void OnReply(Held* held);

  Run* run_;
  Tally* tally_;
  bool silent_;
  Poller poller_;
  TlsClientContext tls_;
  ClientScratch scratch_;
  std::vector<Held> held_;
  size_t started_ = 0;  // Connections begun.
  size_t logging_in_ = 0;
  bool traffic_ = false;
  size_t next_ = 0;  // Open loop: whose request is due next. They take turns.
  Pacer pacer_;      // And when.
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_STEADY_H_
