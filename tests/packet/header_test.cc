#include "packet/header.h"

#include <gtest/gtest.h>

#include "tests/packet/bytes.h"
#include "tests/packet/real_packets.h"

namespace sallyport::packet {
namespace {

TEST(Header, NeedsMoreUntilItsFourthByte) {
  const Buffer bytes = Hex("01 02 03 04");
  for (size_t size = 0; size < kHeaderSize; ++size) {
    const Buffer cut = Exact(Bytes(bytes).first(size));
    Header header{.payload_length = 9, .sequence_id = 9};
    EXPECT_EQ(ReadHeader(cut, &header), Parse::kNeedMore);
    EXPECT_EQ(header.payload_length, 9u);
    EXPECT_EQ(header.sequence_id, 9);
  }
  Header header;
  ASSERT_EQ(ReadHeader(bytes, &header), Parse::kOk);
  EXPECT_EQ(header.payload_length, 0x030201u);
  EXPECT_EQ(header.sequence_id, 4);
}

TEST(Header, IsAnyFourBytes) {
  Header header;
  ASSERT_EQ(ReadHeader(Hex("ff ff ff ff"), &header), Parse::kOk);
  EXPECT_EQ(header.payload_length, kPayloadLengthMax);
  EXPECT_EQ(header.sequence_id, 255);
  ASSERT_EQ(ReadHeader(Hex("00 00 00 00 77"), &header), Parse::kOk);
  EXPECT_EQ(header.payload_length, 0u);
}

TEST(Header, IsWrittenAsItIsRead) {
  for (const uint32_t length : {0u, 1u, 0x1234u, kPayloadLengthMax}) {
    Buffer bytes(kHeaderSize);
    WriteHeader({.payload_length = length, .sequence_id = 200}, bytes);
    Header header;
    ASSERT_EQ(ReadHeader(bytes, &header), Parse::kOk);
    EXPECT_EQ(header.payload_length, length);
    EXPECT_EQ(header.sequence_id, 200);
  }
}

TEST(Header, OfRealPacketsCountsTheirPayload) {
  for (const std::string_view hex : {kMariaDbGreeting, kMySqlGreeting, kMySqlResponse}) {
    const Buffer packet = Hex(hex);
    Header header;
    ASSERT_EQ(ReadHeader(packet, &header), Parse::kOk);
    EXPECT_EQ(header.payload_length, Payload(Bytes(packet)).size());
  }
}

TEST(SetSequenceId, ChangesThatByteAndNoOther) {
  Buffer packet = Hex("01 00 00 02 0e");
  SetSequenceId(packet, 255);
  EXPECT_EQ(packet, Hex("01 00 00 ff 0e"));
  Buffer bare = Hex("00 00 00 00");
  SetSequenceId(bare, 7);
  EXPECT_EQ(bare, Hex("00 00 00 07"));
}

TEST(Payload, IsThePacketWithoutItsHeader) {
  Buffer packet = Hex("01 00 00 02 0e");
  EXPECT_EQ(Exact(Payload(Bytes(packet))), Hex("0e"));
  Payload(MutableBytes(packet))[0] = 0x0f;
  EXPECT_EQ(packet, Hex("01 00 00 02 0f"));
  EXPECT_TRUE(Payload(Bytes(Hex("00 00 00 00"))).empty());
}

TEST(HeaderDeathTest, StopsAtOurOwnMistakes) {
  Buffer small(kHeaderSize - 1);
  EXPECT_DEATH(WriteHeader({}, small), "check failed");
  EXPECT_DEATH(SetSequenceId(small, 1), "check failed");
  EXPECT_DEATH(Payload(Bytes(small)), "check failed");
  EXPECT_DEATH(Payload(MutableBytes(small)), "check failed");
  Buffer room(kHeaderSize);
  EXPECT_DEATH(WriteHeader({.payload_length = kPayloadLengthMax + 1}, room), "check failed");
}

}  // namespace
}  // namespace sallyport::packet
