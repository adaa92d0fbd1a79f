#include "packet/assembler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/packet/bytes.h"

// The heap of this program looks, on request, at what is in the blocks that go back to it.
namespace {
size_t watched_size = 0;  // Blocks of this size are looked at. 0: none.
int freed_clean = 0;
int freed_dirty = 0;
void* watched_block = nullptr;
}  // namespace

void* operator new[](size_t size) {
  void* block = std::malloc(size);
  if (block == nullptr) {
    std::abort();
  }
  if (watched_size != 0 && size == watched_size) {
    watched_block = block;
    std::memset(block, 0, size);  // Or an 's' of an earlier owner would do.
  }
  return block;
}

void operator delete[](void* block) noexcept {
  if (block != nullptr && block == watched_block) {
    const auto* bytes = static_cast<const uint8_t*>(block);
    const bool clean =
        std::none_of(bytes, bytes + watched_size, [](uint8_t b) { return b == 's'; });
    (clean ? freed_clean : freed_dirty) += 1;
    watched_block = nullptr;
  }
  std::free(block);
}
void operator delete[](void* block, size_t) noexcept { operator delete[](block); }

namespace sallyport::packet {
namespace {

constexpr uint32_t kMax = 1024;

// What an assembler makes of a stream given in pieces of at most `piece` bytes.
std::vector<Buffer> Cut(Assembler* assembler, Bytes stream, size_t piece) {
  std::vector<Buffer> packets;
  while (!stream.empty()) {
    Buffer bytes = Exact(stream.first(std::min(piece, stream.size())));
    stream = stream.subspan(bytes.size());
    MutableBytes in(bytes);
    MutableBytes packet;
    while (assembler->Next(&in, &packet) == Assembler::Result::kPacket) {
      packets.push_back(Exact(packet));
    }
    EXPECT_TRUE(in.empty());
  }
  return packets;
}

TEST(Assembler, HandsOutPacketsInPlaceWhereTheyLieWhole) {
  Buffer bytes = Join({Packet(0, "first"), Packet(1, ""), Packet(2, "third")});
  Assembler assembler(kMax);
  MutableBytes in(bytes);
  MutableBytes packet;
  ASSERT_EQ(assembler.Next(&in, &packet), Assembler::Result::kPacket);
  EXPECT_EQ(packet.data(), bytes.data());
  EXPECT_EQ(Exact(packet), Packet(0, "first"));
  ASSERT_EQ(assembler.Next(&in, &packet), Assembler::Result::kPacket);
  EXPECT_EQ(packet.data(), bytes.data() + 9);
  EXPECT_EQ(Exact(packet), Packet(1, ""));
  ASSERT_EQ(assembler.Next(&in, &packet), Assembler::Result::kPacket);
  EXPECT_EQ(Exact(packet), Packet(2, "third"));
  EXPECT_EQ(assembler.header().sequence_id, 2);
  EXPECT_TRUE(in.empty());
  EXPECT_FALSE(assembler.collecting());
  EXPECT_EQ(assembler.Next(&in, &packet), Assembler::Result::kNeedMore);
  EXPECT_FALSE(assembler.collecting());
}

TEST(Assembler, MakesTheSamePacketsOfPiecesOfAnySize) {
  const std::vector<Buffer> expected = {Packet(0, "first"), Packet(1, ""), Packet(2, ""),
                                        Packet(3, std::string(kMax, 'x')), Packet(4, "y")};
  const Buffer stream = Join({expected[0], expected[1], expected[2], expected[3], expected[4]});
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    Assembler assembler(kMax);
    EXPECT_EQ(Cut(&assembler, stream, piece), expected) << piece;
    EXPECT_FALSE(assembler.collecting());
  }
}

TEST(Assembler, IsCollectingFromAPacketsFirstByteToItsLast) {
  const Buffer whole = Packet(7, "abc");
  Assembler assembler(kMax);
  for (size_t i = 0; i + 1 < whole.size(); ++i) {
    Buffer byte = {whole[i]};
    MutableBytes in(byte);
    MutableBytes packet;
    EXPECT_EQ(assembler.Next(&in, &packet), Assembler::Result::kNeedMore);
    EXPECT_TRUE(in.empty());
    EXPECT_TRUE(assembler.collecting());
  }
  Buffer last = {whole.back()};
  MutableBytes in(last);
  MutableBytes packet;
  ASSERT_EQ(assembler.Next(&in, &packet), Assembler::Result::kPacket);
  EXPECT_EQ(Exact(packet), whole);
  EXPECT_EQ(assembler.header().payload_length, 3u);
  EXPECT_FALSE(assembler.collecting());
}

TEST(Assembler, LetsACollectedPacketBeEditedUntilTheNextCall) {
  Buffer front = Hex("02 00 00 05 61");
  Buffer back = Exact(Join({Hex("62"), Packet(6, "z")}));
  Assembler assembler(kMax);
  MutableBytes in(front);
  MutableBytes packet;
  ASSERT_EQ(assembler.Next(&in, &packet), Assembler::Result::kNeedMore);
  in = back;
  ASSERT_EQ(assembler.Next(&in, &packet), Assembler::Result::kPacket);
  SetSequenceId(packet, 9);
  EXPECT_EQ(Exact(packet), Packet(9, "ab"));
  ASSERT_EQ(assembler.Next(&in, &packet), Assembler::Result::kPacket);
  EXPECT_EQ(Exact(packet), Packet(6, "z"));
}

TEST(Assembler, RefusesAPayloadOverTheLimitByItsHeaderAlone) {
  const Buffer at_limit = Packet(0, std::string(kMax, 'x'));
  Assembler fits(kMax);
  EXPECT_EQ(Cut(&fits, at_limit, 3), std::vector<Buffer>{at_limit});

  for (const char* hex : {"01 04 00 03", "ff ff ff 03"}) {
    const Buffer header = Hex(hex);
    for (size_t split = 0; split <= kHeaderSize; ++split) {
      Assembler assembler(kMax);
      Buffer front = Exact(Bytes(header).first(split));
      Buffer back = Exact(Bytes(header).subspan(split));
      MutableBytes in(front);
      MutableBytes packet;
      if (split < kHeaderSize) {
        EXPECT_EQ(assembler.Next(&in, &packet), Assembler::Result::kNeedMore);
        in = back;
      }
      EXPECT_EQ(assembler.Next(&in, &packet), Assembler::Result::kTooLong);
      EXPECT_EQ(assembler.header().sequence_id, 3);
      EXPECT_GT(assembler.header().payload_length, kMax);
      EXPECT_EQ(assembler.Next(&in, &packet), Assembler::Result::kTooLong);  // Final.
    }
  }
}

TEST(Assembler, TakesEvenALimitOfNothing) {
  Assembler assembler(0);
  EXPECT_EQ(Cut(&assembler, Packet(3, ""), 1), std::vector<Buffer>{Packet(3, "")});
  Buffer bytes = Packet(4, "x");
  MutableBytes in(bytes);
  MutableBytes packet;
  EXPECT_EQ(assembler.Next(&in, &packet), Assembler::Result::kTooLong);
}

TEST(Assembler, BeginsAnewAfterClear) {
  Assembler assembler(kMax);
  EXPECT_TRUE(Cut(&assembler, Hex("05 00 00 00 61 62"), 1).empty());
  EXPECT_TRUE(assembler.collecting());
  assembler.Clear();
  EXPECT_FALSE(assembler.collecting());
  EXPECT_EQ(Cut(&assembler, Packet(1, "new"), 2), std::vector<Buffer>{Packet(1, "new")});
}

TEST(Assembler, BeginsAnewAfterClearInAHeader) {
  Assembler assembler(kMax);
  EXPECT_TRUE(Cut(&assembler, Hex("05 00"), 1).empty());
  assembler.Clear();
  EXPECT_EQ(Cut(&assembler, Packet(1, "new"), 2), std::vector<Buffer>{Packet(1, "new")});
}

TEST(Assembler, WipesWhatItCollectedBeforeItFreesIt) {
  const Buffer whole = Packet(1, std::string(995, 's'));
  watched_size = whole.size();
  freed_clean = 0;
  freed_dirty = 0;
  for (const size_t given : {size_t{500}, whole.size() - 1}) {
    Assembler cut_off(kMax);
    EXPECT_TRUE(Cut(&cut_off, Bytes(whole).first(given), 100).empty());
  }
  EXPECT_EQ(freed_clean, 2);
  {
    Assembler handed_out(kMax);
    Cut(&handed_out, whole, 100);  // Its last call of Next let the packet go.
    EXPECT_EQ(freed_clean, 3);
    Buffer front = Exact(Bytes(whole).first(10));
    Buffer back = Exact(Bytes(whole).subspan(10));
    MutableBytes in(front);
    MutableBytes packet;
    ASSERT_EQ(handed_out.Next(&in, &packet), Assembler::Result::kNeedMore);
    in = back;
    ASSERT_EQ(handed_out.Next(&in, &packet), Assembler::Result::kPacket);
  }
  EXPECT_EQ(freed_clean, 4);
  EXPECT_EQ(freed_dirty, 0);
  watched_size = 0;
}

TEST(Assembler, CutsRandomStreamsInRandomPieces) {
  Random random(20240917);
  for (int round = 0; round < 300; ++round) {
    std::vector<Buffer> expected;
    Buffer stream;
    for (size_t n = random.UpTo(8); n > 0; --n) {
      const size_t size = random.UpTo(1) == 0 ? random.UpTo(6) : random.UpTo(kMax);
      expected.push_back(Packet(random.Byte(), random.Some(size)));
      stream.insert(stream.end(), expected.back().begin(), expected.back().end());
    }
    Assembler assembler(kMax);
    std::vector<Buffer> packets;
    for (Bytes rest = stream; !rest.empty();) {
      const Bytes piece = rest.first(std::min(rest.size(), 1 + random.UpTo(200)));
      for (Buffer& packet : Cut(&assembler, piece, piece.size())) {
        packets.push_back(std::move(packet));
      }
      rest = rest.subspan(piece.size());
    }
    EXPECT_EQ(packets, expected);
  }
}

TEST(AssemblerDeathTest, WantsALimitUnderWhichNoPacketContinues) {
  EXPECT_DEATH(Assembler{kPayloadLengthMax}, "check failed");
}

}  // namespace
}  // namespace sallyport::packet
