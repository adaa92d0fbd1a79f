// CommandWatch finds the COM_CHANGE_USER that a plain reading of its diagram finds, however the
// bytes arrive. The input describes packets, three bytes each, so that long ones cost nothing.
#include <vector>

#include "packet/change_user.h"
#include "packet/command_watch.h"
#include "tests/fuzz/fuzz.h"

namespace sallyport::fuzz {
namespace {

constexpr uint8_t kQuery = 3;

struct Described {
  uint32_t length = 0;
  uint8_t sequence_id = 0;
  uint8_t first = 0;   // Of the payload, where there is one.
  uint8_t pieces = 0;  // A bit for each of the first bytes: a new piece begins behind it.
};

std::vector<Described> Describe(Input* input) {
  std::vector<Described> packets;
  uint8_t last = 0;
  while (!input->empty() && packets.size() < 200) {
    const uint8_t kind = input->Byte();
    const uint8_t choice = input->Byte();
    Described packet;
    packet.pieces = input->Byte();
    constexpr uint32_t kLengths[] = {0,
                                     1,
                                     2,
                                     packet::kPayloadLengthMax - 1,
                                     packet::kPayloadLengthMax,
                                     packet::kPayloadLengthMax,
                                     5,
                                     300};
    packet.length = kLengths[kind % 8];
    packet.sequence_id = (kind & 8) != 0    ? uint8_t{0}
                         : (kind & 16) != 0 ? choice
                                            : static_cast<uint8_t>(last + 1);
    packet.first = (kind & 32) != 0 ? packet::COM_CHANGE_USER : kQuery;
    last = packet.sequence_id;
    packets.push_back(packet);
  }
  return packets;
}

// The number of packets in front of the first COM_CHANGE_USER.
size_t FirstChangeUser(const std::vector<Described>& packets) {
  bool file = false;
  bool continues = false;
  uint8_t last = 0;
  for (size_t i = 0; i < packets.size(); ++i) {
    const Described& packet = packets[i];
    if (!continues) {
      file = file && packet.sequence_id == static_cast<uint8_t>(last + 1);
      const bool command = !file && packet.sequence_id == 0;
      if (command && packet.length > 0 && packet.first == packet::COM_CHANGE_USER) return i;
      file = !command && packet.length > 0;
    }
    continues = packet.length == packet::kPayloadLengthMax;
    last = packet.sequence_id;
  }
  return packets.size();
}

class Feeder {
 public:
  bool found() const { return found_; }
  uint64_t passed() const { return passed_; }
  size_t held() const { return watch_.held().size(); }

  void Feed(const Described& packet) {
    Buffer begin(packet::kHeaderSize + (packet.length > 0 ? 1 : 0), packet.first);
    packet::WriteHeader({packet.length, packet.sequence_id}, begin);
    Bytes rest(begin);
    for (size_t i = 0; i < begin.size() && !found_ && !rest.empty(); ++i) {
      if ((packet.pieces >> i & 1) == 0) continue;
      const size_t size = i + 1 - (begin.size() - rest.size());
      Scan(packet::Exact(rest.first(size)));
      rest = rest.subspan(size);
    }
    if (!found_ && !rest.empty()) Scan(packet::Exact(rest));
    static const Buffer* const zeros = new Buffer(packet::kPayloadLengthMax);
    if (!found_ && packet.length > 1) Scan(Bytes(*zeros).first(packet.length - 1));
  }

 private:
  void Scan(Bytes bytes) {
    const size_t held = watch_.held().size();
    const packet::CommandWatch::Seen seen = watch_.Scan(bytes);
    FUZZ_CHECK(seen.released_size == 0 || seen.released_size == held);
    passed_ += seen.released_size + seen.pass;
    found_ = seen.change_user;
    // Every byte was passed or is held, but for those of the COM_CHANGE_USER.
    const size_t kept = watch_.held().size() + seen.pass + seen.released_size;
    FUZZ_CHECK(found_ ? kept <= held + bytes.size() : kept == held + bytes.size());
    FUZZ_CHECK(watch_.held().size() <= packet::kHeaderSize);
  }

  packet::CommandWatch watch_;
  bool found_ = false;
  uint64_t passed_ = 0;
};

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const std::vector<fuzz::Described> packets = fuzz::Describe(&input);
  const size_t first = fuzz::FirstChangeUser(packets);
  fuzz::Feeder feeder;
  uint64_t before = 0;
  for (size_t i = 0; i < packets.size() && !feeder.found(); ++i) {
    feeder.Feed(packets[i]);
    FUZZ_CHECK(feeder.found() == (i == first));
    if (!feeder.found()) before += packet::kHeaderSize + packets[i].length;
  }
  FUZZ_CHECK(feeder.passed() + (feeder.found() ? 0 : feeder.held()) == before);
  return 0;
}
