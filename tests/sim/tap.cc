#include "tests/sim/tap.h"

#include <algorithm>

#include "packet/header.h"
#include "packet/wire.h"
#include "tests/sim/failure.h"
#include "tests/sim/host.h"

namespace sallyport::sim {
namespace {

constexpr size_t kFirstSize = packet::kHeaderSize + 1;
constexpr size_t kRecordHeaderSize = 5;
constexpr size_t kRecordSizeMax = 16 * 1024 + 256;

bool IsRecordHeader(std::string_view head) {
  const auto byte = [head](size_t at) { return static_cast<uint8_t>(head[at]); };
  const size_t size = (size_t{byte(3)} << 8) + byte(4);
  return byte(0) >= 20 && byte(0) <= 23 && byte(1) == 3 && size > 0 && size <= kRecordSizeMax;
}

// Of the first packet, header and all. REQUIRES: tap.first has kFirstSize bytes.
size_t FirstPacketSize(const Tap& tap) {
  packet::Header header;
  (void)packet::ReadHeader(packet::AsBytes(tap.first), &header);
  return std::max(kFirstSize, packet::kHeaderSize + header.payload_length);
}

bool FirstPacketPassed(const Tap& tap) {
  return tap.first.size() == kFirstSize && tap.clear >= FirstPacketSize(tap);
}

// The first packet is in clear, also where an SSLRequest was there before it. Returns what follows.
std::string_view SkipFirstPacket(Tap* tap, std::string_view bytes) {
  while (!bytes.empty() && !FirstPacketPassed(*tap)) {
    const bool known = tap->first.size() == kFirstSize;
    const size_t wanted = known ? FirstPacketSize(*tap) - tap->clear : kFirstSize - tap->clear;
    const size_t size = std::min(wanted, bytes.size());
    if (!known) tap->first += bytes.substr(0, size);
    tap->clear += size;
    bytes.remove_prefix(size);
    // An ERR_Packet in the greeting's place ends it all.
    if (FirstPacketPassed(*tap) && tap->first.back() == '\xFF') tap->mode = Tap::Mode::kClear;
  }
  return bytes;
}

}  // namespace

void TapToServer(Wire* wire, std::string_view bytes) {
  std::string& tail = wire->tap.tail;
  // Across the border of two sends, then within this one.
  tail += bytes.substr(0, kSecret.size());
  if (tail.find(kSecret) != tail.npos || bytes.find(kSecret) != bytes.npos) {
    Fail("a password goes to a plaintext server");
  }
  if (bytes.size() >= kSecret.size()) tail = bytes.substr(bytes.size() - kSecret.size());
  if (tail.size() > kSecret.size()) tail.erase(0, tail.size() - kSecret.size());
}

void TapTaken(Wire* wire) {
  Tap& tap = wire->tap;
  // An ERR_Packet has begun behind the greeting.
  if (FirstPacketPassed(tap) && tap.clear > FirstPacketSize(tap)) tap.mode = Tap::Mode::kClear;
}

void TapTold(Wire* wire, bool unsent) {
  wire->tls_begun = true;
  Tap& tap = wire->tap;
  // An ERR_Packet that is in a queue.
  if (unsent && tap.mode == Tap::Mode::kUndecided && FirstPacketPassed(tap)) {
    tap.mode = Tap::Mode::kClear;
  }
}

bool TapBetweenRecords(const Wire& wire) {
  const Tap& tap = wire.tap;
  return tap.mode != Tap::Mode::kRecords || (tap.record_left == 0 && tap.head.empty());
}

void TapToClient(Wire* wire, std::string_view bytes) {
  Tap& tap = wire->tap;
  bytes = SkipFirstPacket(&tap, bytes);
  if (wire->tls_from == 0 || wire->to_proxy.read < wire->tls_from) {
    tap.clear += bytes.size();
    return;
  }
  while (!bytes.empty() && tap.mode != Tap::Mode::kClear) {
    const size_t skipped = std::min(tap.record_left, bytes.size());
    tap.record_left -= skipped;
    bytes.remove_prefix(skipped);
    const size_t wanted = std::min(kRecordHeaderSize - tap.head.size(), bytes.size());
    if (tap.record_left > 0 || wanted == 0) continue;
    tap.head += bytes.substr(0, wanted);
    bytes.remove_prefix(wanted);
    if (tap.head.size() < kRecordHeaderSize) return;
    if (IsRecordHeader(tap.head)) {
      tap.mode = Tap::Mode::kRecords;
      tap.record_left =
          (size_t{static_cast<uint8_t>(tap.head[3])} << 8) + static_cast<uint8_t>(tap.head[4]);
    } else if (tap.mode == Tap::Mode::kUndecided && !wire->tls_begun) {
      tap.mode = Tap::Mode::kClear;
    } else {
      Fail("bytes in clear for a client that asked for TLS");
    }
    tap.head.clear();
  }
}

}  // namespace sallyport::sim
