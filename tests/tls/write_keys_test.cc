// The sending side's keys, taken out: by the RFC's own vector, and by a client who reads what
// somebody else made with them.
#include "tls/write_keys.h"

#include <gtest/gtest.h>
#include <openssl/digest.h>

#include <string>

#include "tests/tls/record_maker.h"
#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::kTls12;
using tests::kTls13;

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

Bytes ToBytes(std::span<const uint8_t> bytes) { return Bytes(bytes.begin(), bytes.end()); }

// RFC 8448, 3: the server's application traffic.
TEST(WriteKeysTest, ExpandAsInTheRfc) {
  WriteKeys keys;
  ASSERT_TRUE(ExpandTrafficSecret(
      FromHex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"), EVP_sha256(),
      &keys));
  EXPECT_TRUE(keys.tls13);
  EXPECT_EQ(ToBytes(keys.key()), FromHex("9f02283b6c9c07efc26bb9f2ac92e356"));
  EXPECT_EQ(ToBytes(keys.iv), FromHex("cf782b88dd83549aadf1e984"));
}

TEST(WriteKeysTest, TheServersPartOfAKeyBlock) {
  const struct {
    Aead aead;
    size_t size, key_at, key_size, iv_at, iv_size;
  } cases[] = {{Aead::kAes128Gcm, 40, 16, 16, 36, 4},
               {Aead::kAes256Gcm, 72, 32, 32, 68, 4},
               {Aead::kChaCha20Poly1305, 88, 32, 32, 76, 12}};
  for (const auto& c : cases) {
    const Bytes block = Pattern(c.size);
    WriteKeys keys;
    keys.aead = c.aead;
    EXPECT_EQ(KeyBlockSize(c.aead), c.size);
    ASSERT_TRUE(TakeServerKeys(block, &keys));
    EXPECT_EQ(ToBytes(keys.key()), ToBytes(std::span(block).subspan(c.key_at, c.key_size)));
    EXPECT_EQ(ToBytes(std::span(keys.iv).first(c.iv_size)),
              ToBytes(std::span(block).subspan(c.iv_at, c.iv_size)));
    EXPECT_FALSE(TakeServerKeys(std::span(block).first(c.size - 1), &keys));
  }
}

struct Suite {
  const char* name;
  uint16_t version;
  const char* ciphers;
};

class HandOverTest : public ::testing::TestWithParam<Suite> {
 protected:
  static TlsClientOptions Options() {
    TlsClientOptions options = OnlyVersion(GetParam().version);
    options.ciphers = GetParam().ciphers;
    return options;
  }

  // Takes the keys as a connection does that has been used for a while.
  RecordMaker HandOver() {
    EXPECT_EQ(SendToClient(&pair_, Pattern(50000)), Pattern(50000));
    EXPECT_EQ(SendToServer(&pair_, Pattern(100)), Pattern(100));
    const std::optional<WriteKeys> keys = engine().write_keys();
    EXPECT_TRUE(keys.has_value());
    EXPECT_EQ(keys->sequence, 5u);
    engine().HandOver();
    return RecordMaker(*keys);
  }

  Engine& engine() { return pair_.server->engine(); }

  // What the client makes of a record.
  TlsClient::Status Read(const Bytes& sealed, Bytes* opened) {
    Bytes answer;
    return pair_.client->Open(sealed, opened, &answer);
  }

  Pair pair_{Options()};
};

INSTANTIATE_TEST_SUITE_P(
    Suites, HandOverTest,
    ::testing::Values(Suite{"Tls12Aes128", kTls12, "ECDHE-ECDSA-AES128-GCM-SHA256"},
                      Suite{"Tls12Aes256", kTls12, "ECDHE-ECDSA-AES256-GCM-SHA384"},
                      Suite{"Tls12ChaCha", kTls12, "ECDHE-ECDSA-CHACHA20-POLY1305"},
                      Suite{"Tls13", kTls13, ""}),
    [](const ::testing::TestParamInfo<Suite>& suite) { return suite.param.name; });

TEST_P(HandOverTest, TheClientReadsOn) {
  RecordMaker maker = HandOver();
  Bytes sealed;
  Bytes sent;
  for (const size_t size : {1, 300, 16384}) {
    maker.Seal(RecordMaker::kData, Pattern(size), &sealed);
    const Bytes plain = Pattern(size);
    sent.insert(sent.end(), plain.begin(), plain.end());
  }
  Bytes opened;
  EXPECT_EQ(Read(sealed, &opened), TlsClient::Status::kNeedMore) << pair_.client->error();
  EXPECT_EQ(opened, sent);
  // And the other way all goes on as before.
  EXPECT_EQ(SendToServer(&pair_, Pattern(20000)), Pattern(20000));
  EXPECT_TRUE(engine().TakeControls().empty());
}

TEST_P(HandOverTest, CloseNotifyIsAControlRecord) {
  RecordMaker maker = HandOver();
  Bytes out;
  pair_.server->Close(&out);
  EXPECT_TRUE(out.empty());
  const std::vector<ControlRecord> controls = engine().TakeControls();
  ASSERT_EQ(controls.size(), 1u);
  EXPECT_EQ(controls[0].type, ControlRecord::kAlert);
  EXPECT_EQ(ToBytes(controls[0].bytes()), (Bytes{1, 0}));
  Bytes sealed;
  maker.Seal(controls[0].type, controls[0].bytes(), &sealed);
  Bytes opened;
  EXPECT_EQ(Read(sealed, &opened), TlsClient::Status::kClosed);
  // The client's own close_notify still arrives.
  Bytes closing;
  pair_.client->Close(&closing);
  EXPECT_EQ(pair_.server->Open(closing, &opened, &out), Engine::Status::kClosed);
  EXPECT_TRUE(out.empty());
}

TEST_P(HandOverTest, AnAlertIsAControlRecord) {
  RecordMaker maker = HandOver();
  Bytes record;
  ASSERT_EQ(pair_.client->Seal(Pattern(10), &record), TlsClient::Status::kOk);
  record.back() ^= 1;
  Bytes plain;
  Bytes out;
  EXPECT_EQ(pair_.server->Open(record, &plain, &out), Engine::Status::kError);
  EXPECT_TRUE(out.empty());
  const std::vector<ControlRecord> controls = engine().TakeControls();
  ASSERT_EQ(controls.size(), 1u);
  EXPECT_EQ(controls[0].type, ControlRecord::kAlert);
  EXPECT_EQ(ToBytes(controls[0].bytes()), (Bytes{2, 20}));  // Fatal, bad_record_mac.
  Bytes sealed;
  maker.Seal(controls[0].type, controls[0].bytes(), &sealed);
  EXPECT_EQ(Read(sealed, &plain), TlsClient::Status::kError);
  EXPECT_NE(pair_.client->error().find("BAD_RECORD_MAC"), std::string::npos);
}

TEST_P(HandOverTest, AKeyUpdateWantsNewKeys) {
  if (GetParam().version != kTls13) GTEST_SKIP() << "TLS 1.3 has it";
  RecordMaker maker = HandOver();
  Bytes update;
  pair_.client->UpdateKeys(true, &update);
  Bytes plain;
  Bytes out;
  EXPECT_EQ(pair_.server->Open(update, &plain, &out), Engine::Status::kNeedMore);
  EXPECT_TRUE(out.empty());
  const std::vector<ControlRecord> controls = engine().TakeControls();
  ASSERT_EQ(controls.size(), 1u);
  EXPECT_EQ(controls[0].type, ControlRecord::kHandshake);
  EXPECT_EQ(ToBytes(controls[0].bytes()), (Bytes{24, 0, 0, 1, 0}));
  // Under the old keys the client still reads: the answer wasn't given.
  Bytes sealed;
  maker.Seal(RecordMaker::kData, Pattern(30), &sealed);
  EXPECT_EQ(Read(sealed, &plain), TlsClient::Status::kNeedMore);
  EXPECT_EQ(plain, Pattern(30));
}

TEST_P(HandOverTest, AKeyUpdateThatAsksForNoneWantsNothing) {
  if (GetParam().version != kTls13) GTEST_SKIP() << "TLS 1.3 has it";
  HandOver();
  Bytes update;
  pair_.client->UpdateKeys(false, &update);
  Bytes plain;
  Bytes out;
  EXPECT_EQ(pair_.server->Open(update, &plain, &out), Engine::Status::kNeedMore);
  EXPECT_TRUE(engine().TakeControls().empty());
  EXPECT_EQ(SendToServer(&pair_, Pattern(10)), Pattern(10));
}

TEST_P(HandOverTest, NoKeysAfterAnAlert) {
  Bytes record;
  ASSERT_EQ(pair_.client->Seal(Pattern(10), &record), TlsClient::Status::kOk);
  record.back() ^= 1;
  Bytes plain;
  Bytes out;
  EXPECT_EQ(pair_.server->Open(record, &plain, &out), Engine::Status::kError);
  EXPECT_FALSE(engine().write_keys().has_value());
}

TEST_P(HandOverTest, SealIsTheNewSendersAffair) {
  HandOver();
  Bytes out;
  EXPECT_DEATH(pair_.server->Seal(Pattern(1), &out), "not handed over");
  EXPECT_DEATH(engine().write_keys(), "not handed over");
}

}  // namespace
}  // namespace sallyport::tls
