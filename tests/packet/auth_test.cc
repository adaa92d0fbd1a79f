#include "packet/auth.h"

#include <gtest/gtest.h>

#include "packet/greeting.h"
#include "tests/packet/bytes.h"
#include "tests/packet/real_packets.h"

namespace sallyport::packet {
namespace {

TEST(AuthPacket, IsKnownByItsFirstByte) {
  for (const bool multi_factor : {false, true}) {
    EXPECT_EQ(ClassifyAuthPacket(Hex("00"), multi_factor), AuthPacket::kOk);
    EXPECT_EQ(ClassifyAuthPacket(HexPayload(kMariaDbOk), multi_factor), AuthPacket::kOk);
    EXPECT_EQ(ClassifyAuthPacket(HexPayload(kMariaDbError), multi_factor), AuthPacket::kErr);
    EXPECT_EQ(ClassifyAuthPacket(Hex("fe"), multi_factor), AuthPacket::kOldAuthSwitch);
    EXPECT_EQ(ClassifyAuthPacket(Hex("fe 00"), multi_factor), AuthPacket::kAuthSwitchRequest);
    EXPECT_EQ(ClassifyAuthPacket(HexPayload(kMySqlAuthSwitch), multi_factor),
              AuthPacket::kAuthSwitchRequest);
    EXPECT_EQ(ClassifyAuthPacket(HexPayload(kMySqlPerformFullAuthentication), multi_factor),
              AuthPacket::kPluginData);
    EXPECT_EQ(ClassifyAuthPacket({}, multi_factor), AuthPacket::kPluginData);
  }
}

TEST(AuthPacket, OfNextFactorNeedsBothEndsToKnowOfIt) {
  EXPECT_EQ(ClassifyAuthPacket(Hex("02 61 00"), true), AuthPacket::kAuthNextFactor);
  EXPECT_EQ(ClassifyAuthPacket(Hex("02 61 00"), false), AuthPacket::kPluginData);
}

TEST(AuthPacket, OfAnyOtherFirstByteIsPluginData) {
  for (unsigned first = 0; first <= 0xFF; ++first) {
    if (first == 0x00 || first == 0x02 || first == 0xFE || first == 0xFF) {
      continue;
    }
    EXPECT_EQ(ClassifyAuthPacket(Buffer{static_cast<uint8_t>(first), 0x61}, true),
              AuthPacket::kPluginData)
        << first;
  }
}

TEST(PluginData, IsWithoutTheMarkWhereThereIsOne) {
  const Buffer full = HexPayload(kMySqlPerformFullAuthentication);
  EXPECT_EQ(Exact(PluginData(full)), Buffer{kCachingSha2PerformFullAuthentication});
  EXPECT_EQ(Exact(PluginData(Bytes(Hex("01 01 61")))), Hex("01 61"));
  EXPECT_EQ(Exact(PluginData(Bytes(Hex("01")))), Buffer{});
  EXPECT_EQ(Exact(PluginData(Bytes(Hex("50 01")))), Hex("50 01"));
  EXPECT_EQ(Exact(PluginData({})), Buffer{});
}

TEST(AuthSwitch, OfMySqlHasTwentyBytesAndANul) {
  const Buffer payload = HexPayload(kMySqlAuthSwitch);
  AuthSwitch auth_switch;
  ASSERT_EQ(ParseAuthSwitch(payload, &auth_switch), Parse::kOk);
  EXPECT_EQ(auth_switch.auth_plugin_name, "sha256_password");
  EXPECT_EQ(auth_switch.auth_plugin_data.size(), 21u);
  EXPECT_EQ(auth_switch.auth_plugin_data.back(), 0);
  Nonce nonce{};
  EXPECT_TRUE(ReadNonce(auth_switch.auth_plugin_data, &nonce));
  EXPECT_EQ(nonce[0], 0x27);
  EXPECT_EQ(nonce[19], 0x1e);
}

TEST(AuthSwitch, OfMariaDbsEd25519Has32BytesAndNoNul) {
  const Buffer payload = HexPayload(kMariaDbAuthSwitch);
  AuthSwitch auth_switch;
  ASSERT_EQ(ParseAuthSwitch(payload, &auth_switch), Parse::kOk);
  EXPECT_EQ(auth_switch.auth_plugin_name, "client_ed25519");
  EXPECT_EQ(auth_switch.auth_plugin_data.size(), 32u);
}

TEST(AuthSwitch, WithoutTheNulOfItsNameIsMalformed) {
  const Buffer payload = HexPayload(kMySqlAuthSwitch);
  const size_t name_end = 1 + std::string_view("sha256_password").size();
  for (size_t size = 0; size <= payload.size(); ++size) {
    const Buffer cut = Exact(Bytes(payload).first(size));
    AuthSwitch auth_switch{.auth_plugin_name = "untouched"};
    const Parse parse = ParseAuthSwitch(cut, &auth_switch);
    EXPECT_EQ(parse, size <= name_end ? Parse::kMalformed : Parse::kOk) << size;
    EXPECT_EQ(auth_switch.auth_plugin_name == "untouched", parse != Parse::kOk);
  }
}

TEST(PluginKind, IsKnownForEachPluginOfMySqlAndMariaDb) {
  const struct {
    const char* name;
    PluginKind kind;
  } kCases[] = {
      {"caching_sha2_password", PluginKind::kCachingSha2},
      {"sha256_password", PluginKind::kSha256},
      {"mysql_native_password", PluginKind::kChallengeResponse},
      {"mysql_old_password", PluginKind::kChallengeResponse},
      {"client_ed25519", PluginKind::kChallengeResponse},
      {"parsec", PluginKind::kChallengeResponse},
      {"auth_gssapi_client", PluginKind::kChallengeResponse},
      {"authentication_ldap_sasl_client", PluginKind::kChallengeResponse},
      {"authentication_kerberos_client", PluginKind::kChallengeResponse},
      {"authentication_windows_client", PluginKind::kChallengeResponse},
      {"authentication_fido_client", PluginKind::kChallengeResponse},
      {"authentication_webauthn_client", PluginKind::kChallengeResponse},
      {"authentication_oci_client", PluginKind::kChallengeResponse},
      {"dummy_fallback_auth", PluginKind::kChallengeResponse},
      {"", PluginKind::kChallengeResponse},
      {"mysql_clear_password", PluginKind::kCleartext},
      {"dialog", PluginKind::kCleartext},
      {"authentication_openid_connect_client", PluginKind::kCleartext},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(PluginKindOf(c.name), c.kind) << c.name;
  }
}

TEST(PluginKind, IsUnknownForAnyOtherName) {
  using namespace std::string_view_literals;
  for (const std::string_view name :
       {"unheard_of"sv, "SHA256_PASSWORD"sv, "mysql_native_passwor"sv, "mysql_native_password "sv,
        "mysql_native_password\0"sv, "auth_socket"sv, "\0"sv}) {
    EXPECT_EQ(PluginKindOf(name), PluginKind::kUnknown) << name;
  }
}

TEST(Plugins, HaveANumberEach) {
  for (size_t i = 0; i < kPluginsKnown; ++i) {
    EXPECT_FALSE(PluginName(i).empty());
    EXPECT_EQ(PluginIndex(PluginName(i)), i);
    EXPECT_NE(PluginKindOf(PluginName(i)), PluginKind::kUnknown) << PluginName(i);
  }
  EXPECT_EQ(PluginName(PluginIndex("")), "mysql_native_password");
  EXPECT_EQ(PluginIndex("Dialog"), kPluginsKnown);
  EXPECT_EQ(PluginName(kPluginsKnown), "");
}

}  // namespace
}  // namespace sallyport::packet
