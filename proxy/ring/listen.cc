// Listen and LocalAddress, of ring.h.
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proxy/ring/ring.h"

namespace sallyport {

namespace {

constexpr int kSocketFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

absl::Status Failed(const Address& address, const char* call, int error) {
  return absl::UnavailableError(
      absl::StrCat(address.ToString(), ": ", call, ": ", strerrordesc_np(error)));
}

int Enable(int fd, int level, int option) {
  const int on = 1;
  return setsockopt(fd, level, option, &on, sizeof(on));
}

// PrepareTcp: null, or the call that failed.
const char* PrepareTcp(int fd, const Address& address) {
  // A restart must not wait for the last run's connections to leave TIME_WAIT.
  if (Enable(fd, SOL_SOCKET, SO_REUSEADDR) != 0) return "SO_REUSEADDR";
  // Every worker has a listening socket of its own; the kernel spreads connections over them.
  if (Enable(fd, SOL_SOCKET, SO_REUSEPORT) != 0) return "SO_REUSEPORT";
  if (address.family() == AF_INET6 && Enable(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0) {
    return "IPV6_V6ONLY";
  }
  return nullptr;
}

// RemoveStale removes the socket file at `address` if nobody listens on it. It returns OK when the
// path is free now.
absl::Status RemoveStale(const Address& address) {
  const char* const path = reinterpret_cast<const sockaddr_un*>(address.get())->sun_path;
  struct stat info;
  if (lstat(path, &info) != 0) return absl::OkStatus();  // Gone already.
  if (!S_ISSOCK(info.st_mode)) {
    return absl::UnavailableError(
        absl::StrCat(address.ToString(), ": a file that is no socket is in the way"));
  }
  const int fd = socket(AF_UNIX, kSocketFlags, 0);
  if (fd < 0) return Failed(address, "socket", errno);
  const int result = connect(fd, address.get(), address.size());
  const int error = errno;
  close(fd);
  // Only a refusal proves that no process has it; a full backlog (EAGAIN) proves the contrary.
  if (result == 0 || error != ECONNREFUSED) {
    return absl::UnavailableError(
        absl::StrCat(address.ToString(), ": another process listens on this socket"));
  }
  if (unlink(path) != 0 && errno != ENOENT) return Failed(address, "unlink (stale socket)", errno);
  return absl::OkStatus();
}

bool HasPath(const Address& address) {
  return address.is_unix() && address.size() > offsetof(sockaddr_un, sun_path) &&
         reinterpret_cast<const sockaddr_un*>(address.get())->sun_path[0] != '\0';
}

absl::Status BindAndListen(int fd, const Address& address, int backlog) {
  if (!address.is_unix()) {
    const char* const refused = PrepareTcp(fd, address);
    if (refused != nullptr) return Failed(address, refused, errno);
  }
  int result = bind(fd, address.get(), address.size());
  if (result != 0 && errno == EADDRINUSE && HasPath(address)) {
    const absl::Status removed = RemoveStale(address);
    if (!removed.ok()) return removed;
    result = bind(fd, address.get(), address.size());
  }
  if (result != 0) return Failed(address, "bind", errno);
  if (listen(fd, backlog) != 0) return Failed(address, "listen", errno);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> Listen(const Address& address, int backlog) {
  const int fd = socket(address.family(), kSocketFlags, 0);
  if (fd < 0) return Failed(address, "socket", errno);
  const absl::Status status = BindAndListen(fd, address, backlog);
  if (status.ok()) return fd;
  close(fd);
  return status;
}

Address LocalAddress(int fd) {
  sockaddr_storage storage;
  socklen_t size = sizeof(storage);
  sockaddr* const address = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(fd, address, &size) != 0) return Address();
  return Address(address, size);
}

}  // namespace sallyport
