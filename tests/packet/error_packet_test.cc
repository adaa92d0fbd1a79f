#include "packet/error_packet.h"

#include <gtest/gtest.h>

#include "tests/packet/bytes.h"
#include "tests/packet/real_packets.h"

namespace sallyport::packet {
namespace {

using namespace std::string_view_literals;

Buffer Written(const Error& error, bool with_sqlstate, uint8_t sequence_id) {
  Buffer room(kErrorPacketSizeMax);
  return Exact(Bytes(room).first(WriteErrorPacket(error, with_sqlstate, sequence_id, room)));
}

TEST(ErrorPacket, OfMariaDbIsReadAndWrittenTheSame) {
  const Buffer packet = Hex(kMariaDbError);
  Error error;
  ASSERT_EQ(ParseErrorPacket(Payload(Bytes(packet)), &error), Parse::kOk);
  EXPECT_EQ(error.code, 1045);
  EXPECT_EQ(error.sqlstate, "28000");
  EXPECT_EQ(error.message, "Access denied for user 'ann'@'127.0.0.1' (using password: YES)");
  EXPECT_EQ(Written(error, true, 2), packet);
}

TEST(ErrorPacket, BeforeTheGreetingHasNoSqlstate) {
  const Error too_many{.code = 1040, .sqlstate = "08004", .message = "Too many connections"};
  const Buffer packet = Written(too_many, false, 0);
  EXPECT_EQ(packet, Join({Hex("17 00 00 00 ff 10 04"), AsBytes("Too many connections")}));
  Error error;
  ASSERT_EQ(ParseErrorPacket(Payload(Bytes(packet)), &error), Parse::kOk);
  EXPECT_EQ(error.code, 1040);
  EXPECT_EQ(error.sqlstate, "");
  EXPECT_EQ(error.message, "Too many connections");
}

TEST(ErrorPacket, CutBeforeTheEndOfItsCodeIsMalformed) {
  const Buffer payload = HexPayload(kMariaDbError);
  for (size_t size = 0; size <= payload.size(); ++size) {
    const Buffer cut = Exact(Bytes(payload).first(size));
    Error error{.code = 7};
    const Parse parse = ParseErrorPacket(cut, &error);
    EXPECT_EQ(parse, size < 3 ? Parse::kMalformed : Parse::kOk) << size;
    EXPECT_EQ(error.code, size < 3 ? 7 : 1045);
    EXPECT_EQ(error.sqlstate, size < 9 ? "" : "28000");
  }
}

TEST(ErrorPacket, BeginsWithFF) {
  Error error;
  EXPECT_EQ(ParseErrorPacket(Hex("fe 15 04 61"), &error), Parse::kMalformed);
}

TEST(ErrorPacket, CutsAMessageToTheLimit) {
  for (const size_t size : {size_t{0}, kErrorMessageSizeMax - 1, kErrorMessageSizeMax,
                            kErrorMessageSizeMax + 1, size_t{100000}}) {
    const std::string message(size, 'm');
    const Buffer packet = Written({.code = 1, .sqlstate = "HY000", .message = message}, true, 1);
    EXPECT_LE(packet.size(), kErrorPacketSizeMax);
    Error error;
    ASSERT_EQ(ParseErrorPacket(Payload(Bytes(packet)), &error), Parse::kOk);
    EXPECT_EQ(error.message.size(), std::min(size, kErrorMessageSizeMax));
    EXPECT_EQ(packet[0] | packet[1] << 8, static_cast<int>(packet.size() - kHeaderSize));
  }
}

TEST(ErrorPacketDeathTest, StopsAtOurOwnMistakes) {
  Buffer room(kErrorPacketSizeMax);
  EXPECT_DEATH(WriteErrorPacket({.sqlstate = "HY00"}, true, 1, room), "check failed");
  Buffer small(kErrorPacketSizeMax - 1);
  EXPECT_DEATH(WriteErrorPacket({.sqlstate = "HY000"}, true, 1, small), "check failed");
}

}  // namespace
}  // namespace sallyport::packet
