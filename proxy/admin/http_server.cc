// Why libmicrohttpd: one thread with epoll, and limits on connections and memory. Debian's
// cpp-httplib takes a thread a connection, queues what comes while those are busy without limit
// (each with its descriptor, which the proxy needs for clients), and brings OpenSSL into a process
// that has BoringSSL.
#include "proxy/admin/http_server.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sallyport {
namespace {

using std::chrono::steady_clock;

constexpr int kBacklog = 128;

// How late a connection past its deadline may be noticed.
constexpr int kOverdueCheckMs = 250;

// A listening socket, or -errno.
int OpenListener(const Address& address) {
  const int fd =
      socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, /*protocol=*/0);
  if (fd < 0) return -errno;
  // No SO_REUSEPORT as for clients: a second proxy on this port would answer half of the scrapes.
  const int on = 1, off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address.family() == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  if (bind(fd, address.get(), address.size()) != 0 || listen(fd, kBacklog) != 0) {
    const int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

Address BoundAddress(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  return Address(reinterpret_cast<const sockaddr*>(&storage), size);
}

MHD_Result Send(MHD_Connection* connection, const HttpReply& reply) {
  MHD_Response* response =
      MHD_create_response_from_buffer(reply.body.size(), const_cast<char*>(reply.body.data()),
                                      MHD_RESPMEM_MUST_COPY);  // So it does not write to it.
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", reply.content_type.c_str());
  MHD_add_response_header(response, "Cache-Control", "no-store");
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  // One request each: the time limit is the connection's, and scrapes are far apart.
  MHD_add_response_header(response, "Connection", "close");
  for (const auto& [name, value] : reply.headers) {
    MHD_add_response_header(response, name.c_str(), value.c_str());
  }
  const MHD_Result result =
      MHD_queue_response(connection, static_cast<unsigned>(reply.status), response);
  MHD_destroy_response(response);
  return result;
}

}  // namespace

struct HttpServer::Callbacks {
  static MHD_Result Answer(void* self, MHD_Connection* connection, const char* url,
                           const char* method, const char* /*version*/, const char* /*upload*/,
                           size_t* /*upload_size*/, void** /*request*/) {
    const HttpRequest request = {.method = method, .path = url, .connection = connection};
    return Send(connection, static_cast<HttpServer*>(self)->handler_(request));
  }

  static void Notify(void* self, MHD_Connection* connection, void** /*context*/,
                     MHD_ConnectionNotificationCode code) {
    HttpServer& server = *static_cast<HttpServer*>(self);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
      server.connections_.erase(connection);
      server.run_again_ = true;
      return;
    }
    const MHD_ConnectionInfo* info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const steady_clock::time_point deadline =
        steady_clock::now() + server.limits_.connection_time_max;
    server.connections_.emplace(connection, Connection{info->connect_fd, deadline});
  }
};

namespace {

std::optional<std::string_view> Lookup(MHD_Connection* connection, MHD_ValueKind kind,
                                       const char* name) {
  const char* value = MHD_lookup_connection_value(connection, kind, name);
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string_view> HttpRequest::Header(const char* name) const {
  return Lookup(connection, MHD_HEADER_KIND, name);
}

std::optional<std::string_view> HttpRequest::Argument(const char* name) const {
  return Lookup(connection, MHD_GET_ARGUMENT_KIND, name);
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::vector<Address>& addresses,
                                                              HttpHandler handler,
                                                              const HttpLimits& limits) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(handler), limits));
  absl::Status status = absl::UnavailableError("no address");
  for (const Address& address : addresses) {
    status = server->Open(address);
    if (!absl::IsNotFound(status)) break;
  }
  if (absl::IsNotFound(status)) return absl::UnavailableError(status.message());
  if (!status.ok()) return status;

  // Signals are the main thread's business: what is blocked here is blocked in the new thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  server->thread_ = std::thread(&HttpServer::Run, server.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(server->thread_.native_handle(), "admin");
  return server;
}

HttpServer::HttpServer(HttpHandler handler, const HttpLimits& limits)
    : handler_(std::move(handler)), limits_(limits) {}

HttpServer::~HttpServer() { Stop(); }

void HttpServer::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(stop_fd_, &one, sizeof(one));
    thread_.join();
  }
  if (daemon_ != nullptr) MHD_stop_daemon(daemon_);  // Closes the listener too.
  daemon_ = nullptr;
  if (stop_fd_ >= 0) close(stop_fd_);
  stop_fd_ = -1;
}

// kNotFound: this machine does not have such an address.
absl::Status HttpServer::Open(const Address& address) {
  const int listener = OpenListener(address);
  if (listener < 0) {
    const std::string message = address.ToString() + ": " + std::strerror(-listener);
    const bool absent = listener == -EADDRNOTAVAIL || listener == -EAFNOSUPPORT;
    return absent ? absl::NotFoundError(message) : absl::UnavailableError(message);
  }
  address_ = BoundAddress(listener);
  stop_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd_ >= 0) {
    daemon_ = MHD_start_daemon(MHD_USE_EPOLL, 0, nullptr, nullptr, &Callbacks::Answer, this,      //
                               MHD_OPTION_LISTEN_SOCKET, listener,                                //
                               MHD_OPTION_CONNECTION_LIMIT, limits_.connections_max,              //
                               MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits_.connection_bytes_max,  //
                               MHD_OPTION_NOTIFY_CONNECTION, &Callbacks::Notify,
                               static_cast<void*>(this),  //
                               MHD_OPTION_END);
  }
  if (daemon_ != nullptr) return absl::OkStatus();
  close(listener);
  return absl::ResourceExhaustedError(address.ToString() + ": the HTTP server does not start");
}

void HttpServer::Run() {
  const int epoll_fd = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
  for (;;) {
    pollfd fds[] = {{.fd = stop_fd_, .events = POLLIN, .revents = 0},
                    {.fd = epoll_fd, .events = POLLIN, .revents = 0}};
    poll(fds, std::size(fds), PollTimeout());
    if (fds[0].revents != 0) return;
    MHD_run(daemon_);
    CloseOverdue();
  }
}

int HttpServer::PollTimeout() {
  // At its limit the library stops accepting, and only looks whether it may again when it begins to
  // run: the run that ended the connection came too early for that.
  if (std::exchange(run_again_, false)) return 0;
  MHD_UNSIGNED_LONG_LONG wanted = 0;
  const bool limited = MHD_get_timeout(daemon_, &wanted) == MHD_YES;
  if (!limited && connections_.empty()) return -1;
  constexpr MHD_UNSIGNED_LONG_LONG kLongest = kOverdueCheckMs;
  return static_cast<int>(limited ? std::min(wanted, kLongest) : kLongest);
}

void HttpServer::CloseOverdue() {
  const steady_clock::time_point now = steady_clock::now();
  for (auto& [connection, state] : connections_) {
    if (now < state.deadline) continue;
    shutdown(state.fd, SHUT_RDWR);  // The library sees the end and cleans up.
    state.deadline = steady_clock::time_point::max();
  }
}

}  // namespace sallyport
