#include "packet/wire.h"

#include <gtest/gtest.h>

#include "tests/packet/bytes.h"

namespace sallyport::packet {
namespace {

TEST(Reader, ReadsIntegersLittleEndian) {
  const Buffer bytes = Hex("01 02 03 04 05 06 07 08 09 f0");
  Reader reader(bytes);
  uint8_t one = 0;
  uint16_t two = 0;
  uint32_t three = 0;
  uint32_t four = 0;
  ASSERT_TRUE(reader.ReadInt1(&one));
  ASSERT_TRUE(reader.ReadInt2(&two));
  ASSERT_TRUE(reader.ReadInt3(&three));
  ASSERT_TRUE(reader.ReadInt4(&four));
  EXPECT_EQ(one, 0x01);
  EXPECT_EQ(two, 0x0302);
  EXPECT_EQ(three, 0x060504u);
  EXPECT_EQ(four, 0xf0090807u);
  EXPECT_TRUE(reader.empty());
  EXPECT_EQ(reader.position(), 10u);
}

TEST(Reader, LeavesCursorAndOutputAloneWhereBytesAreMissing) {
  for (size_t size = 0; size <= 4; ++size) {
    const Buffer bytes(size, 0x11);
    Reader reader(bytes);
    uint8_t one = 7;
    uint16_t two = 7;
    uint32_t three = 7;
    uint32_t four = 7;
    Bytes five = bytes;
    EXPECT_EQ(Reader(reader).ReadInt1(&one), size >= 1);
    EXPECT_EQ(Reader(reader).ReadInt2(&two), size >= 2);
    EXPECT_EQ(Reader(reader).ReadInt3(&three), size >= 3);
    EXPECT_EQ(Reader(reader).ReadInt4(&four), size >= 4);
    EXPECT_FALSE(reader.ReadBytes(5, &five));
    EXPECT_FALSE(reader.Skip(5));
    EXPECT_FALSE(reader.ReadBytes(SIZE_MAX, &five));
    EXPECT_EQ(one, size >= 1 ? 0x11 : 7);
    EXPECT_EQ(two, size >= 2 ? 0x1111 : 7);
    EXPECT_EQ(three, size >= 3 ? 0x111111u : 7u);
    EXPECT_EQ(four, size >= 4 ? 0x11111111u : 7u);
    EXPECT_EQ(five.size(), size);
    EXPECT_EQ(reader.position(), 0u);
  }
}

TEST(Reader, ReadsEachSizeOfLenEncInteger) {
  const struct {
    const char* hex;
    uint64_t value;
  } kCases[] = {
      {"00", 0},
      {"fa", 250},
      {"fc fb 00", 251},
      {"fc ff ff", 0xFFFF},
      {"fd 00 00 01", 0x10000},
      {"fd ff ff ff", 0xFFFFFF},
      {"fe 00 00 00 01 00 00 00 00", 0x1000000},
      {"fe ff ff ff ff ff ff ff ff", UINT64_MAX},
      {"fc 01 00", 1},  // Longer than it need be: servers read it, so it is read.
  };
  for (const auto& c : kCases) {
    const Buffer bytes = Hex(c.hex);
    Reader reader(bytes);
    uint64_t value = 77;
    EXPECT_TRUE(reader.ReadIntLenEnc(&value)) << c.hex;
    EXPECT_EQ(value, c.value) << c.hex;
    EXPECT_TRUE(reader.empty()) << c.hex;
    for (size_t size = 0; size < bytes.size(); ++size) {
      const Buffer cut = Exact(Bytes(bytes).first(size));
      Reader cut_reader(cut);
      uint64_t untouched = 77;
      EXPECT_FALSE(cut_reader.ReadIntLenEnc(&untouched)) << c.hex << " cut to " << size;
      EXPECT_EQ(untouched, 77u);
      EXPECT_EQ(cut_reader.position(), 0u);
    }
  }
}

TEST(Reader, RefusesNullAndErrAsLenEncIntegers) {
  for (const char* hex : {"fb 01 02 03 04 05 06 07 08 09", "ff 01 02 03 04 05 06 07 08 09"}) {
    const Buffer bytes = Hex(hex);
    Reader reader(bytes);
    uint64_t value = 77;
    Bytes view;
    EXPECT_FALSE(reader.ReadIntLenEnc(&value));
    EXPECT_FALSE(reader.ReadBytesLenEnc(&view));
    EXPECT_EQ(value, 77u);
    EXPECT_EQ(reader.position(), 0u);
  }
}

TEST(Reader, ReadsLenEncBytesOnlyWhole) {
  const Buffer bytes = Hex("03 61 62 63");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Buffer cut = Exact(Bytes(bytes).first(size));
    Reader reader(cut);
    Bytes view;
    EXPECT_FALSE(reader.ReadBytesLenEnc(&view)) << size;
    EXPECT_EQ(reader.position(), 0u);
  }
  Reader reader(bytes);
  Bytes view;
  ASSERT_TRUE(reader.ReadBytesLenEnc(&view));
  EXPECT_EQ(AsText(view), "abc");
}

TEST(Reader, RefusesALenEncLengthOfTheWholeAddressSpace) {
  const Buffer bytes = Hex("fe ff ff ff ff ff ff ff ff 61");
  Reader reader(bytes);
  Bytes view;
  EXPECT_FALSE(reader.ReadBytesLenEnc(&view));
  EXPECT_EQ(reader.position(), 0u);
}

TEST(Reader, StepsOverTheNulAndNeverBeyond) {
  const Buffer bytes = Hex("61 62 00 00 63");
  Reader reader(bytes);
  Bytes view;
  ASSERT_TRUE(reader.ReadNulTerminated(&view));
  EXPECT_EQ(AsText(view), "ab");
  ASSERT_TRUE(reader.ReadNulTerminated(&view));
  EXPECT_EQ(AsText(view), "");
  EXPECT_FALSE(reader.ReadNulTerminated(&view));
  EXPECT_EQ(reader.position(), 4u);
  EXPECT_EQ(AsText(reader.rest()), "c");
}

TEST(Writer, WritesWhatReaderReads) {
  Buffer room(64);
  Writer writer(room);
  ASSERT_TRUE(writer.WriteInt1(0xAB));
  ASSERT_TRUE(writer.WriteInt2(0xABCD));
  ASSERT_TRUE(writer.WriteInt3(0xABCDEF));
  ASSERT_TRUE(writer.WriteInt4(0xABCDEF01));
  ASSERT_TRUE(writer.WriteNulTerminated("name"));
  ASSERT_TRUE(writer.WriteBytesLenEnc(AsBytes("data")));
  ASSERT_TRUE(writer.WriteZeros(2));
  EXPECT_EQ(Exact(writer.written()),
            Hex("ab cd ab ef cd ab 01 ef cd ab 6e 61 6d 65 00 04 64 61 74 61 00 00"));
}

TEST(Writer, WritesTheShortestLenEncIntegerAndReadsItBack) {
  const struct {
    uint64_t value;
    size_t size;
  } kCases[] = {{0, 1},       {250, 1},      {251, 3},       {0xFFFF, 3},
                {0x10000, 4}, {0xFFFFFF, 4}, {0x1000000, 9}, {UINT64_MAX, 9}};
  for (const auto& c : kCases) {
    Buffer room(c.size);
    Writer writer(room);
    ASSERT_TRUE(writer.WriteIntLenEnc(c.value)) << c.value;
    EXPECT_EQ(writer.written().size(), c.size) << c.value;
    Reader reader(room);
    uint64_t value = 0;
    ASSERT_TRUE(reader.ReadIntLenEnc(&value));
    EXPECT_EQ(value, c.value);

    Buffer too_small(c.size - 1);
    Writer no(too_small);
    EXPECT_FALSE(no.WriteIntLenEnc(c.value)) << c.value;
    EXPECT_TRUE(no.written().empty());
  }
}

TEST(Writer, WritesAllOrNothing) {
  const Buffer data = Exact("four");
  for (size_t room_size = 0; room_size <= 6; ++room_size) {
    Buffer room(room_size);
    EXPECT_EQ(Writer(room).WriteInt1(1), room_size >= 1);
    EXPECT_EQ(Writer(room).WriteInt2(1), room_size >= 2);
    EXPECT_EQ(Writer(room).WriteInt3(1), room_size >= 3);
    EXPECT_EQ(Writer(room).WriteInt4(1), room_size >= 4);
    EXPECT_EQ(Writer(room).WriteBytes(data), room_size >= 4);
    EXPECT_EQ(Writer(room).WriteZeros(4), room_size >= 4);
    Writer len_enc(room);
    EXPECT_EQ(len_enc.WriteBytesLenEnc(data), room_size >= 5);
    EXPECT_EQ(len_enc.written().size(), room_size >= 5 ? 5u : 0u);
    Writer nul(room);
    EXPECT_EQ(nul.WriteNulTerminated("four"), room_size >= 5);
    EXPECT_EQ(nul.written().size(), room_size >= 5 ? 5u : 0u);
  }
}

TEST(Text, SeesTheSameMemoryAsBytes) {
  const Buffer bytes = Exact("abc");
  EXPECT_EQ(AsText(bytes), "abc");
  EXPECT_EQ(AsBytes(AsText(bytes)).data(), bytes.data());
  EXPECT_EQ(AsBytes("").size(), 0u);
}

}  // namespace
}  // namespace sallyport::packet
