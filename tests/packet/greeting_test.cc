#include "packet/greeting.h"

#include <gtest/gtest.h>

#include "packet/capabilities.h"
#include "tests/packet/bytes.h"
#include "tests/packet/real_packets.h"

namespace sallyport::packet {
namespace {

Nonce NonceOf(std::string_view hex) {
  const Buffer bytes = Hex(hex);
  Nonce nonce{};
  EXPECT_TRUE(ReadNonce(bytes, &nonce));
  return nonce;
}

TEST(Greeting, OfMySql97IsReadWhole) {
  const Buffer payload = HexPayload(kMySqlGreeting);
  Greeting greeting;
  ASSERT_EQ(ParseGreeting(payload, &greeting), Parse::kOk);
  EXPECT_EQ(greeting.server_version, "9.7.4-2");
  EXPECT_EQ(greeting.thread_id, 9u);
  EXPECT_EQ(greeting.capability_flags, 0xdfffffffu);
  EXPECT_EQ(greeting.character_set, 255);
  EXPECT_EQ(greeting.auth_plugin_name, "caching_sha2_password");
  EXPECT_EQ(greeting.nonce, NonceOf("64 0a 78 3b 65 4e 45 33 0e 1f 2c 0b 63 3d 64 0d 38 2c 0b 62"));
}

TEST(Greeting, OfMariaDbIsReadWhole) {
  const Buffer payload = HexPayload(kMariaDbGreeting);
  Greeting greeting;
  ASSERT_EQ(ParseGreeting(payload, &greeting), Parse::kOk);
  EXPECT_EQ(greeting.server_version, "5.5.5-10.11.19-MariaDB-0+deb12u1");
  EXPECT_EQ(greeting.thread_id, 4u);
  EXPECT_EQ(greeting.capability_flags, 0x81fff7feu);
  EXPECT_EQ(greeting.character_set, 8);
  EXPECT_EQ(greeting.auth_plugin_name, "mysql_native_password");
  EXPECT_EQ(greeting.nonce, NonceOf("3d 33 26 63 43 63 4b 2d 3b 24 41 58 79 79 71 4c 67 44 5a 78"));
}

// Where a real greeting may end: from behind the twelfth byte of the nonce's second part on.
TEST(Greeting, CutAnywhereInItsNonceOrBeforeIsMalformed) {
  for (const std::string_view hex : {kMySqlGreeting, kMariaDbGreeting}) {
    const Buffer payload = HexPayload(hex);
    const size_t nonce_end = payload.size() - std::string_view("caching_sha2_password").size() - 2;
    for (size_t size = 0; size <= payload.size(); ++size) {
      const Buffer cut = Exact(Bytes(payload).first(size));
      Greeting greeting{.server_version = "untouched"};
      const Parse parse = ParseGreeting(cut, &greeting);
      EXPECT_EQ(parse, size < nonce_end ? Parse::kMalformed : Parse::kOk) << size;
      EXPECT_EQ(greeting.server_version == "untouched", parse != Parse::kOk);
    }
  }
}

TEST(Greeting, MayLackTheNulBehindThePluginsName) {
  Buffer payload = HexPayload(kMySqlGreeting);
  payload = Exact(Bytes(payload).first(payload.size() - 1));
  Greeting greeting;
  ASSERT_EQ(ParseGreeting(payload, &greeting), Parse::kOk);
  EXPECT_EQ(greeting.auth_plugin_name, "caching_sha2_password");
}

// 0a "4.1.22" 00, thread 1, nonce, CLIENT_PROTOCOL_41|CLIENT_SECURE_CONNECTION, no plugin.
constexpr std::string_view kGreeting41 =
    "0a 34 2e 31 2e 32 32 00 01 00 00 00 31 32 33 34 35 36 37 38 00 00 82 08 02 00 00 00 00 "
    "00 00 00 00 00 00 00 00 00 00 61 62 63 64 65 66 67 68 69 6a 6b 6c 00";

TEST(Greeting, Of41ServersHasNoPlugin) {
  const Buffer payload = Hex(kGreeting41);
  Greeting greeting;
  ASSERT_EQ(ParseGreeting(payload, &greeting), Parse::kOk);
  EXPECT_EQ(greeting.server_version, "4.1.22");
  EXPECT_EQ(greeting.auth_plugin_name, "");
  EXPECT_EQ(AsText(greeting.nonce), "12345678abcdefghijkl");
}

TEST(Greeting, WithoutSecureConnectionHasEightBytesOfNonceAndZeros) {
  Buffer payload = Hex(kGreeting41);
  payload[22] = 0x02;  // CLIENT_PROTOCOL_41 alone.
  Greeting greeting;
  ASSERT_EQ(ParseGreeting(payload, &greeting), Parse::kOk);
  EXPECT_EQ(AsText(greeting.nonce), std::string("12345678") + std::string(12, '\0'));
}

TEST(Greeting, SkipsAuthPluginDataBeyondTheNonce) {
  // auth_plugin_data_size 31: eight bytes, then 23.
  const Buffer payload = Join({Hex("0a 39 00 01 00 00 00 31 32 33 34 35 36 37 38 00 00 82 08 02 00 "
                                   "08 00 1f 00 00 00 00 00 00 00 00 00 00"),
                               AsBytes("abcdefghijklmnopqrstuvw"), AsBytes("plugin"), Hex("00")});
  Greeting greeting;
  ASSERT_EQ(ParseGreeting(payload, &greeting), Parse::kOk);
  EXPECT_EQ(AsText(greeting.nonce), "12345678abcdefghijkl");
  EXPECT_EQ(greeting.auth_plugin_name, "plugin");
}

TEST(Greeting, OfAnotherProtocolIsMalformed) {
  for (const int version : {0, 9, 11, 0xFF}) {
    Buffer payload = HexPayload(kMySqlGreeting);
    payload[0] = static_cast<uint8_t>(version);
    Greeting greeting;
    EXPECT_EQ(ParseGreeting(payload, &greeting), Parse::kMalformed);
  }
  Buffer before_41 = Hex(kGreeting41);
  before_41[22] = 0x80;  // CLIENT_SECURE_CONNECTION alone.
  Greeting greeting;
  EXPECT_EQ(ParseGreeting(before_41, &greeting), Parse::kMalformed);
}

TEST(SetClientSsl, ChangesThatBitAndNoOther) {
  for (const std::string_view hex : {kMySqlGreeting, kMariaDbGreeting}) {
    const Buffer before = HexPayload(hex);
    Greeting greeting;
    ASSERT_EQ(ParseGreeting(before, &greeting), Parse::kOk);
    const uint32_t flags = greeting.capability_flags;
    for (const bool on : {true, false, false, true, true}) {
      Buffer payload = before;
      SetClientSsl(payload, on);
      ASSERT_EQ(ParseGreeting(payload, &greeting), Parse::kOk);
      EXPECT_EQ(greeting.capability_flags, on ? flags | CLIENT_SSL : flags & ~CLIENT_SSL);
      size_t changed = 0;
      for (size_t i = 0; i < before.size(); ++i) {
        changed += payload[i] != before[i] ? 1 : 0;
      }
      EXPECT_EQ(changed, ((flags & CLIENT_SSL) != 0) == on ? 0u : 1u);
    }
  }
}

TEST(ClearCompressionOffer, ClearsThoseBitsAndNoOther) {
  for (const std::string_view hex : {kMySqlGreeting, kMariaDbGreeting}) {
    Buffer payload = HexPayload(hex);
    Greeting before, after;
    ASSERT_EQ(ParseGreeting(payload, &before), Parse::kOk);
    EXPECT_NE(before.capability_flags & kCompressionFlags, 0u);
    ClearCompressionOffer(payload);
    ASSERT_EQ(ParseGreeting(payload, &after), Parse::kOk);
    EXPECT_EQ(after.capability_flags, before.capability_flags & ~kCompressionFlags);
    Buffer rest = HexPayload(hex);
    size_t changed = 0;
    for (size_t i = 0; i < rest.size(); ++i) changed += payload[i] != rest[i] ? 1 : 0;
    EXPECT_LE(changed, 2u);
  }
}

TEST(WriteGreeting, WritesRealServersGreetingsByteByByte) {
  for (const std::string_view hex : {kMySqlGreeting, kMariaDbGreeting}) {
    const Buffer payload = HexPayload(hex);
    Greeting greeting;
    ASSERT_EQ(ParseGreeting(payload, &greeting), Parse::kOk);
    EXPECT_EQ(greeting.extended_flags != 0, hex == kMariaDbGreeting);
    Buffer written(kGreetingSizeMax);
    written.resize(WriteGreeting(greeting, written));
    EXPECT_EQ(written, payload);
  }
}

TEST(WriteGreeting, FitsItsRoomWithTheLongestTexts) {
  Greeting greeting;
  const std::string text(kGreetingTextMax, 'x');
  greeting.server_version = greeting.auth_plugin_name = text;
  greeting.capability_flags = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH;
  Buffer written(kGreetingSizeMax);
  EXPECT_GT(WriteGreeting(greeting, written), 2 * kGreetingTextMax);
}

TEST(SetClientSslDeathTest, WantsAGreeting) {
  Buffer payload = Hex("0a 00");
  EXPECT_DEATH(SetClientSsl(payload, true), "check failed");
}

TEST(Nonce, IsTheFirstTwentyBytesAndNeedsThemAll) {
  const Buffer data = Exact("abcdefghijklmnopqrst\0");
  for (size_t size = 0; size < kNonceSize; ++size) {
    const Buffer cut = Exact(Bytes(data).first(size));
    Nonce nonce{};
    EXPECT_FALSE(ReadNonce(cut, &nonce));
    EXPECT_EQ(nonce, Nonce{});
  }
  Nonce nonce{};
  ASSERT_TRUE(ReadNonce(data, &nonce));
  EXPECT_EQ(AsText(nonce), "abcdefghijklmnopqrst");
}

}  // namespace
}  // namespace sallyport::packet
