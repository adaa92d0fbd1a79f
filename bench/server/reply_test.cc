// The responder's answers and the load generator's reading of them, each held against the other.
#include "bench/server/reply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "bench/client/reply_reader.h"
#include "bench/lib/packet_stream.h"

namespace sallyport::bench {
namespace {

// All bytes of a bulk result set, taken `at_once` bytes at a time.
std::string Bulk(uint64_t bytes, uint32_t row_bytes, size_t at_once) {
  std::string all;
  AppendColumns(&all);
  BulkRows rows;
  rows.Start(bytes, row_bytes, kColumnsLast + 1);
  while (!rows.done()) {
    size_t taken = 0;
    for (const iovec& part : rows.Parts()) {
      const size_t size = std::min(part.iov_len, at_once - taken);
      all.append(static_cast<const char*>(part.iov_base), size);
      taken += size;
    }
    rows.Sent(taken);
  }
  AppendEof(rows.next_sequence_id(), &all);
  return all;
}

TEST(OneRowReply, TakesAsManyBytesOnTheWireAsAskedFor) {
  const size_t smallest = OneRowReply(0).size();
  for (const uint64_t bytes : {128u, 256u, 300u, 1400u, 16384u, 65536u, 1u << 20}) {
    EXPECT_EQ(OneRowReply(bytes).size(), std::max<uint64_t>(bytes, smallest));
  }
  // Around the sizes at which the value's length prefix grows it may be a little short.
  for (uint64_t bytes = smallest; bytes < 70'000; ++bytes) {
    const size_t size = OneRowReply(bytes).size();
    EXPECT_LE(size, bytes);
    EXPECT_GE(size + 8, bytes);
  }
}

TEST(BulkRows, AreTheSameBytesHoweverTheyGoOut) {
  const std::string whole = Bulk(100'000, 16'384, SIZE_MAX);
  for (const size_t at_once : {1u, 3u, 4u, 7u, 16'384u, 16'391u, 50'000u}) {
    EXPECT_EQ(Bulk(100'000, 16'384, at_once), whole) << at_once;
  }
}

TEST(BulkRows, CountSequenceIdsThroughTheirEnd) {
  std::string bulk = Bulk(300 * 1000, 1000, SIZE_MAX);
  packet::Bytes bytes = packet::AsBytes(bulk);
  PacketStream stream;
  PacketStream::Packet packet;
  uint8_t expected = 1;
  size_t packets = 0;
  while (stream.Next(&bytes, &packet)) {
    EXPECT_EQ(packet.header.sequence_id, expected++);
    ++packets;
  }
  EXPECT_EQ(packets, kColumnsLast + 300u + 1u);
}

TEST(ReplyReader, FindsTheEndOfEveryAnswerAtAnySplit) {
  std::string ok;
  AppendOk(1, &ok);
  for (const std::string& reply : {ok, OneRowReply(128), Bulk(5000, 1000, SIZE_MAX)}) {
    for (size_t split = 0; split <= reply.size(); ++split) {
      ReplyReader reader;
      reader.Start();
      packet::Bytes first = packet::AsBytes(reply).first(split);
      packet::Bytes second = packet::AsBytes(reply).subspan(split);
      const auto result = reader.Read(&first);
      EXPECT_EQ(result == ReplyReader::Result::kDone, split == reply.size());
      if (split < reply.size()) {
        EXPECT_EQ(reader.Read(&second), ReplyReader::Result::kDone);
      }
    }
  }
}

TEST(ReplyReader, LeavesWhatIsBehindTheAnswer) {
  const std::string two = OneRowReply(128) + OneRowReply(256);
  ReplyReader reader;
  reader.Start();
  packet::Bytes bytes = packet::AsBytes(two);
  EXPECT_EQ(reader.Read(&bytes), ReplyReader::Result::kDone);
  EXPECT_EQ(bytes.size(), 256u);
}

TEST(ReplyReader, TellsAnError) {
  std::string error;
  AppendError(1064, "no such thing", 1, &error);
  ReplyReader reader;
  reader.Start();
  packet::Bytes bytes = packet::AsBytes(error);
  EXPECT_EQ(reader.Read(&bytes), ReplyReader::Result::kError);
  EXPECT_EQ(reader.error(), "1064 no such thing");
}

}  // namespace
}  // namespace sallyport::bench
