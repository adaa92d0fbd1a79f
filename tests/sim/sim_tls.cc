// SimRing's kernel TLS.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "tests/sim/failure.h"
#include "tests/sim/kernel_tx.h"
#include "tests/sim/sim_ring.h"
#include "tests/sim/tap.h"

namespace sallyport::sim {

int32_t SimRing::EncryptSends(int fd, std::span<const uint8_t> crypto_info) {
  Wire* const wire = Socket(fd, "EncryptSends");
  const std::optional<tls::WriteKeys> keys = KernelTx::ReadKeys(crypto_info);
  Require(keys.has_value(), "EncryptSends with what no kernel takes");
  Require(wire->kernel_tls == nullptr, "EncryptSends once more");
  Require((traits_.encrypts & KernelTx::Bit(*keys)) != 0, "EncryptSends with another cipher");
  Require(TapBetweenRecords(*wire), "EncryptSends in the middle of a record");
  ++host_.progress;
  int32_t failure = 0;
  if (host_.Lucky(traits_.encrypt_fails)) failure = host_.dice.Of({-ENOENT, -ENOMEM, -EBUSY});
  // The client has left, unseen so far.
  if (wire->to_proxy.ended || wire->reset_to_proxy) failure = -ENOTCONN;
  if (failure < 0) {
    ++host_.coverage.encrypt_failures;
    return failure;
  }
  ++host_.coverage.encrypted;
  wire->kernel_tls = std::make_shared<KernelTx>(*keys);
  encrypted_.push_back(wire);
  return 0;
}

int32_t SimRing::ChangeKeys(int fd, std::span<const uint8_t> crypto_info) {
  Wire* const wire = Socket(fd, "ChangeKeys");
  const std::optional<tls::WriteKeys> keys = KernelTx::ReadKeys(crypto_info);
  Require(wire->kernel_tls != nullptr, "ChangeKeys where nothing is encrypted");
  Require(keys.has_value() && traits_.changes_keys, "ChangeKeys with what no kernel takes");
  ++host_.progress;
  if (host_.Lucky(traits_.encrypt_fails)) {
    wire->keys_refused = true;
    return -ENOMEM;
  }
  wire->kernel_tls->ChangeKeys(*keys);
  ++host_.coverage.keys_changed;
  return 0;
}

// Takes as much as the socket has room for, and the last record's rest. A splice that was cut short
// may leave its last record open: the kernel knows that there is more in the pipe.
int32_t SimRing::DeliverRecords(Wire* wire, std::string_view bytes, bool spliced) {
  KernelTx& kernel = *wire->kernel_tls;
  PushRecords(wire);
  const size_t whole = bytes.size();
  bytes = bytes.substr(0, host_.SomeOf(whole, traits_.short_io));
  const bool open = spliced && bytes.size() < whole && host_.dice.OneIn(2);
  size_t taken = 0;
  while (taken < bytes.size() && kernel.waiting.empty() &&
         (wire->to_peer.room() > 0 || wire->peer_gone)) {
    const size_t most = std::min(bytes.size() - taken, KernelTx::kRecordPlaintextMax);
    const size_t size = host_.SomeOf(most, traits_.short_io);
    kernel.Add(bytes.substr(taken, size), open && taken + size == bytes.size());
    taken += size;
    PushRecords(wire);
  }
  if (spliced) host_.coverage.encrypted_spliced += taken;
  if (open) ++host_.coverage.records_left_open;
  if (!kernel.waiting.empty()) ++host_.coverage.records_waited;
  return taken > 0 ? static_cast<int32_t>(taken) : -EAGAIN;
}

// What the kernel does by itself once the socket has room, and first at each send.
void SimRing::PushRecords(Wire* wire) {
  std::string& waiting = wire->kernel_tls->waiting;
  const size_t room = wire->peer_gone ? waiting.size() : wire->to_peer.room();
  const size_t size = std::min(room, waiting.size());
  if (size == 0) return;
  Put(wire, std::string_view(waiting).substr(0, size));
  waiting.erase(0, size);
}

int32_t SimRing::SendRecordNow(int fd, uint8_t type, std::span<const uint8_t> content) {
  Wire* const wire = Socket(fd, "SendRecordNow");
  Require(wire->kernel_tls != nullptr, "SendRecordNow where nothing is encrypted");
  if (const int32_t failure = SendFailure(wire); failure < 0) return failure;
  KernelTx& kernel = *wire->kernel_tls;
  PushRecords(wire);
  const bool waits = !kernel.waiting.empty();
  // Behind a record that waits there may be memory for another, or not.
  if (waits ? host_.dice.OneIn(2) : wire->to_peer.room() == 0 && !wire->peer_gone) return -EAGAIN;
  kernel.AddRecord(type, {reinterpret_cast<const char*>(content.data()), content.size()});
  ++host_.progress;
  // Where the socket has any room, so small a record fits.
  if (!waits) Put(wire, std::exchange(kernel.waiting, {}));
  return 0;
}

}  // namespace sallyport::sim
