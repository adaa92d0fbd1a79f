// Admin: the HTTP server that tells an operator how the proxy fares. /healthz and /metrics.
#ifndef PROXY_ADMIN_ADMIN_H_
#define PROXY_ADMIN_ADMIN_H_

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/admin/http_server.h"
#include "proxy/admin/metrics.h"
#include "proxy/stats.h"

namespace sallyport {

// Admin serves from one thread of its own. However many connect, and however slowly they ask: at
// most 64 connections, 16 KiB of memory and 10 s for each, one request a connection.
//
//   GET /healthz   200 "ok"; 503 "stopping" after SetStopping
//   GET /readyz    likewise
//   GET /metrics   Prometheus' text format: the workers' Stats summed, build and start time
class Admin {
 public:
  // Start listens on `address` ("host:port", port 0 for any free one; not a unix socket) and starts
  // to serve. kInvalidArgument, kUnavailable: what is wrong with the address. `workers` must live
  // until Stop has returned; they are read while their owners count.
  // `listener`: a listening socket to serve on instead, which is Admin's from here on; or -1.
  static absl::StatusOr<std::unique_ptr<Admin>> Start(std::string_view address,
                                                      std::vector<const Stats*> workers,
                                                      int listener = -1);

  ~Admin();  // Stops.
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // address is "127.0.0.1:6034": the real port where 0 was asked for.
  std::string address() const;
  // listener is the socket, for another process to serve on; it stays Admin's.
  int listener() const { return server_->listener(); }

  // StopAccepting leaves new connections to that process.
  void StopAccepting() { server_->StopAccepting(); }

  // SetStopping makes /healthz fail, so that load balancers look elsewhere. Any thread.
  void SetStopping();

  // Stop closes all connections and returns when the thread has ended. Again: nothing.
  void Stop();

 private:
  explicit Admin(std::vector<const Stats*> workers);

  HttpReply Answer(std::string_view method, std::string_view path) const;

  const Metrics metrics_;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<HttpServer> server_;  // Last: its thread uses what stands above.
};

}  // namespace sallyport

#endif  // PROXY_ADMIN_ADMIN_H_
