// A stream cut into packets, however it arrives: int<2> payload_max, int<1> count and sizes of the
// pieces, the stream.
#include <string>
#include <vector>

#include "packet/assembler.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/reference.h"

namespace sallyport::fuzz {
namespace {

struct Cut {
  std::vector<std::string> packets;
  bool too_long = false;
};

Cut CutWhole(std::string_view stream, uint32_t payload_max) {
  Cut cut;
  while (stream.size() >= 4 && !cut.too_long) {
    const size_t size = Text{stream}.Int(3);
    cut.too_long = size > payload_max;
    if (cut.too_long || stream.size() < 4 + size) break;
    cut.packets.emplace_back(stream.substr(0, 4 + size));
    stream.remove_prefix(4 + size);
  }
  return cut;
}

void FeedPiece(Buffer piece, packet::Assembler* assembler, Cut* cut) {
  packet::MutableBytes in(piece);
  while (!cut->too_long) {
    packet::MutableBytes packet;
    const size_t before = in.size();
    const packet::Assembler::Result result = assembler->Next(&in, &packet);
    cut->too_long = result == packet::Assembler::Result::kTooLong;
    if (result != packet::Assembler::Result::kPacket) {
      FUZZ_CHECK(cut->too_long || in.empty());
      return;
    }
    FUZZ_CHECK(in.size() < before || packet.size() == packet::kHeaderSize);
    cut->packets.emplace_back(packet::AsText(packet));
    std::fill(packet.begin(), packet.end(), uint8_t{0xEE});  // It is the caller's to edit.
  }
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint32_t payload_max = input.Int(2);
  const fuzz::Buffer sizes = input.Take(input.Byte() % 64);
  const fuzz::Buffer stream = input.Rest();
  packet::Assembler assembler(payload_max);
  fuzz::Cut cut;
  fuzz::Input rest(stream.data(), stream.size());
  for (const uint8_t piece : sizes) fuzz::FeedPiece(rest.Take(piece), &assembler, &cut);
  fuzz::FeedPiece(rest.Rest(), &assembler, &cut);
  const fuzz::Cut expected = fuzz::CutWhole(packet::AsText(stream), payload_max);
  FUZZ_CHECK(cut.packets == expected.packets);
  FUZZ_CHECK(cut.too_long == expected.too_long);
  return 0;
}
