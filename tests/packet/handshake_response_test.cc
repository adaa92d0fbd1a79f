#include "packet/handshake_response.h"

#include <gtest/gtest.h>

#include "packet/asking_plugin.h"
#include "packet/capabilities.h"
#include "tests/packet/bytes.h"
#include "tests/packet/real_packets.h"

namespace sallyport::packet {
namespace {

constexpr uint32_t kLenEncFlags = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION |
                                  CLIENT_PLUGIN_AUTH | CLIENT_CONNECT_WITH_DB |
                                  CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
constexpr uint32_t kOneByteFlags = kLenEncFlags & ~CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
constexpr uint32_t kNulFlags = kOneByteFlags & ~CLIENT_SECURE_CONNECTION;

Buffer Fixed(uint32_t flags) {
  Buffer fixed(32);
  Writer writer(fixed);
  EXPECT_TRUE(writer.WriteInt4(flags) && writer.WriteInt4(0x1000000) && writer.WriteInt1(45));
  return fixed;
}

// A payload with the fields `fields` behind the fixed part.
Buffer Response(uint32_t flags, std::string_view fields) {
  return Join({Fixed(flags), AsBytes(fields)});
}

using namespace std::string_view_literals;

TEST(ClientReply, IsKnownBySizeAndCapabilityBits) {
  constexpr uint32_t k41 = CLIENT_PROTOCOL_41;
  EXPECT_EQ(ClassifyClientReply(Fixed(k41 | CLIENT_SSL)), ClientReply::kSslRequest);
  EXPECT_EQ(ClassifyClientReply(Fixed(k41)), ClientReply::kMalformed);
  EXPECT_EQ(ClassifyClientReply(Response(k41, "\0"sv)), ClientReply::kHandshakeResponse41);
  EXPECT_EQ(ClassifyClientReply(Response(k41 | CLIENT_SSL, "\0"sv)),
            ClientReply::kHandshakeResponse41);
  EXPECT_EQ(ClassifyClientReply(HexPayload(kMySqlResponse)), ClientReply::kHandshakeResponse41);
  EXPECT_EQ(ClassifyClientReply(HexPayload(kMariaDbResponse)), ClientReply::kHandshakeResponse41);
}

TEST(ClientReply, OfFlagsAloneIsOldConnectorJsSslRequest) {
  const Buffer fixed = Fixed(CLIENT_PROTOCOL_41 | CLIENT_SSL);
  for (size_t size = 0; size < fixed.size(); ++size) {
    const Buffer cut = Exact(Bytes(fixed).first(size));
    EXPECT_EQ(ClassifyClientReply(cut),
              size == 4 ? ClientReply::kSslRequest : ClientReply::kMalformed)
        << size;
  }
}

TEST(ClientReply, WithoutProtocol41IsAClientFromBefore) {
  for (const uint32_t flags : {0u, CLIENT_SSL, CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH}) {
    EXPECT_EQ(ClassifyClientReply(Fixed(flags)), ClientReply::kPre41);
    EXPECT_EQ(ClassifyClientReply(Response(flags, "user"sv)), ClientReply::kPre41);
  }
  EXPECT_EQ(ClassifyClientReply(Hex("85 08 00 00 00")), ClientReply::kPre41);
}

TEST(HandshakeResponse, OfTheMySqlCommandLineIsReadWhole) {
  const Buffer payload = HexPayload(kMySqlResponseWithDatabase);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
  EXPECT_EQ(response.capability_flags, 0x19bfa28du);
  EXPECT_EQ(response.max_packet_size, 0x1000000u);
  EXPECT_EQ(response.character_set, 255);
  EXPECT_EQ(response.username, "ann");
  EXPECT_EQ(response.auth_response.size(), 32u);
  EXPECT_EQ(response.auth_response[0], 0xbe);
  EXPECT_EQ(response.database, "shop");
  EXPECT_EQ(response.auth_plugin_name, "caching_sha2_password");
  EXPECT_EQ(response.auth_response_field_begin, 36u);
  EXPECT_EQ(response.auth_response_field_end, 36u + 1 + 32);
}

TEST(HandshakeResponse, OfTheMySqlCommandLineWithoutDatabaseHasNone) {
  const Buffer payload = HexPayload(kMySqlResponse);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
  EXPECT_EQ(response.username, "ann");
  EXPECT_EQ(response.database, "");
  EXPECT_EQ(response.auth_plugin_name, "caching_sha2_password");
}

TEST(HandshakeResponse, OfTheMariaDbCommandLineIsReadWhole) {
  const Buffer payload = HexPayload(kMariaDbResponseWithDatabase);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
  EXPECT_EQ(response.capability_flags, 0x00bfa28cu);
  EXPECT_EQ(response.max_packet_size, 0x100000u);
  EXPECT_EQ(response.character_set, 33);
  EXPECT_EQ(response.username, "ann");
  EXPECT_EQ(response.auth_response.size(), 20u);
  EXPECT_EQ(response.database, "shop");
  EXPECT_EQ(response.auth_plugin_name, "mysql_native_password");
}

TEST(HandshakeResponse, OfMariaDbsClientsKeepsItsExtendedCapabilitiesInPlace) {
  const Buffer payload = HexPayload(kMariaDbResponse);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
  EXPECT_EQ(response.capability_flags & CLIENT_LONG_PASSWORD, 0u);
  EXPECT_EQ(response.username, "ann");
  EXPECT_EQ(response.database, "");
  Buffer out(payload.size());
  ASSERT_EQ(ReplaceAuthResponse(payload, response, response.auth_response, out), payload.size());
  EXPECT_EQ(out, payload);
  EXPECT_EQ(out[28], 0x1d);
}

TEST(HandshakeResponse, OfMysqlndHasAOneByteLength) {
  const Buffer payload = HexPayload(kMysqlndResponse);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
  EXPECT_EQ(response.capability_flags & CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA, 0u);
  EXPECT_EQ(response.username, "ann");
  EXPECT_EQ(response.auth_response.size(), 32u);
  EXPECT_EQ(response.database, "shop");
  EXPECT_EQ(response.auth_plugin_name, "caching_sha2_password");
}

TEST(HandshakeResponse, CutBeforeTheEndOfItsAuthResponseIsMalformed) {
  for (const std::string_view hex : {kMySqlResponseWithDatabase, kMariaDbResponseWithDatabase,
                                     kMariaDbClientToMySql, kMysqlndResponse}) {
    const Buffer payload = HexPayload(hex);
    HandshakeResponse whole;
    ASSERT_EQ(ParseHandshakeResponse(payload, &whole), Parse::kOk);
    for (size_t size = 0; size <= payload.size(); ++size) {
      const Buffer cut = Exact(Bytes(payload).first(size));
      HandshakeResponse response{.username = "untouched"};
      const Parse parse = ParseHandshakeResponse(cut, &response);
      if (size < whole.auth_response_field_end) {
        EXPECT_EQ(parse, Parse::kMalformed) << size;
        EXPECT_EQ(response.username, "untouched");
        continue;
      }
      ASSERT_EQ(parse, Parse::kOk) << size;
      EXPECT_EQ(response.username, whole.username);
      // What is left of the tail is read, as far as it goes.
      EXPECT_TRUE(whole.database.starts_with(response.database));
      EXPECT_TRUE(whole.auth_plugin_name.starts_with(response.auth_plugin_name));
    }
  }
}

TEST(HandshakeResponse, MayEndBeforeWhatItsFlagsPromise) {
  const Buffer payload = Response(kOneByteFlags | CLIENT_CONNECT_ATTRS, "ann\0\0"sv);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
  EXPECT_EQ(response.username, "ann");
  EXPECT_TRUE(response.auth_response.empty());
  EXPECT_EQ(response.database, "");
  EXPECT_EQ(response.auth_plugin_name, "");
}

TEST(HandshakeResponse, HasNoDatabaseOrPluginWithoutTheirFlags) {
  const uint32_t flags = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION;
  const Buffer with_neither = Response(flags, "ann\0\0not a database\0nor a plugin\0"sv);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(with_neither, &response), Parse::kOk);
  EXPECT_EQ(response.database, "");
  EXPECT_EQ(response.auth_plugin_name, "");
  const Buffer plugin_only = Response(flags | CLIENT_PLUGIN_AUTH, "ann\0\0plugin\0"sv);
  ASSERT_EQ(ParseHandshakeResponse(plugin_only, &response), Parse::kOk);
  EXPECT_EQ(response.database, "");
  EXPECT_EQ(response.auth_plugin_name, "plugin");
}

TEST(HandshakeResponse, ReadsEachEncodingOfTheAuthResponse) {
  const struct {
    uint32_t flags;
    std::string_view field;
    std::string_view auth_response;
  } kCases[] = {
      {kLenEncFlags, "\3abc"sv, "abc"sv},
      {kLenEncFlags, "\xfc\3\0abc"sv, "abc"sv},
      {kLenEncFlags, "\xfd\3\0\0abc"sv, "abc"sv},
      {kLenEncFlags, "\xfe\3\0\0\0\0\0\0\0abc"sv, "abc"sv},
      {kLenEncFlags, "\0"sv, ""sv},
      {kOneByteFlags, "\3abc"sv, "abc"sv},
      {kOneByteFlags, "\3a\0c"sv, "a\0c"sv},
      {kOneByteFlags, "\0"sv, ""sv},
      {kNulFlags, "abc\0"sv, "abc"sv},
      {kNulFlags, "\0"sv, ""sv},
      // The length-encoded form needs no CLIENT_SECURE_CONNECTION beside it.
      {kLenEncFlags & ~CLIENT_SECURE_CONNECTION, "\3abc"sv, "abc"sv},
  };
  for (const auto& c : kCases) {
    const Buffer payload =
        Join({Fixed(c.flags), AsBytes("ann\0"sv), AsBytes(c.field), AsBytes("shop\0plugin\0"sv)});
    HandshakeResponse response;
    ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
    EXPECT_EQ(AsText(response.auth_response), c.auth_response);
    EXPECT_EQ(response.auth_response_field_begin, 36u);
    EXPECT_EQ(response.auth_response_field_end, 36u + c.field.size());
    EXPECT_EQ(response.database, "shop");
    EXPECT_EQ(response.auth_plugin_name, "plugin");
  }
}

TEST(HandshakeResponse, With255ByteAuthResponseIsNoLenEncMarker) {
  const std::string auth_response(255, 'x');
  const Buffer payload = Response(kOneByteFlags, std::string("ann\0\xff"sv) + auth_response);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
  EXPECT_EQ(AsText(response.auth_response), auth_response);
}

TEST(HandshakeResponse, WithAnAuthResponseLongerThanThePayloadIsMalformed) {
  for (const Buffer& payload :
       {Response(kLenEncFlags, "ann\0\4abc"sv), Response(kOneByteFlags, "ann\0\4abc"sv),
        Response(kNulFlags, "ann\0abc"sv), Response(kLenEncFlags, "ann\0"sv),
        Response(kOneByteFlags, "ann\0"sv), Response(kNulFlags, "ann\0"sv),
        Response(kLenEncFlags, "ann\0\xfb"sv), Response(kLenEncFlags, "ann\0\xff"sv),
        Response(kLenEncFlags, "ann\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff"sv),
        Response(kLenEncFlags, "ann"sv)}) {
    HandshakeResponse response;
    EXPECT_EQ(ParseHandshakeResponse(payload, &response), Parse::kMalformed);
  }
}

TEST(ClearClientSsl, ChangesThatBitAndNoOther) {
  Buffer payload = Fixed(0xFFFFFFFF);
  ClearClientSsl(payload);
  EXPECT_EQ(payload, Fixed(0xFFFFFFFF & ~CLIENT_SSL));
  ClearClientSsl(payload);
  EXPECT_EQ(payload, Fixed(0xFFFFFFFF & ~CLIENT_SSL));
  Buffer flags = Hex("ff ff ff ff");
  ClearClientSsl(flags);
  EXPECT_EQ(flags, Hex("ff f7 ff ff"));
}

TEST(ClearCompression, ClearsThoseBitsAndNoOther) {
  Buffer payload = Fixed(0xFFFFFFFF);
  ClearCompression(payload);
  EXPECT_EQ(payload, Fixed(0xFFFFFFFF & ~kCompressionFlags));
  Buffer flags = Hex("ff ff ff ff");
  ClearCompression(flags);
  EXPECT_EQ(flags, Hex("df ff ff fb"));
}

TEST(ClearClientSslDeathTest, WantsFlags) {
  Buffer three(3);
  EXPECT_DEATH(ClearClientSsl(three), "check failed");
}

// After a replacement everything reads as before, but for the auth_response.
void ExpectReplaced(Bytes payload, Bytes auth_response) {
  HandshakeResponse before;
  ASSERT_EQ(ParseHandshakeResponse(payload, &before), Parse::kOk);
  Buffer room(payload.size() + auth_response.size() + 9);
  const size_t size = ReplaceAuthResponse(payload, before, auth_response, room);
  ASSERT_GT(size, 0u);
  const Buffer out = Exact(Bytes(room).first(size));
  HandshakeResponse after;
  ASSERT_EQ(ParseHandshakeResponse(out, &after), Parse::kOk);
  EXPECT_EQ(AsText(after.auth_response), AsText(auth_response));
  EXPECT_EQ(after.capability_flags, before.capability_flags);
  EXPECT_EQ(after.max_packet_size, before.max_packet_size);
  EXPECT_EQ(after.character_set, before.character_set);
  EXPECT_EQ(after.username, before.username);
  EXPECT_EQ(after.database, before.database);
  EXPECT_EQ(after.auth_plugin_name, before.auth_plugin_name);
  EXPECT_EQ(Exact(payload.first(before.auth_response_field_begin)),
            Exact(Bytes(out).first(after.auth_response_field_begin)));
  EXPECT_EQ(Exact(payload.subspan(before.auth_response_field_end)),
            Exact(Bytes(out).subspan(after.auth_response_field_end)));

  // And back again, byte for byte: these clients all write the shortest length.
  Buffer back(payload.size());
  EXPECT_EQ(ReplaceAuthResponse(out, after, before.auth_response, back), payload.size());
  EXPECT_EQ(back, Exact(payload));
  // Into a byte less than it needs: not at all.
  Buffer too_small(size - 1);
  EXPECT_EQ(ReplaceAuthResponse(payload, before, auth_response, too_small), 0u);
}

TEST(ReplaceAuthResponse, ChangesNothingElseInRealPackets) {
  for (const std::string_view hex :
       {kMySqlResponse, kMySqlResponseWithDatabase, kMariaDbResponse, kMariaDbResponseWithDatabase,
        kMariaDbClientToMySql, kMysqlndResponse}) {
    for (const size_t size : {0u, 1u, 20u, 32u, 250u, 251u, 255u}) {
      ExpectReplaced(HexPayload(hex), Buffer(size, 'x'));
    }
  }
  for (const size_t size : {256u, 0xFFFFu, 0x10000u}) {
    ExpectReplaced(HexPayload(kMySqlResponse), Buffer(size, 'x'));
  }
}

TEST(ReplaceAuthResponse, RefusesWhatTheEncodingCannotCarry) {
  const Buffer one_byte = Response(kOneByteFlags, "ann\0\0"sv);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(one_byte, &response), Parse::kOk);
  Buffer room(1000);
  EXPECT_EQ(ReplaceAuthResponse(one_byte, response, Buffer(256, 'x'), room), 0u);
  EXPECT_EQ(ReplaceAuthResponse(one_byte, response, Buffer(255, 0), room), one_byte.size() + 255);

  const Buffer nul = Response(kNulFlags, "ann\0\0"sv);
  ASSERT_EQ(ParseHandshakeResponse(nul, &response), Parse::kOk);
  EXPECT_EQ(ReplaceAuthResponse(nul, response, Hex("61 00"), room), 0u);
  EXPECT_EQ(ReplaceAuthResponse(nul, response, Hex("01"), room), nul.size() + 1);
}

// What an AskingLogin is of: all but auth_response and plugin stays, to the last byte.
void ExpectAsking(Bytes payload) {
  HandshakeResponse before;
  ASSERT_EQ(ParseHandshakeResponse(payload, &before), Parse::kOk);
  Buffer asking(payload.size() + kAskingPluginRoom);
  asking.resize(WriteAskingLogin(payload, before, asking));
  HandshakeResponse after;
  ASSERT_EQ(ParseHandshakeResponse(asking, &after), Parse::kOk);
  EXPECT_TRUE(after.auth_response.empty());
  EXPECT_EQ(after.auth_plugin_name, kAskingPlugin);
  EXPECT_EQ(after.username, before.username);
  EXPECT_EQ(after.database, before.database);
  EXPECT_EQ(Exact(Bytes(asking).first(before.auth_response_field_begin)),
            Exact(payload.first(before.auth_response_field_begin)));
  EXPECT_EQ(Exact(Bytes(asking).subspan(after.auth_plugin_name_end)),
            Exact(payload.subspan(before.auth_plugin_name_end)));
}

TEST(AskingLogin, ChangesNothingElseInRealPackets) {
  for (const std::string_view hex : {kMySqlResponseWithDatabase, kMariaDbResponseWithDatabase}) {
    const Buffer payload = HexPayload(hex);
    ExpectAsking(payload);
    // Where attributes, plugin and database are missing, and the last lacks its NUL.
    HandshakeResponse response;
    ASSERT_EQ(ParseHandshakeResponse(payload, &response), Parse::kOk);
    for (size_t size = response.auth_response_field_end; size < payload.size(); ++size) {
      ExpectAsking(Exact(Bytes(payload).first(size)));
    }
  }
}

TEST(ClearFlags, ClearsThoseAndNoOther) {
  Buffer payload = HexPayload(kMariaDbResponseWithDatabase);
  HandshakeResponse before;
  ASSERT_EQ(ParseHandshakeResponse(payload, &before), Parse::kOk);
  ASSERT_NE(before.extended_flags, 0u);
  ClearFlags(payload, CLIENT_CONNECT_ATTRS, 1);
  HandshakeResponse after;
  ASSERT_EQ(ParseHandshakeResponse(payload, &after), Parse::kOk);
  EXPECT_EQ(after.capability_flags, before.capability_flags & ~CLIENT_CONNECT_ATTRS);
  EXPECT_EQ(after.extended_flags, before.extended_flags & ~1u);
  // What stands there in others' packets is not known.
  payload = HexPayload(kMySqlResponseWithDatabase);
  Buffer untouched = payload;
  ClearFlags(payload, 0, UINT32_MAX);
  EXPECT_EQ(payload, untouched);
}

TEST(ThrowawayLogin, IsALoginThatServersRead) {
  Buffer room(kThrowawayLoginSizeMax);
  const size_t size = WriteThrowawayLogin(0xdfffffff, "caching_sha2_password", 1, room);
  const Buffer packet = Exact(Bytes(room).first(size));
  Header header;
  ASSERT_EQ(ReadHeader(packet, &header), Parse::kOk);
  EXPECT_EQ(header.payload_length, size - kHeaderSize);
  EXPECT_EQ(header.sequence_id, 1);
  EXPECT_EQ(ClassifyClientReply(Payload(Bytes(packet))), ClientReply::kHandshakeResponse41);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(Payload(Bytes(packet)), &response), Parse::kOk);
  EXPECT_EQ(response.capability_flags,
            CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH);
  EXPECT_EQ(response.username, "sallyport-left-early");
  EXPECT_TRUE(response.auth_response.empty());
  EXPECT_EQ(response.auth_plugin_name, "caching_sha2_password");
  EXPECT_EQ(packet.back(), 0);
}

TEST(ThrowawayLogin, NamesNativePasswordWhereTheGreetingsNameIsOfNoUse) {
  for (const std::string& name : {std::string(), std::string(kThrowawayLoginSizeMax, 'x')}) {
    Buffer room(kThrowawayLoginSizeMax);
    const size_t size = WriteThrowawayLogin(CLIENT_PLUGIN_AUTH, name, 1, room);
    HandshakeResponse response;
    ASSERT_EQ(ParseHandshakeResponse(Payload(Bytes(room).first(size)), &response), Parse::kOk);
    EXPECT_EQ(response.auth_plugin_name, "mysql_native_password");
  }
}

TEST(ThrowawayLogin, FitsItsRoomWithThePluginNameThatJustFits) {
  size_t largest = 0;
  for (size_t size = 1; size <= kThrowawayLoginSizeMax; ++size) {
    Buffer room(kThrowawayLoginSizeMax);
    largest =
        std::max(largest, WriteThrowawayLogin(CLIENT_PLUGIN_AUTH, std::string(size, 'x'), 1, room));
  }
  EXPECT_EQ(largest, kThrowawayLoginSizeMax);
}

TEST(ThrowawayLogin, SetsNoFlagThatTheServerLacks) {
  Buffer room(kThrowawayLoginSizeMax);
  const size_t size = WriteThrowawayLogin(0, "plugin", 7, room);
  HandshakeResponse response;
  ASSERT_EQ(ParseHandshakeResponse(Payload(Bytes(room).first(size)), &response), Parse::kOk);
  EXPECT_EQ(response.capability_flags, CLIENT_PROTOCOL_41);
  EXPECT_EQ(response.auth_plugin_name, "");
  EXPECT_EQ(room[3], 7);
}

TEST(ThrowawayLoginDeathTest, WantsItsRoom) {
  Buffer room(kThrowawayLoginSizeMax - 1);
  EXPECT_DEATH(WriteThrowawayLogin(0, "", 1, room), "check failed");
}

}  // namespace
}  // namespace sallyport::packet
