#include "packet/change_user.h"

#include <gtest/gtest.h>

#include "packet/capabilities.h"
#include "tests/packet/bytes.h"
#include "tests/packet/real_packets.h"

namespace sallyport::packet {
namespace {

using namespace std::string_view_literals;

constexpr uint32_t kFlags = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH;

TEST(ChangeUser, OfMysqlndIsReadWhole) {
  const Buffer payload = HexPayload(kMysqlndChangeUser);
  ChangeUser change_user;
  ASSERT_EQ(ParseChangeUser(payload, 0x001aa28d, &change_user), Parse::kOk);
  EXPECT_EQ(change_user.username, "sha");
  EXPECT_EQ(change_user.auth_response.size(), 32u);
  EXPECT_EQ(change_user.auth_response[0], 0xc4);
  EXPECT_EQ(change_user.database, "");
  EXPECT_EQ(change_user.auth_plugin_name, "caching_sha2_password");
  EXPECT_EQ(change_user.auth_response_field_begin, 5u);
  EXPECT_EQ(change_user.auth_response_field_end, 5u + 33);
}

TEST(ChangeUser, CutBeforeItsDatabaseIsMalformedAndBehindItIsNot) {
  const Buffer payload = HexPayload(kMysqlndChangeUser);
  ChangeUser whole;
  ASSERT_EQ(ParseChangeUser(payload, kFlags, &whole), Parse::kOk);
  for (size_t size = 0; size <= payload.size(); ++size) {
    const Buffer cut = Exact(Bytes(payload).first(size));
    ChangeUser change_user{.username = "untouched"};
    const Parse parse = ParseChangeUser(cut, kFlags, &change_user);
    if (size <= whole.auth_response_field_end) {
      EXPECT_EQ(parse, Parse::kMalformed) << size;
      EXPECT_EQ(change_user.username, "untouched");
      continue;
    }
    ASSERT_EQ(parse, Parse::kOk) << size;
    EXPECT_EQ(change_user.username, "sha");
    EXPECT_TRUE(whole.auth_plugin_name.starts_with(change_user.auth_plugin_name));
  }
}

TEST(ChangeUser, MayEndBehindEachFieldFromTheDatabaseOn) {
  const struct {
    std::string_view tail;
    std::string_view database;
    std::string_view plugin;
  } kCases[] = {
      {"\0"sv, "", ""},
      {"shop\0"sv, "shop", ""},
      {"shop"sv, "shop", ""},
      {"shop\0\x2d"sv, "shop", ""},
      {"shop\0\x2d\0"sv, "shop", ""},
      {"shop\0\x2d\0plugin\0"sv, "shop", "plugin"},
      {"shop\0\x2d\0plugin"sv, "shop", "plugin"},
      {"shop\0\x2d\0plugin\0\3\1a\0"sv, "shop", "plugin"},
  };
  for (const auto& c : kCases) {
    const Buffer payload = Join({AsBytes("\x11 ann\0\2ab"sv), AsBytes(c.tail)});
    ChangeUser change_user;
    ASSERT_EQ(ParseChangeUser(payload, kFlags, &change_user), Parse::kOk) << c.tail;
    EXPECT_EQ(change_user.username, " ann");
    EXPECT_EQ(AsText(change_user.auth_response), "ab");
    EXPECT_EQ(change_user.database, c.database);
    EXPECT_EQ(change_user.auth_plugin_name, c.plugin);
  }
}

TEST(ChangeUser, NamesNoPluginWithoutItsFlag) {
  const Buffer payload = Exact(
      "\x11"
      "ann\0\0shop\0\x2d\0plugin\0"sv);
  ChangeUser change_user;
  ASSERT_EQ(ParseChangeUser(payload, CLIENT_SECURE_CONNECTION, &change_user), Parse::kOk);
  EXPECT_EQ(change_user.auth_plugin_name, "");
}

TEST(ChangeUser, HasAOneByteLengthEvenWhereResponsesAreLengthEncoded) {
  const Buffer payload = Join({AsBytes("\x11"
                                       "ann\0\xfc"sv),
                               Buffer(0xFC, 'x'), AsBytes("shop\0"sv)});
  ChangeUser change_user;
  ASSERT_EQ(ParseChangeUser(payload, kFlags | CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA, &change_user),
            Parse::kOk);
  EXPECT_EQ(change_user.auth_response.size(), 0xFCu);
  EXPECT_EQ(change_user.database, "shop");
}

TEST(ChangeUser, WithoutSecureConnectionHasANulTerminatedAuthResponse) {
  const Buffer payload = Exact(
      "\x11"
      "ann\0scramble\0shop\0"sv);
  ChangeUser change_user;
  ASSERT_EQ(ParseChangeUser(payload, CLIENT_PROTOCOL_41, &change_user), Parse::kOk);
  EXPECT_EQ(AsText(change_user.auth_response), "scramble");
  EXPECT_EQ(change_user.database, "shop");
}

TEST(ChangeUser, IsTheCommand11AndNoOther) {
  Buffer payload = HexPayload(kMysqlndChangeUser);
  payload[0] = 0x03;
  ChangeUser change_user;
  EXPECT_EQ(ParseChangeUser(payload, kFlags, &change_user), Parse::kMalformed);
  EXPECT_EQ(ParseChangeUser({}, kFlags, &change_user), Parse::kMalformed);
}

TEST(ChangeUser, WithAnotherAuthResponseReadsAsBeforeOtherwise) {
  const Buffer payload = HexPayload(kMysqlndChangeUser);
  ChangeUser before;
  ASSERT_EQ(ParseChangeUser(payload, kFlags, &before), Parse::kOk);
  for (const size_t size : {0u, 1u, 32u, 255u}) {
    const Buffer auth_response(size, 'x');
    Buffer room(payload.size() + size + 9);
    const size_t written = ReplaceAuthResponse(payload, kFlags, before, auth_response, room);
    ASSERT_EQ(written, payload.size() - 32 + size);
    const Buffer out = Exact(Bytes(room).first(written));
    ChangeUser after;
    ASSERT_EQ(ParseChangeUser(out, kFlags, &after), Parse::kOk);
    EXPECT_EQ(Exact(after.auth_response), auth_response);
    EXPECT_EQ(after.username, before.username);
    EXPECT_EQ(after.auth_plugin_name, before.auth_plugin_name);
    Buffer back(payload.size());
    EXPECT_EQ(ReplaceAuthResponse(out, kFlags, after, before.auth_response, back), payload.size());
    EXPECT_EQ(back, payload);
  }
  Buffer room(1000);
  EXPECT_EQ(ReplaceAuthResponse(payload, kFlags, before, Buffer(256, 'x'), room), 0u);
}

}  // namespace
}  // namespace sallyport::packet
