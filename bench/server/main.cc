// The responder: a MySQL server that answers from memory, so that a benchmark measures what is in
// front of it. It has no TLS and no data; it speaks the connection phase in earnest.
//
//   bazel run //bench:responder -- --listen=127.0.0.1:3306 --threads=2
//
// Accounts, all with --password: `native` (mysql_native_password), `full` (caching_sha2_password,
// full authentication each time), any other (caching_sha2_password, fast).
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/lib/auth.h"
#include "bench/lib/flags.h"
#include "bench/lib/sockets.h"
#include "bench/server/connection.h"
#include "proxy/ring/address.h"
#include "proxy/ring/ring.h"

namespace sallyport::bench {
namespace {

constexpr std::string_view kUsage =
    "Usage: responder [flags]\n"
    "Queries: R BYTES (a reply of as many bytes), B BYTES [ROW_BYTES] (bulk rows), U... (an "
    "upload,\n"
    "of any size; OK).\n";
constexpr int kBacklog = 4096;

// Connections that one turn accepts, so that a storm doesn't hold up those that are there.
constexpr int kAcceptsPerTurn = 64;

class ServerThread {
 public:
  ServerThread(int listener, uint32_t first_id, const ServerOptions& options)
      : listener_(listener), next_id_(first_id), options_(options), epoll_(epoll_create1(0)) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = listener_}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
  }

  [[noreturn]] void Run() {
    std::vector<epoll_event> events(256);
    for (;;) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == listener_) {
          AcceptSome();
        } else {
          Serve(fd, events[static_cast<size_t>(i)].events);
        }
      }
    }
  }

 private:
  struct Slot {
    std::unique_ptr<Connection> connection;
    bool armed_for_write = false;
  };

  void AcceptSome() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      if (slots_.size() <= static_cast<size_t>(fd)) slots_.resize(static_cast<size_t>(fd) * 2 + 1);
      Slot& slot = slots_[static_cast<size_t>(fd)];
      slot.connection = std::make_unique<Connection>(fd, next_id_++, options_);
      slot.armed_for_write = false;
      epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
      if (!slot.connection->Greet(&scratch_)) slot.connection.reset();
    }
  }

  void Serve(int fd, uint32_t events) {
    Slot& slot = slots_[static_cast<size_t>(fd)];
    if (slot.connection == nullptr) return;  // Closed in this turn.
    bool alive = true;
    if ((events & EPOLLOUT) != 0) alive = slot.connection->OnWritable(&scratch_);
    if (alive && (events & ~uint32_t{EPOLLOUT}) != 0)
      alive = slot.connection->OnReadable(&scratch_);
    if (!alive) {
      slot.connection.reset();  // Closing the socket takes it out of the epoll set.
      return;
    }
    const bool write = slot.connection->wants_write();
    if (write != slot.armed_for_write) {
      slot.armed_for_write = write;
      // While an answer is under way nothing is read: TCP holds the client back.
      epoll_event event{.events = write ? EPOLLOUT : EPOLLIN, .data = {.fd = fd}};
      epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
    }
  }

  int listener_;
  uint32_t next_id_;
  const ServerOptions& options_;
  int epoll_;
  std::vector<Slot> slots_;
  ServerScratch scratch_;
};

int Main(int argc, char** argv) {
  std::string listen = "127.0.0.1:3306";
  std::string congestion;
  uint64_t threads = 1;
  ServerOptions options;
  options.greeting_plugin = kSha2Plugin;
  Flags flags;
  flags.Add("listen", &listen, "host:port; port 0 takes a free one and prints it");
  flags.Add("threads", &threads, "threads, each with a listening socket of its own");
  flags.Add("password", &options.password, "of every account");
  flags.Add("greeting_plugin", &options.greeting_plugin, "the plugin that the greeting offers");
  flags.Add("congestion", &congestion, "TCP_CONGESTION of all sockets");
  flags.Parse(argc, argv, kUsage);

  signal(SIGPIPE, SIG_IGN);
  RaiseFileLimit();
  const auto key = tls::PasswordKey::Generate();
  const auto addresses = ResolveAddress(listen);
  if (!key.ok() || !addresses.ok()) {
    const absl::Status& status = key.ok() ? addresses.status() : key.status();
    std::fprintf(stderr, "responder: %s\n", status.ToString().c_str());
    return 1;
  }
  options.password_key = key->get();

  Address address = addresses->front();
  std::vector<std::unique_ptr<ServerThread>> servers;
  for (uint64_t i = 0; i < threads; ++i) {
    const auto listener = Listen(address, kBacklog);
    if (!listener.ok()) {
      std::fprintf(stderr, "responder: %s\n", listener.status().ToString().c_str());
      return 1;
    }
    address = LocalAddress(*listener);  // The threads after the first share its port.
    TuneSocket(*listener, congestion);
    servers.push_back(
        std::make_unique<ServerThread>(*listener, static_cast<uint32_t>(1 + (i << 24)), options));
  }
  std::printf("responder: listening on %s\n", address.ToString().c_str());
  std::fflush(stdout);

  std::vector<std::thread> running;
  for (auto& server : servers) {
    running.emplace_back([&server] { server->Run(); });
  }
  running.front().join();
  return 0;
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) { return sallyport::bench::Main(argc, argv); }
