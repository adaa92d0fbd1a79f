#include "proxy/handover/upgrade.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "packet/check.h"
#include "proxy/handover/channel.h"
#include "proxy/log/log.h"
#include "proxy/ring/ring.h"

namespace sallyport {
namespace {

constexpr int kBacklog = 8;
constexpr char kServing = 'S';

// The running process has no time to lose (its main thread hears signals and feeds the watchdog),
// and what it sends fits into the socket; the new one waits for its turn.
constexpr timeval kGivePatience = {.tv_sec = 1, .tv_usec = 0};
constexpr timeval kTakePatience = {.tv_sec = 10, .tv_usec = 0};

void SetPatience(int fd, timeval patience) {
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

absl::StatusOr<Address> AddressOf(const std::string& path) {
  absl::StatusOr<std::vector<Address>> addresses = ResolveAddress("unix:" + path);
  if (!addresses.ok()) return addresses.status();
  return addresses->front();
}

}  // namespace

// --- The running process.

absl::StatusOr<std::unique_ptr<UpgradeOffer>> UpgradeOffer::Listen(const std::string& path) {
  const absl::StatusOr<Address> address = AddressOf(path);
  if (!address.ok()) return address.status();
  const mode_t before = umask(0177);
  const absl::StatusOr<int> fd = sallyport::Listen(*address, kBacklog);
  umask(before);
  if (!fd.ok()) return fd.status();
  return std::make_unique<UpgradeOffer>(*fd);
}

UpgradeOffer::~UpgradeOffer() {
  Forget();
  close(listener_);
}

void UpgradeOffer::Forget() {
  if (channel_ >= 0) close(channel_);
  channel_ = -1;
}

bool UpgradeOffer::Look() {
  if (channel_ >= 0) {
    char word = 0;
    const ssize_t size = recv(channel_, &word, sizeof(word), MSG_DONTWAIT);
    if (size == 1 && word == kServing) return true;
    if (size >= 0 || errno != EAGAIN) {
      LogError(Line("upgrade failed, this process serves on").Add("new_process", peer_));
      Forget();
    }
  }
  Meet();
  return false;
}

// Gives a process that asks what it needs; only one at a time.
void UpgradeOffer::Meet() {
  const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
  const absl::StatusOr<pid_t> peer = PeerOf(fd);
  if (!peer.ok() || channel_ >= 0) {
    const std::string why =
        peer.ok() ? "another one is under way" : std::string(peer.status().message());
    LogWarning(Line("upgrade refused").Add("why", why));
    close(fd);
    return;
  }
  SetPatience(fd, kGivePatience);
  std::vector<NamedSocket> all = {{listener_, ""}};
  all.insert(all.end(), sockets_.begin(), sockets_.end());
  const absl::Status sent = SendSockets(fd, all);
  if (!sent.ok()) {
    LogError(
        Line("upgrade failed, this process serves on").Add("why", std::string(sent.message())));
    close(fd);
    return;
  }
  LogInfo(Line("upgrade: listening sockets given")
              .Add("new_process", *peer)
              .Add("sockets", sockets_.size()));
  channel_ = fd;
  peer_ = *peer;
}

// --- The new one.

absl::StatusOr<std::unique_ptr<UpgradeClaim>> UpgradeClaim::Ask(const std::string& path,
                                                                InheritedSockets* out) {
  const absl::StatusOr<Address> address = AddressOf(path);
  if (!address.ok()) return address.status();
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::UnavailableError(std::strerror(errno));
  SetPatience(fd, kTakePatience);
  if (connect(fd, address->get(), address->size()) != 0) {
    const int error = errno;
    close(fd);
    if (error == ENOENT || error == ECONNREFUSED) return nullptr;
    return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(error)));
  }
  const absl::StatusOr<pid_t> peer = PeerOf(fd);
  std::unique_ptr<UpgradeClaim> claim(new UpgradeClaim(fd, peer.value_or(0)));
  if (!peer.ok()) return peer.status();
  absl::StatusOr<std::vector<NamedSocket>> sockets = ReceiveSockets(fd);
  if (!sockets.ok() || sockets->empty()) {
    return absl::UnavailableError(absl::StrCat(
        path, ": process ", *peer, " does not give its sockets: ", sockets.status().message()));
  }
  claim->offer_ = std::make_unique<UpgradeOffer>(sockets->front().fd);
  for (size_t i = 1; i < sockets->size(); ++i) {
    absl::Status added = out->Add(std::move((*sockets)[i]), false);
    SALLYPORT_CHECK(added.ok());  // A process of ours gave it.
  }
  return claim;
}

UpgradeClaim::~UpgradeClaim() { close(channel_); }

std::unique_ptr<UpgradeOffer> UpgradeClaim::TakeOffer() {
  SALLYPORT_CHECK(offer_ != nullptr);
  return std::move(offer_);
}

void UpgradeClaim::Done() {
  // It may have ended meanwhile: so much the better.
  (void)send(channel_, &kServing, sizeof(kServing), MSG_NOSIGNAL);
}

}  // namespace sallyport
