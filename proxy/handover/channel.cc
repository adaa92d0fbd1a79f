#include "proxy/handover/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "packet/check.h"

namespace sallyport {
namespace {

// A piece carries some sockets: a header with their descriptors, then their names, each with its
// NUL. The piece without sockets is the last. Both ends are on one machine: no byte order.
struct PieceHeader {
  std::array<char, 8> magic{'s', 'a', 'l', 'l', 'y', '-', 'u', '1'};  // The digit is the version.
  uint32_t sockets = 0;
  uint32_t names_size = 0;
};

// The kernel takes 253 descriptors a message.
constexpr size_t kPieceSocketsMax = 64;
constexpr size_t kNamesSizeMax = 64 * 1024;
constexpr size_t kControlSize = CMSG_SPACE(sizeof(int) * kPieceSocketsMax);

absl::Status Failed(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::Status Nonsense() { return absl::InternalError("the other process speaks another language"); }

absl::Status SendAll(int channel, const void* data, size_t size) {
  const char* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(channel, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Failed("send");
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return absl::OkStatus();
}

absl::Status SendPiece(int channel, std::span<const NamedSocket> sockets) {
  std::string names;
  std::vector<int> fds;
  for (const NamedSocket& socket : sockets) {
    names.append(socket.name).push_back('\0');
    fds.push_back(socket.fd);
  }
  PieceHeader header;
  header.sockets = static_cast<uint32_t>(fds.size());
  header.names_size = static_cast<uint32_t>(names.size());
  SALLYPORT_CHECK(names.size() <= kNamesSizeMax);

  iovec part = {&header, sizeof(header)};
  alignas(cmsghdr) std::array<char, kControlSize> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  }
  const ssize_t sent = sendmsg(channel, &message, MSG_NOSIGNAL);
  if (sent < 0) return Failed("sendmsg");
  // The descriptors went with the first byte.
  const auto begin = static_cast<size_t>(sent);
  const absl::Status rest =
      SendAll(channel, reinterpret_cast<const char*>(&header) + begin, sizeof(header) - begin);
  return rest.ok() ? SendAll(channel, names.data(), names.size()) : rest;
}

// Reads exactly `size` bytes; descriptors that come with them are added to `fds`.
absl::Status ReceiveAll(int channel, void* data, size_t size, std::vector<int>* fds) {
  char* bytes = static_cast<char*>(data);
  while (size > 0) {
    iovec part = {bytes, size};
    alignas(cmsghdr) std::array<char, kControlSize> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t received = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return Failed("recvmsg");
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
      if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
      const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      const size_t before = fds->size();
      fds->resize(before + count);
      std::memcpy(fds->data() + before, CMSG_DATA(head), count * sizeof(int));
    }
    if (received == 0) return absl::UnavailableError("the other process closed the socket");
    if ((message.msg_flags & MSG_CTRUNC) != 0) {
      return absl::ResourceExhaustedError("too few file descriptors are allowed");
    }
    bytes += received;
    size -= static_cast<size_t>(received);
  }
  return absl::OkStatus();
}

// Adds what the piece brought, whatever became of it. False: it was the last, or failed.
bool ReceivePiece(int channel, std::vector<NamedSocket>* sockets, absl::Status* status) {
  PieceHeader header;
  std::vector<int> fds;
  std::string names;
  *status = ReceiveAll(channel, &header, sizeof(header), &fds);
  if (status->ok() && (header.magic != PieceHeader().magic || header.names_size > kNamesSizeMax ||
                       header.sockets != fds.size())) {
    *status = Nonsense();
  }
  if (status->ok()) {
    names.resize(header.names_size);
    *status = ReceiveAll(channel, names.data(), names.size(), &fds);
  }
  size_t begin = 0;
  for (const int fd : fds) {
    const size_t end = names.find('\0', begin);
    if (end == std::string::npos && status->ok()) *status = Nonsense();
    sockets->push_back({fd, end == std::string::npos ? "" : names.substr(begin, end - begin)});
    begin = end == std::string::npos ? names.size() : end + 1;
  }
  if (status->ok() && sockets->size() > kHandedSocketsMax) *status = Nonsense();
  return status->ok() && !fds.empty();
}

}  // namespace

absl::StatusOr<pid_t> PeerOf(int channel) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return Failed("SO_PEERCRED");
  if (peer.uid != geteuid() && peer.uid != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("process ", peer.pid, " belongs to another user (", peer.uid, ")"));
  }
  return peer.pid;
}

absl::Status SendSockets(int channel, std::span<const NamedSocket> sockets) {
  SALLYPORT_CHECK(sockets.size() <= kHandedSocketsMax);
  while (!sockets.empty()) {
    const size_t count = std::min(sockets.size(), kPieceSocketsMax);
    if (absl::Status status = SendPiece(channel, sockets.first(count)); !status.ok()) return status;
    sockets = sockets.subspan(count);
  }
  return SendPiece(channel, {});
}

absl::StatusOr<std::vector<NamedSocket>> ReceiveSockets(int channel) {
  std::vector<NamedSocket> sockets;
  absl::Status status;
  while (ReceivePiece(channel, &sockets, &status)) {
  }
  if (status.ok()) return sockets;
  for (const NamedSocket& socket : sockets) close(socket.fd);
  return status;
}

}  // namespace sallyport
