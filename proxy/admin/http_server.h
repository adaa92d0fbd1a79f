// HttpServer: a small HTTP server that a hostile client can't make large. Names libmicrohttpd.
#ifndef PROXY_ADMIN_HTTP_SERVER_H_
#define PROXY_ADMIN_HTTP_SERVER_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/ring/address.h"

struct MHD_Connection;
struct MHD_Daemon;

namespace sallyport {

struct HttpReply {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// What was asked for; a body, if there is one, is not read. Views live as long as the call.
struct HttpRequest {
  std::string_view method;
  std::string_view path;  // What stands before '?'.
  MHD_Connection* connection = nullptr;

  // The first header of that name, in whatever case; the first argument behind '?', decoded. None:
  // there is no such.
  std::optional<std::string_view> Header(const char* name) const;
  std::optional<std::string_view> Argument(const char* name) const;
};

// HttpHandler runs on the server's thread.
using HttpHandler = std::function<HttpReply(const HttpRequest& request)>;

// The limits, and why:
struct HttpLimits {
  // A scraper or two and a health check need a handful. More wait in the listen backlog.
  unsigned connections_max = 64;
  // Holds a request's headers; longer ones get an error.
  size_t connection_bytes_max = 16 * 1024;
  // From accept to the reply's last byte. A limit on quiet time alone (what HTTP servers have) lets
  // a client keep its place for hours with a byte now and then, and 64 of those keep everybody out.
  std::chrono::milliseconds connection_time_max{10'000};
};

class HttpServer {
 public:
  // Start serves on the first of `addresses`, or the next where this machine lacks its family or
  // the address. kUnavailable: the address and the system's reason.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::vector<Address>& addresses,
                                                           HttpHandler handler,
                                                           const HttpLimits& limits = {});

  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The address as it was bound, with the real port.
  const Address& address() const { return address_; }

  // Stop closes all connections and joins the thread. Again: nothing.
  void Stop();

 private:
  struct Callbacks;  // What libmicrohttpd calls.

  struct Connection {
    int fd;
    std::chrono::steady_clock::time_point deadline;
  };

  HttpServer(HttpHandler handler, const HttpLimits& limits);

  absl::Status Open(const Address& address);
  void Run();
  int PollTimeout();
  void CloseOverdue();

  const HttpHandler handler_;
  const HttpLimits limits_;
  Address address_;
  MHD_Daemon* daemon_ = nullptr;
  int stop_fd_ = -1;  // An eventfd: readable once the thread is to end.
  std::thread thread_;

  // The thread's own.
  std::map<MHD_Connection*, Connection> connections_;
  bool run_again_ = false;
};

}  // namespace sallyport

#endif  // PROXY_ADMIN_HTTP_SERVER_H_
