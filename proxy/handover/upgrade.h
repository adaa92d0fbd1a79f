// Upgrade: a new process takes the listening sockets over from the running one, and no connection
// is lost: README.md has the conversation.
#ifndef PROXY_HANDOVER_UPGRADE_H_
#define PROXY_HANDOVER_UPGRADE_H_

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/handover/inherited.h"

namespace sallyport {

// UpgradeOffer is the running process's end. It belongs to one thread.
class UpgradeOffer {
 public:
  // Listen makes the socket file at `path`, for this user alone. REQUIRES: no other thread runs.
  // The status says what is wrong.
  static absl::StatusOr<std::unique_ptr<UpgradeOffer>> Listen(const std::string& path);
  // The socket of the process before, which this one owns from here on.
  explicit UpgradeOffer(int listener) : listener_(listener) {}
  ~UpgradeOffer();  // Closes it: from then on nobody can take over.
  UpgradeOffer(const UpgradeOffer&) = delete;
  UpgradeOffer& operator=(const UpgradeOffer&) = delete;

  // SetSockets says what to give. They stay the caller's, and open for as long as this is.
  void SetSockets(std::vector<NamedSocket> sockets) { sockets_ = std::move(sockets); }

  // fds to be watched: -1 where there is nothing to watch for.
  std::array<int, 2> fds() const { return {listener_, channel_}; }
  // Look does what there is to do, and never waits for long. True: a new process serves now, and
  // this one is to accept no more. What happened is in the log.
  bool Look();

 private:
  void Meet();
  void Forget();

  int listener_;
  int channel_ = -1;  // To the process that has got the sockets and is about to serve.
  int peer_ = 0;      // Its number.
  std::vector<NamedSocket> sockets_;
};

// UpgradeClaim is the new process's end.
class UpgradeClaim {
 public:
  // Ask takes all listening sockets over from the process that listens at `path`; null: there is
  // none. The status says why it would not give them.
  static absl::StatusOr<std::unique_ptr<UpgradeClaim>> Ask(const std::string& path,
                                                           InheritedSockets* out);
  ~UpgradeClaim();  // Without Done, the other process serves on.
  UpgradeClaim(const UpgradeClaim&) = delete;
  UpgradeClaim& operator=(const UpgradeClaim&) = delete;

  int peer() const { return peer_; }
  // TakeOffer is this process's own offer, at the same socket file. Once.
  std::unique_ptr<UpgradeOffer> TakeOffer();
  // Done tells the other process that this one serves.
  void Done();

 private:
  UpgradeClaim(int channel, int peer) : channel_(channel), peer_(peer) {}

  const int channel_;
  const int peer_;
  std::unique_ptr<UpgradeOffer> offer_;
};

}  // namespace sallyport

#endif  // PROXY_HANDOVER_UPGRADE_H_
