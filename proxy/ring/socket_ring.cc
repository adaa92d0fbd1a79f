#include "proxy/ring/socket_ring.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sallyport {

namespace {

constexpr int64_t kNanosecondsPerMillisecond = 1'000'000;

int64_t ClockNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// A refused option is not worth a connection, nor a word.
void SetOption(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));
}

}  // namespace

int SocketRing::OpenSocket(const Address& address) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : fd;
}

void SocketRing::Tune(int fd, const SocketTuning& tuning) {
  // A query waits for its answer: Nagle's algorithm would make one side wait for a delayed ACK.
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // A listening socket may have been tuned before, with what its connections inherit.
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, tuning.keepalive_idle_s > 0 ? 1 : 0);
  if (tuning.keepalive_idle_s > 0) {
    SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, tuning.keepalive_idle_s);
    if (tuning.keepalive_interval_s > 0) {
      SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, tuning.keepalive_interval_s);
    }
    if (tuning.keepalive_count > 0) {
      SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, tuning.keepalive_count);
    }
  }
  SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, tuning.user_timeout_ms);  // 0: the system's own.
  if (!tuning.congestion_control.empty()) {
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, tuning.congestion_control.data(),
               tuning.congestion_control.size());
  }
}

Address SocketRing::PeerAddress(int fd) {
  sockaddr_storage storage;
  socklen_t size = sizeof(storage);
  sockaddr* const address = reinterpret_cast<sockaddr*>(&storage);
  if (getpeername(fd, address, &size) != 0) return Address();
  return Address(address, size);
}

Address SocketRing::OwnAddress(int fd) { return LocalAddress(fd); }

int32_t SocketRing::RecvNow(int fd, std::span<uint8_t> room) {
  // An empty room would read as the end of the stream.
  RingCheck(!room.empty(), "RecvNow into an empty room");
  const size_t size = std::min<size_t>(room.size(), INT32_MAX);
  for (;;) {
    const ssize_t received = recv(fd, room.data(), size, MSG_DONTWAIT);
    if (received >= 0) return static_cast<int32_t>(received);
    if (errno != EINTR) return -errno;
  }
}

int32_t SocketRing::SendNow(int fd, std::span<const iovec> parts) {
  // MSG_NOSIGNAL: that the peer is gone is a result, not a SIGPIPE.
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = std::min<size_t>(parts.size(), IOV_MAX);
  for (;;) {
    // One part is the ordinary case, and send is cheaper than sendmsg. The kernel itself takes less
    // than 2 GiB at a time.
    const ssize_t sent = parts.size() == 1 ? send(fd, parts[0].iov_base, parts[0].iov_len, kFlags)
                                           : sendmsg(fd, &message, kFlags);
    if (sent >= 0) return static_cast<int32_t>(sent);
    if (errno != EINTR) return -errno;
  }
}

int32_t SocketRing::SpliceNow(int from, int to, size_t size) {
  for (;;) {
    const ssize_t moved =
        splice(from, nullptr, to, nullptr, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved >= 0) return static_cast<int32_t>(moved);
    if (errno != EINTR) return -errno;
  }
}

int32_t SocketRing::OpenPipe(size_t size, int* read_fd, int* write_fd) {
  int fds[2];
  if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) return -errno;
  *read_fd = fds[0];
  *write_fd = fds[1];
  // Refused (EPERM) above the user's share; the pipe then keeps its size, which may be one page.
  fcntl(fds[1], F_SETPIPE_SZ, static_cast<int>(size));
  return fcntl(fds[1], F_GETPIPE_SZ);
}

int32_t SocketRing::EncryptSends(int fd, std::span<const uint8_t> crypto_info) {
  constexpr char kUlp[] = "tls";
  if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, kUlp, sizeof(kUlp) - 1) != 0) return -errno;
  return ChangeKeys(fd, crypto_info);
}

int32_t SocketRing::ChangeKeys(int fd, std::span<const uint8_t> crypto_info) {
  const auto size = static_cast<socklen_t>(crypto_info.size());
  return setsockopt(fd, SOL_TLS, TLS_TX, crypto_info.data(), size) == 0 ? 0 : -errno;
}

int32_t SocketRing::SendRecordNow(int fd, uint8_t type, std::span<const uint8_t> content) {
  iovec part{const_cast<uint8_t*>(content.data()), content.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(type))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_TLS;
  header->cmsg_type = TLS_SET_RECORD_TYPE;
  header->cmsg_len = CMSG_LEN(sizeof(type));
  *CMSG_DATA(header) = type;
  for (;;) {
    // A record is taken whole or not at all.
    if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

void SocketRing::ShutdownSend(int fd) { shutdown(fd, SHUT_WR); }

void SocketRing::Close(int fd, bool reset) {
  if (reset) {
    const linger none{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
  }
  // Linux frees the number even when close says EINTR: trying again could close another's.
  const int result = close(fd);
  RingCheck(result == 0 || errno != EBADF, "Close of an fd that is not open", errno);
}

std::span<const Completion> SocketRing::Wait(uint64_t deadline_ms) {
  std::span<const Completion> batch;
  if (deadline_ms <= now_ms_ || !spin_.learns()) {
    batch = WaitOnce(deadline_ms);
  } else if (spin_.wanted()) {
    batch = Look();
    if (batch.empty()) batch = WaitOnce(deadline_ms);
  } else {
    const int64_t begin = ClockNanoseconds();
    batch = WaitOnce(deadline_ms);
    if (!batch.empty()) spin_.Blocked(ClockNanoseconds() - begin);
  }
  for (const Completion& completion : batch) spin_.Saw(completion.tag.slot);
  return batch;
}

std::span<const Completion> SocketRing::Look() {
  const int64_t begin = ClockNanoseconds();
  for (int64_t last = begin;;) {
    const std::span<const Completion> batch = WaitOnce(0);
    if (!batch.empty()) {
      spin_.Paid();
      return batch;
    }
    sched_yield();
    const int64_t now = ClockNanoseconds();
    if (!spin_.keep_on(now - begin, now - last)) {
      spin_.Failed();
      return {};
    }
    last = now;
  }
}

void SocketRing::ReadClock() {
  now_us_ = clock_us();
  now_ms_ = now_us_ / 1000;
}

uint64_t SocketRing::clock_us() const {
  return static_cast<uint64_t>(ClockNanoseconds() / kNanosecondsPerMicrosecond);
}

int64_t SocketRing::NanosecondsUntil(uint64_t deadline_ms) {
  if (deadline_ms >= static_cast<uint64_t>(kForever / kNanosecondsPerMillisecond)) return kForever;
  const int64_t deadline = static_cast<int64_t>(deadline_ms) * kNanosecondsPerMillisecond;
  return std::max<int64_t>(0, deadline - ClockNanoseconds());
}

void RingCheckFailed(const char* what, int error) {
  fprintf(stderr, "sallyport: %s%s%s\n", what, error == 0 ? "" : ": ",
          error == 0 ? "" : strerrordesc_np(error));
  abort();
}

}  // namespace sallyport
