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
  // Its first record was a ticket.
  keys.sequence = 1;
  Bytes opened;
  ASSERT_TRUE(RecordMaker(keys).Open(
      FromHex("17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc60"
              "2dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"),
      &opened));
  EXPECT_EQ(opened, Pattern(50));
}

// What an OpenSSL server derived and sent: its traffic secret, or TLS 1.2's key block, and the
// record with that sequence number. By write_keys_vectors.py with OpenSSL 3.0.19.
constexpr char kThirdRecord[] = "The third record.";

const struct {
  Aead aead;
  bool tls13;
  const EVP_MD* (*digest)();
  uint64_t sequence;
  const char* secret;
  const char* record;
} kVectors[] = {
    {Aead::kAes128Gcm, false, EVP_sha256, 3,
     "7c69f7c9aa2f130fa290bf02f051cb81b88a91a90c7aa12b485c72665b17bea7a210324a2d5b2586",
     "1703030029e7d2d6965b595c2040544bde2be42a75b36e9ef468b7e82c4c3eea1f4ebc81af375adc89b7ba39"
     "ce43"},
    {Aead::kAes256Gcm, false, EVP_sha384, 3,
     "7602a0b3e2ac5b24d5edb650be63b9e4fd81e5ab229fbd27661c832379529713e59fdc08888b1e38c8b6b9db"
     "8be916a80b609016f9eac73fea797d87ece388b945bb3b8f53d4011d",
     "1703030029209af9b12b86828dc53ed2c8c5140c2b7ab20dbee93a854595bbd890697867b922e2451b3f50b4"
     "1a0c"},
    {Aead::kChaCha20Poly1305, false, EVP_sha256, 3,
     "2390f7e5a49164bd1b7340d74ffdd6f25088733086a1a26adb26069a3c67e2a764d0da23b9458353903d9756"
     "ef85cd6a4c3764d86d7ea71988ea92e01664ab66d035c26672f8fc8f2c9588c72f0c0d9a3648c332efe00651",
     "1703030021834346169e829038323a08b087aea52163a7f35cfa9c2a19858c4b9e629a599ab5"},
    {Aead::kAes128Gcm, true, EVP_sha256, 2,
     "245817a9baacf776feb1a452a27663e6604b54be96c09deb9050cf13d8aa27e5",
     "1703030022bd9ba1a48984bf52e88eae38e81fb7b98ad4bbcb9732e3ef337964d562d350e6f7f1"},
    {Aead::kAes256Gcm, true, EVP_sha384, 2,
     "b0c815f662e2cecca9cc5c3ced2908b2ee923ac8e7ca3b517f6c8a11339b888348043a73d2cd0a7b6666e789"
     "c05f6f70",
     "17030300226f83d55a8ba94467c07cc4d4c68987f04d9ec7897f7e34778407c3a1ab4a71bf4f63"},
    {Aead::kChaCha20Poly1305, true, EVP_sha256, 2,
     "390cb7601c44e8cfe2aab6e7258057055f456c5cea4bedb82c65864eba438d2c",
     "17030300226a55b81da4932103840d6a51e4dd61bbeaef6c3b9f028436ebdf68b676f01f0ef870"},
};

TEST(WriteKeysTest, OpenWhatOpenSslSealed) {
  for (const auto& vector : kVectors) {
    WriteKeys keys;
    keys.aead = vector.aead;
    const Bytes secret = FromHex(vector.secret);
    ASSERT_TRUE(vector.tls13 ? ExpandTrafficSecret(secret, vector.digest(), &keys)
                             : TakeServerKeys(secret, &keys));
    const Bytes record = FromHex(vector.record);
    Bytes opened;
    keys.sequence = vector.sequence + 1;
    EXPECT_FALSE(RecordMaker(keys).Open(record, &opened));
    keys.sequence = vector.sequence;
    EXPECT_TRUE(RecordMaker(keys).Open(record, &opened)) << vector.record;
    EXPECT_EQ(opened, tls::ToBytes(kThirdRecord));
  }
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

// The engine itself goes on, and its next records are those that the keys open.
TEST_P(HandOverTest, TheKeysOpenTheNextRecords) {
  EXPECT_EQ(SendToClient(&pair_, Pattern(50000)), Pattern(50000));
  const std::optional<WriteKeys> keys = engine().write_keys();
  ASSERT_TRUE(keys.has_value());
  EXPECT_EQ(keys->sequence, 5u);
  RecordMaker maker(*keys);
  for (const size_t size : {1, 300, 16384}) {
    Bytes sealed;
    ASSERT_EQ(pair_.server->Seal(Pattern(size), &sealed), Engine::Status::kOk);
    Bytes opened;
    EXPECT_TRUE(maker.Open(sealed, &opened));
    EXPECT_EQ(opened, Pattern(size));
  }
}

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

TEST_P(HandOverTest, AnEndThatIsNoneIsAControlRecord) {
  HandOver();
  Bytes out;
  pair_.server->Close(&out, Engine::Ending::kInternalError);
  EXPECT_TRUE(out.empty());
  const std::vector<ControlRecord> controls = engine().TakeControls();
  ASSERT_EQ(controls.size(), 1u);
  EXPECT_EQ(controls[0].type, ControlRecord::kAlert);
  EXPECT_EQ(ToBytes(controls[0].bytes()), (Bytes{2, 80}));  // fatal, internal_error
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
