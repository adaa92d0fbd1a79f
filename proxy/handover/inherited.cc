#include "proxy/handover/inherited.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/ring/ring.h"

namespace sallyport {
namespace {

int Option(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool Same(const Address& a, const Address& b) {
  return a.family() == b.family() && a.ToString() == b.ToString();
}

}  // namespace

InheritedSockets::~InheritedSockets() {
  for (const Socket& socket : sockets_) close(socket.fd);
}

absl::Status InheritedSockets::Add(NamedSocket socket, bool from_manager) {
  const int fd = socket.fd;
  if (Option(fd, SO_TYPE) != SOCK_STREAM || Option(fd, SO_ACCEPTCONN) != 1) {
    close(fd);
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " ", socket.name, " is no listening stream socket"));
  }
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  sockets_.push_back({fd, std::move(socket.name), LocalAddress(fd), from_manager});
  return absl::OkStatus();
}

template <typename Wanted>
std::vector<InheritedSockets::Socket> InheritedSockets::Take(const Wanted& wanted) {
  const auto taken = std::stable_partition(sockets_.begin(), sockets_.end(),
                                           [&](const Socket& socket) { return !wanted(socket); });
  std::vector<Socket> result(taken, sockets_.end());
  sockets_.erase(taken, sockets_.end());
  return result;
}

std::vector<InheritedSockets::Socket> InheritedSockets::TakeNamed(std::string_view name) {
  return Take([&](const Socket& socket) { return !name.empty() && socket.name == name; });
}

std::vector<InheritedSockets::Socket> InheritedSockets::TakeBound(const Address& address) {
  return Take([&](const Socket& socket) { return Same(socket.address, address); });
}

std::vector<NamedSocket> SocketsOfManager() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  std::vector<NamedSocket> sockets;
  sockets.reserve(static_cast<size_t>(std::max(count, 0)));
  for (int i = 0; i < count; ++i) {
    sockets.push_back({SD_LISTEN_FDS_START + i, names == nullptr ? "" : names[i]});
  }
  for (int i = 0; names != nullptr && names[i] != nullptr; ++i) free(names[i]);
  free(names);
  return sockets;
}

}  // namespace sallyport
