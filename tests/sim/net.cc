#include "tests/sim/net.h"

#include <utility>

#include "tests/sim/failure.h"

namespace sallyport::sim {

int Net::Add(File file) {
  files_.push_back(std::move(file));
  ++open_files_;
  return kFirstFd + static_cast<int>(files_.size()) - 1;
}

File& Net::file(int fd, const char* verb) {
  const size_t index = static_cast<size_t>(fd - kFirstFd);
  if (!IsSimulated(fd) || index >= files_.size()) {
    Fail(std::string(verb) + " of an fd that never was: " + std::to_string(fd));
  }
  if (!files_[index].open) Fail(std::string(verb) + " of a closed fd: " + std::to_string(fd));
  return files_[index];
}

void Net::Close(int fd, bool reset) {
  File& closed = file(fd, "Close");
  closed.open = false;
  --open_files_;
  closed.pipe.reset();
  for (Wire* waiting : std::exchange(closed.backlog, {})) {
    waiting->proxy_gone = waiting->reset_to_peer = true;
  }
  if (closed.wire == nullptr) return;
  Wire& wire = *closed.wire;
  wire.proxy_gone = true;
  // A socket that is closed with bytes unread is reset, and so is one on which more come.
  if (reset || wire.to_proxy.size() > 0) {
    wire.reset_to_peer = true;
  } else {
    wire.to_peer.ended = true;
  }
  wire.to_proxy.Drop();
}

Wire* Net::NewWire(size_t capacity_to_proxy, size_t capacity_to_peer) {
  Wire& wire = wires_.emplace_back();
  wire.to_proxy.capacity = capacity_to_proxy;
  wire.to_peer.capacity = capacity_to_peer;
  return &wire;
}

}  // namespace sallyport::sim
