#include "proxy/servers/health_check.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/proxy_protocol/header.h"

namespace sallyport {
namespace {

// A server that has no connection left for us is alive: those that it has are served.
constexpr uint16_t kTooManyConnections = 1040;

}  // namespace

const SessionOptions HealthCheck::kOptions = {.keeps_greetings = true};

HealthCheck::HealthCheck(const Address& address, int proxy_protocol)
    : proxy_protocol_(proxy_protocol), session_(kOptions) {
  fd_ = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0 || (connect(fd_, address.get(), address.size()) != 0 && errno != EINPROGRESS)) {
    why_ = absl::StrCat("health check: ", std::strerror(errno));
  }
}

HealthCheck::~HealthCheck() {
  if (fd_ >= 0) close(fd_);
}

short HealthCheck::events() const { return connected_ ? POLLIN : POLLOUT; }

HealthCheck::Result HealthCheck::Step(std::span<uint8_t> room, Outboxes* outboxes) {
  if (!why_.empty()) return Result::kFailed;
  if (!connected_) return OnConnected(outboxes);
  const ssize_t received = recv(fd_, room.data(), room.size(), 0);
  if (received > 0) return OnBytes(room.first(static_cast<size_t>(received)), outboxes);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return Result::kRunning;
  return Fail(received == 0 ? "the server closed the connection" : std::strerror(errno));
}

HealthCheck::Result HealthCheck::OnConnected(Outboxes* outboxes) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return Fail(std::strerror(error));
  connected_ = true;
  if (!SendProxyHeader()) return Fail("the PROXY header can't be sent");
  session_.End(Side::kClient, false, outboxes);
  for (const Side side : kBothSides) (*outboxes)[side].Clear(false);
  return Result::kRunning;
}

// As all that is sent, it has some hundred bytes at most, which a fresh socket takes at once.
bool HealthCheck::SendProxyHeader() {
  if (proxy_protocol_ == 0) return true;
  std::array<uint8_t, kProxyHeaderRoom> room;
  const size_t size = WriteLocalProxyHeader(proxy_protocol_, room);
  return send(fd_, room.data(), size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

HealthCheck::Result HealthCheck::OnBytes(std::span<uint8_t> bytes, Outboxes* outboxes) {
  bool sent = true;
  session_.Receive(Side::kServer, bytes, outboxes);
  for (bool more = true; more; more = session_.again()) {
    if (session_.again()) session_.Continue(outboxes);
    for (const iovec& part : (*outboxes)[Side::kServer].parts()) {
      const ssize_t count = send(fd_, part.iov_base, part.iov_len, MSG_NOSIGNAL);
      sent = sent && count == static_cast<ssize_t>(part.iov_len);
    }
    for (const Side side : kBothSides) (*outboxes)[side].Clear(false);
  }
  if (!sent) return Fail("the log-in can't be sent");
  return session_.closed() ? Verdict() : Result::kRunning;
}

HealthCheck::Result HealthCheck::Verdict() {
  const SessionSummary& summary = session_.summary();
  if (summary.throwaway_login || summary.server_error == kTooManyConnections) {
    return Result::kPassed;
  }
  if (summary.server_error == 0) return Fail("the server sent no greeting of MySQL's");
  return Fail(absl::StrCat(summary.server_error, " ", summary.detail));
}

HealthCheck::Result HealthCheck::Fail(std::string_view why) {
  why_ = "health check: ";
  why_ += why;
  return Result::kFailed;
}

}  // namespace sallyport
