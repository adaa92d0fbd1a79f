// Admin: the HTTP server that tells an operator how the proxy fares, and does what he asks.
#ifndef PROXY_ADMIN_ADMIN_H_
#define PROXY_ADMIN_ADMIN_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/admin/http_server.h"
#include "proxy/admin/json.h"
#include "proxy/admin/metrics.h"
#include "proxy/inspect.h"
#include "proxy/stats.h"

namespace sallyport {

// What Admin tells of. All of it must live until Stop has returned.
struct AdminSource {
  std::vector<const Stats*> workers;  // Read while their owners count.
  std::string io_engine;              // The rings' name.
  // As Overseer has them; they run on Admin's thread.
  std::function<SessionList(uint64_t after, uint32_t count_max)> list_sessions;
  std::function<CloseOutcome(uint64_t id)> close_session;
  std::function<bool(std::string_view server, bool drained)> drain_server;
  std::function<std::vector<ListenerFacts>()> listeners;
};

// Admin serves from one thread of its own. However many connect, and however slowly they ask: at
// most 64 connections, 16 KiB of memory and 10 s for each, one request a connection.
//
//   GET  /healthz           200 "ok"; 503 "stopping" after SetStopping
//   GET  /readyz            likewise; 503 "drained" where a listener has no server in use
//   GET  /metrics           Prometheus' text format: the workers' Stats summed, build, start time
//   GET  /                  the status page, with /status.js and /status.css; it reads
//   GET  /status.json       what json.h says
//   GET  /sessions.json     the open sessions: ?limit=100 (1000 at most) &after=NEXT
//   POST /sessions/close    ?id=ID: 200, 404 no such session, 503 its worker doesn't answer
//   POST /servers/drain     ?server=TEXT: no new connections to it, and /servers/undrain;
//                           404: no listener has it
//
// All but the first three are for who calls this host by address or as localhost (421), and POSTs
// want the header X-Sallyport and no page of others behind them (403): access.h.
class Admin {
 public:
  // Start listens on `address` ("host:port", port 0 for any free one; not a unix socket) and starts
  // to serve. kInvalidArgument, kUnavailable: what is wrong with the address.
  static absl::StatusOr<std::unique_ptr<Admin>> Start(std::string_view address, AdminSource source);

  ~Admin();  // Stops.
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // address is "127.0.0.1:6034": the real port where 0 was asked for.
  std::string address() const;

  // SetStopping makes /healthz fail, so that load balancers look elsewhere. Any thread.
  void SetStopping();

  // Stop closes all connections and returns when the thread has ended. Again: nothing.
  void Stop();

 private:
  explicit Admin(AdminSource source);

  struct Route;

  HttpReply Answer(const HttpRequest& request);
  HttpReply Health(const HttpRequest&);
  HttpReply Ready(const HttpRequest&);
  HttpReply MetricsText(const HttpRequest&);
  HttpReply StatusJson(const HttpRequest&);
  HttpReply SessionsJson(const HttpRequest& request);
  HttpReply CloseSession(const HttpRequest& request);
  HttpReply DrainServer(const HttpRequest& request);
  HttpReply Page(const HttpRequest& request);
  void RefreshCensus();

  static const Route kRoutes[];

  const AdminSource source_;
  const double start_time_;
  const Metrics metrics_;
  std::atomic<bool> stopping_{false};
  // The server's thread's own.
  Census census_;
  std::optional<std::chrono::steady_clock::time_point> census_taken_;
  std::unique_ptr<HttpServer> server_;  // Last: its thread uses what stands above.
};

}  // namespace sallyport

#endif  // PROXY_ADMIN_ADMIN_H_
