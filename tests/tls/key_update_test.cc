// KeyUpdates of a client whose records somebody else makes: when the keys change, and to which.
#include <gtest/gtest.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#include <optional>
#include <string>

#include "tests/tls/record_maker.h"
#include "tests/tls/wire.h"
#include "tls/write_keys.h"

namespace sallyport::tls {
namespace {

Bytes AsBytes(std::span<const uint8_t> bytes) { return Bytes(bytes.begin(), bytes.end()); }

// What an OpenSSL server sent after a KeyUpdate of its own, as the third record under the new keys;
// the secret is the one before it. By write_keys_vectors.py with OpenSSL 3.0.19.
const struct {
  Aead aead;
  const EVP_MD* (*digest)();
  const char* secret;
  const char* record;
} kVectors[] = {
    {Aead::kAes128Gcm, EVP_sha256,
     "fd91e5f514df05157a389ef77d779846037615942ac0c4276c9027046fc7f2c8",
     "17030300223e94af2ab5be4c1ab9231c6da5b29a547fd5810093154daf0433a7090d77ee5940d5"},
    {Aead::kAes256Gcm, EVP_sha384,
     "ec5434df8c893c69d4ec2380db1e92a61c92fcdd5f2652fbcd71b9b621b7329d597b1ff8c94303476f4df234"
     "51d93a7e",
     "1703030022112ece70c5cc1e6c83cc2a3ada4438cf34029ea68d96763a2b252c477e8290650177"},
    {Aead::kChaCha20Poly1305, EVP_sha256,
     "f2bf16f2b563aea6afc1b83c9f7e3e2b74c32d3b3d866a2adb507eb74c77d9fc",
     "1703030022ef83a51fc024d328c1ecf02a1b62651c32160badb648b48a495983c000a4d2e9c049"},
};

// RFC 8446, 7.2: application_traffic_secret_N+1. One block of HKDF-Expand is all of it.
Bytes NextSecret(const Bytes& secret, const EVP_MD* digest) {
  const size_t size = EVP_MD_size(digest);
  const std::string_view label = "tls13 traffic upd";
  std::string info{'\0', static_cast<char>(size), static_cast<char>(label.size())};
  info.append(label).append({'\0', '\1'});
  Bytes next(size);
  EXPECT_NE(HMAC(digest, secret.data(), secret.size(),
                 reinterpret_cast<const uint8_t*>(info.data()), info.size(), next.data(), nullptr),
            nullptr);
  return next;
}

TEST(TrafficSecretTest, TheNextIsAsOpenSslHasIt) {
  for (const auto& vector : kVectors) {
    WriteKeys keys;
    keys.aead = vector.aead;
    const Bytes secret = FromHex(vector.secret);
    keys.sequence = 2;
    Bytes opened;
    ASSERT_TRUE(ExpandTrafficSecret(secret, vector.digest(), &keys));
    EXPECT_FALSE(RecordMaker(keys).Open(FromHex(vector.record), &opened));
    ASSERT_TRUE(ExpandTrafficSecret(NextSecret(secret, vector.digest()), vector.digest(), &keys));
    EXPECT_TRUE(RecordMaker(keys).Open(FromHex(vector.record), &opened)) << vector.record;
    EXPECT_EQ(opened, ToBytes("The third record."));
  }
}

class KeyUpdateTest : public ::testing::Test {
 protected:
  Engine& engine() { return pair_.server->engine(); }

  RecordMaker HandOver() {
    EXPECT_EQ(SendToClient(&pair_, Pattern(50000)), Pattern(50000));
    const std::optional<WriteKeys> keys = engine().write_keys();
    EXPECT_TRUE(keys.has_value());
    engine().HandOver();
    return RecordMaker(*keys);
  }

  // What the client makes of records.
  TlsClient::Status Read(const Bytes& sealed, Bytes* opened) {
    Bytes answer;
    return pair_.client->Open(sealed, opened, &answer);
  }

  // Makes the client's KeyUpdate arrive, with `more` behind it; the answer, if there is one.
  std::optional<ControlRecord> Update(bool requested, const Bytes& more = {},
                                      Engine::Status expected = Engine::Status::kNeedMore) {
    Bytes bytes;
    pair_.client->UpdateKeys(requested, &bytes);
    bytes.insert(bytes.end(), more.begin(), more.end());
    Bytes plain;
    Bytes out;
    EXPECT_EQ(pair_.server->Open(bytes, &plain, &out), expected);
    EXPECT_TRUE(out.empty());
    const std::vector<ControlRecord> controls = engine().TakeControls();
    EXPECT_LE(controls.size(), 1u);
    return controls.empty() ? std::nullopt : std::optional(controls[0]);
  }

  Bytes ClientsReadSecret() {
    bssl::Span<const uint8_t> read;
    bssl::Span<const uint8_t> write;
    EXPECT_TRUE(bssl::SSL_get_traffic_secrets(pair_.client->ssl(), &read, &write));
    return Bytes(read.begin(), read.end());
  }

  // The client reads data by these keys, in two records.
  void ExpectReads(RecordMaker* maker) {
    Bytes sealed;
    maker->Seal(RecordMaker::kData, Pattern(30), &sealed);
    maker->Seal(RecordMaker::kData, {}, &sealed);
    Bytes plain;
    EXPECT_EQ(Read(sealed, &plain), TlsClient::Status::kNeedMore) << pair_.client->error();
    EXPECT_EQ(plain, Pattern(30));
  }

  Pair pair_{OnlyVersion(tests::kTls13)};
};

TEST_F(KeyUpdateTest, WhatFollowsTheAnswerIsUnderNewKeys) {
  RecordMaker maker = HandOver();
  ExpectReads(&maker);
  for (int i = 0; i < 3; ++i) {
    const Bytes secret = ClientsReadSecret();
    const std::optional<ControlRecord> answer = Update(true);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->type, ControlRecord::kHandshake);
    EXPECT_EQ(AsBytes(answer->bytes()), (Bytes{24, 0, 0, 1, 0}));
    ASSERT_TRUE(answer->next_keys.has_value());
    WriteKeys expected;
    expected.aead = answer->next_keys->aead;
    const EVP_MD* const digest = secret.size() == 48 ? EVP_sha384() : EVP_sha256();
    ASSERT_TRUE(ExpandTrafficSecret(NextSecret(secret, digest), digest, &expected));
    EXPECT_EQ(AsBytes(answer->next_keys->key()), AsBytes(expected.key()));
    EXPECT_EQ(answer->next_keys->iv, expected.iv);
    EXPECT_EQ(answer->next_keys->sequence, 0u);
    // What is sent before the answer is under the old ones.
    ExpectReads(&maker);
    Bytes sealed;
    maker.Seal(answer->type, answer->bytes(), &sealed);
    Bytes plain;
    EXPECT_EQ(Read(sealed, &plain), TlsClient::Status::kNeedMore) << pair_.client->error();
    maker = RecordMaker(*answer->next_keys);
    EXPECT_TRUE(engine().wants_new_keys());
    engine().KeysChanged();
    EXPECT_FALSE(engine().wants_new_keys());
    ExpectReads(&maker);
    EXPECT_EQ(SendToServer(&pair_, Pattern(100)), Pattern(100));
  }
  Bytes none;
  pair_.server->Close(&none);
  const std::vector<ControlRecord> controls = engine().TakeControls();
  ASSERT_EQ(controls.size(), 1u);
  Bytes sealed;
  maker.Seal(controls[0].type, controls[0].bytes(), &sealed);
  Bytes plain;
  EXPECT_EQ(Read(sealed, &plain), TlsClient::Status::kClosed);
}

TEST_F(KeyUpdateTest, OneThatAsksForNoneWantsNothing) {
  HandOver();
  EXPECT_FALSE(Update(false).has_value());
  EXPECT_FALSE(engine().wants_new_keys());
  EXPECT_EQ(SendToServer(&pair_, Pattern(10)), Pattern(10));
}

// However many a client sends that doesn't read.
TEST_F(KeyUpdateTest, ThereIsOneAnswerUntilKeysChanged) {
  HandOver();
  EXPECT_TRUE(Update(true).has_value());
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(Update(true).has_value());
    EXPECT_EQ(SendToServer(&pair_, Pattern(10)), Pattern(10));
  }
  EXPECT_TRUE(engine().wants_new_keys());
  engine().KeysChanged();
  EXPECT_TRUE(Update(true).has_value());
  EXPECT_DEATH(
      {
        engine().KeysChanged();
        engine().KeysChanged();
      },
      "wants_new_keys");
}

TEST_F(KeyUpdateTest, BeforeAnErrorThereIsOnlyTheAlert) {
  RecordMaker maker = HandOver();
  const Bytes broken = {23, 3,  3,  0,  30, 1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                        14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};
  const std::optional<ControlRecord> alert = Update(true, broken, Engine::Status::kError);
  ASSERT_TRUE(alert.has_value());
  EXPECT_EQ(alert->type, ControlRecord::kAlert);
  EXPECT_FALSE(engine().wants_new_keys());
  Bytes sealed;
  maker.Seal(alert->type, alert->bytes(), &sealed);
  Bytes plain;
  EXPECT_EQ(Read(sealed, &plain), TlsClient::Status::kError);
  EXPECT_NE(pair_.client->error().find("BAD_RECORD_MAC"), std::string::npos);
}

TEST_F(KeyUpdateTest, NothingFollowsCloseNotify) {
  HandOver();
  Bytes none;
  pair_.server->Close(&none);
  EXPECT_EQ(engine().TakeControls().size(), 1u);
  EXPECT_FALSE(Update(true).has_value());
  EXPECT_FALSE(engine().wants_new_keys());
  EXPECT_EQ(SendToServer(&pair_, Pattern(10)), Pattern(10));
}

// An answer may be under way when this side ends, or when the client turns out to be broken.
TEST_F(KeyUpdateTest, TheEndComesBehindTheAnswer) {
  RecordMaker maker = HandOver();
  const std::optional<ControlRecord> answer = Update(true);
  ASSERT_TRUE(answer.has_value());
  Bytes none;
  pair_.server->Close(&none);
  const std::vector<ControlRecord> controls = engine().TakeControls();
  ASSERT_EQ(controls.size(), 1u);
  Bytes sealed;
  maker.Seal(answer->type, answer->bytes(), &sealed);
  engine().KeysChanged();
  maker = RecordMaker(*answer->next_keys);
  maker.Seal(controls[0].type, controls[0].bytes(), &sealed);
  Bytes plain;
  EXPECT_EQ(Read(sealed, &plain), TlsClient::Status::kClosed);
}

}  // namespace
}  // namespace sallyport::tls
