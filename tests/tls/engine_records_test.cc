// After the handshake: records of all sizes, the ends of a connection, and bytes nobody should
// send.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::kTls12;
using tests::kTls13;

constexpr uint8_t kAlert = 21;
constexpr uint8_t kHandshake = 22;
constexpr uint8_t kApplicationData = 23;

constexpr size_t kSizes[] = {1, 2, 1400, 16383, 16384, 16385, 32768, 32769, 256 * 1024};

class RecordsTest : public ::testing::TestWithParam<uint16_t> {
 protected:
  RecordsTest() : pair_(OnlyVersion(GetParam())) {}

  Pair pair_;
};

INSTANTIATE_TEST_SUITE_P(Versions, RecordsTest, ::testing::Values(kTls12, kTls13),
                         [](const ::testing::TestParamInfo<uint16_t>& version) {
                           return version.param == kTls12 ? "Tls12" : "Tls13";
                         });

TEST_P(RecordsTest, CarryAnySize) {
  for (const size_t size : kSizes) {
    EXPECT_EQ(SendToServer(&pair_, Pattern(size)), Pattern(size)) << size;
    EXPECT_EQ(SendToClient(&pair_, Pattern(size)), Pattern(size)) << size;
  }
}

TEST_P(RecordsTest, ArriveOneByteAtATime) {
  Bytes sealed;
  ASSERT_EQ(pair_.client->Seal(Pattern(20000), &sealed), TlsClient::Status::kOk);
  Bytes opened;
  Bytes out;
  for (const uint8_t byte : sealed) {
    ASSERT_EQ(pair_.server->Open({&byte, 1}, &opened, &out), Engine::Status::kNeedMore);
  }
  EXPECT_EQ(opened, Pattern(20000));
  EXPECT_TRUE(out.empty());
}

// TLS 1.2 with AES-GCM has the largest overhead, and meets the bound; nothing exceeds it.
TEST_P(RecordsTest, SealedSizeMaxIsExact) {
  const size_t overhead = GetParam() == kTls12 ? 29 : 22;
  for (const size_t size : kSizes) {
    Bytes sealed;
    ASSERT_EQ(pair_.server->Seal(Pattern(size), &sealed), Engine::Status::kOk);
    const size_t records = (size + 16383) / 16384;
    EXPECT_EQ(sealed.size(), size + records * overhead);
    EXPECT_EQ(Engine::SealedSizeMax(size), size + records * 29);
  }
  EXPECT_EQ(Engine::SealedSizeMax(0), 0u);
  Bytes sealed;
  EXPECT_EQ(pair_.server->Seal({}, &sealed), Engine::Status::kOk);
  EXPECT_TRUE(sealed.empty());
}

TEST_P(RecordsTest, AFlippedBitAnywhereIsAnErrorWithAnAlert) {
  Bytes sealed;
  {
    Pair pair(OnlyVersion(GetParam()));
    ASSERT_EQ(pair.client->Seal(ToBytes("select 1"), &sealed), TlsClient::Status::kOk);
  }
  for (size_t i = 5; i < sealed.size(); ++i) {  // Behind the header.
    Pair pair(OnlyVersion(GetParam()), pair_.own_context.get());
    Bytes record;
    ASSERT_EQ(pair.client->Seal(ToBytes("select 1"), &record), TlsClient::Status::kOk);
    record[i] ^= 0x10;
    Bytes plain;
    Bytes alert;
    ASSERT_EQ(pair.server->Open(record, &plain, &alert), Engine::Status::kError);
    EXPECT_EQ(pair.server->engine().error(), "DECRYPTION_FAILED_OR_BAD_RECORD_MAC");
    EXPECT_TRUE(plain.empty());
    EXPECT_EQ(pair.client->Open(alert, &plain, &record), TlsClient::Status::kError);
    EXPECT_EQ(pair.client->error(), "SSLV3_ALERT_BAD_RECORD_MAC");
  }
}

TEST_P(RecordsTest, GarbledHeadersAreErrors) {
  for (const size_t i : {0, 1, 3}) {  // Type, version, length: beyond what a record may have.
    Pair pair(OnlyVersion(GetParam()), pair_.own_context.get());
    Bytes record;
    ASSERT_EQ(pair.client->Seal(Pattern(100), &record), TlsClient::Status::kOk);
    record[i] = 0xff;
    Bytes plain;
    Bytes alert;
    EXPECT_EQ(pair.server->Open(record, &plain, &alert), Engine::Status::kError) << i;
    EXPECT_FALSE(alert.empty());
  }
}

TEST_P(RecordsTest, WhatCameBeforeAnErrorIsDeliveredAndTheErrorStays) {
  Bytes stream;
  ASSERT_EQ(pair_.client->Seal(ToBytes("good"), &stream), TlsClient::Status::kOk);
  const size_t good = stream.size();
  ASSERT_EQ(pair_.client->Seal(ToBytes("bad"), &stream), TlsClient::Status::kOk);
  stream[good + 10] ^= 1;
  Bytes plain;
  Bytes alert;
  EXPECT_EQ(pair_.server->Open(stream, &plain, &alert), Engine::Status::kError);
  EXPECT_EQ(plain, ToBytes("good"));
  EXPECT_FALSE(alert.empty());

  Bytes more;
  EXPECT_EQ(pair_.server->Open(stream, &plain, &more), Engine::Status::kError);
  EXPECT_EQ(pair_.server->engine().error(), "DECRYPTION_FAILED_OR_BAD_RECORD_MAC");
  EXPECT_EQ(pair_.server->Seal(ToBytes("x"), &more), Engine::Status::kError);
  EXPECT_EQ(pair_.server->engine().error(), "PROTOCOL_IS_SHUTDOWN");
  pair_.server->Close(&more);
  EXPECT_TRUE(more.empty());
}

TEST_P(RecordsTest, ACutStreamIsNotClosed) {
  Bytes sealed;
  ASSERT_EQ(pair_.client->Seal(Pattern(1000), &sealed), TlsClient::Status::kOk);
  sealed.pop_back();
  Bytes plain;
  Bytes out;
  EXPECT_EQ(pair_.server->Open(sealed, &plain, &out), Engine::Status::kNeedMore);
  EXPECT_TRUE(plain.empty());
  EXPECT_EQ(pair_.server->Open({}, &plain, &out), Engine::Status::kNeedMore);
}

TEST_P(RecordsTest, TheClientClosesFirst) {
  Bytes stream;
  ASSERT_EQ(pair_.client->Seal(ToBytes("last words"), &stream), TlsClient::Status::kOk);
  pair_.client->Close(&stream);
  stream.insert(stream.end(), {'j', 'u', 'n', 'k'});
  Bytes plain;
  Bytes out;
  EXPECT_EQ(pair_.server->Open(stream, &plain, &out), Engine::Status::kClosed);
  EXPECT_EQ(plain, ToBytes("last words"));
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(pair_.server->Open(ToBytes("more junk"), &plain, &out), Engine::Status::kClosed);

  // Half-closed: what the server still has to say goes out, and then its own close_notify.
  EXPECT_EQ(pair_.server->Seal(ToBytes("goodbye"), &out), Engine::Status::kOk);
  pair_.server->Close(&out);
  const size_t closed_size = out.size();
  pair_.server->Close(&out);
  EXPECT_EQ(out.size(), closed_size) << "close_notify goes out once";
  plain.clear();
  EXPECT_EQ(pair_.client->Open(out, &plain, &stream), TlsClient::Status::kClosed);
  EXPECT_EQ(plain, ToBytes("goodbye"));
}

TEST_P(RecordsTest, TheServerClosesFirst) {
  Bytes out;
  pair_.server->Close(&out);
  Bytes plain;
  Bytes stream;
  EXPECT_EQ(pair_.client->Open(out, &plain, &stream), TlsClient::Status::kClosed);
  ASSERT_EQ(pair_.client->Seal(ToBytes("still here"), &stream), TlsClient::Status::kOk);
  pair_.client->Close(&stream);
  Bytes nothing;
  EXPECT_EQ(pair_.server->Open(stream, &plain, &nothing), Engine::Status::kClosed);
  EXPECT_EQ(plain, ToBytes("still here"));
  EXPECT_TRUE(nothing.empty());
}

TEST_P(RecordsTest, AnEndThatIsNoneIsAFatalAlert) {
  Bytes out;
  ASSERT_EQ(pair_.server->Seal(ToBytes("to be conti"), &out), Engine::Status::kOk);
  pair_.server->Close(&out, Engine::Ending::kInternalError);
  const size_t closed_size = out.size();
  pair_.server->Close(&out);
  EXPECT_EQ(out.size(), closed_size) << "nothing follows the alert";
  Bytes plain;
  Bytes ignored;
  EXPECT_EQ(pair_.client->Open(out, &plain, &ignored), TlsClient::Status::kError);
  EXPECT_EQ(pair_.client->error(), "TLSV1_ALERT_INTERNAL_ERROR");
  EXPECT_EQ(plain, ToBytes("to be conti"));
}

TEST_P(RecordsTest, AFatalAlertOfTheClientIsAnErrorWithItsName) {
  Bytes sealed;
  Bytes ignored;
  ASSERT_EQ(pair_.server->Seal(Pattern(100), &sealed), Engine::Status::kOk);
  sealed.back() ^= 1;
  Bytes alert;
  ASSERT_EQ(pair_.client->Open(sealed, &ignored, &alert), TlsClient::Status::kError);
  Bytes out;
  EXPECT_EQ(pair_.server->Open(alert, &ignored, &out), Engine::Status::kError);
  EXPECT_EQ(pair_.server->engine().error(), "SSLV3_ALERT_BAD_RECORD_MAC");
  EXPECT_TRUE(out.empty());
}

// --- TLS 1.3's KeyUpdate.

TEST(KeyUpdate, IsAnsweredAtOnce) {
  Pair pair(OnlyVersion(kTls13));
  Bytes update;
  pair.client->UpdateKeys(/*answer=*/true, &update);
  Bytes plain;
  Bytes answer;
  EXPECT_EQ(pair.server->Open(update, &plain, &answer), Engine::Status::kNeedMore);
  EXPECT_FALSE(answer.empty());
  Bytes more;
  EXPECT_EQ(pair.client->Open(answer, &plain, &more), TlsClient::Status::kNeedMore);
  // Both directions go on under new keys, and a record has its usual size.
  EXPECT_EQ(SendToClient(&pair, ToBytes("new keys")), ToBytes("new keys"));
  EXPECT_EQ(SendToServer(&pair, ToBytes("here too")), ToBytes("here too"));
}

TEST(KeyUpdate, IsNotAnsweredUnasked) {
  Pair pair(OnlyVersion(kTls13));
  Bytes update;
  pair.client->UpdateKeys(/*answer=*/false, &update);
  Bytes plain;
  Bytes answer;
  EXPECT_EQ(pair.server->Open(update, &plain, &answer), Engine::Status::kNeedMore);
  EXPECT_TRUE(answer.empty());
  EXPECT_EQ(SendToServer(&pair, ToBytes("new keys")), ToBytes("new keys"));
}

// Many in one read are answered once, so that a client can't make us write more than it sends; and
// more than 32 without data are an attack.
TEST(KeyUpdate, ManyAreAnsweredOnceAndTooManyAreRefused) {
  Pair pair(OnlyVersion(kTls13));
  Bytes updates;
  pair.client->UpdateKeys(true, &updates);
  const size_t one = updates.size();
  for (int i = 1; i < 32; ++i) {
    pair.client->UpdateKeys(true, &updates);
  }
  Bytes plain;
  Bytes answer;
  EXPECT_EQ(pair.server->Open(updates, &plain, &answer), Engine::Status::kNeedMore);
  EXPECT_EQ(answer.size(), one);
  updates.clear();
  answer.clear();
  pair.client->UpdateKeys(true, &updates);
  EXPECT_EQ(pair.server->Open(updates, &plain, &answer), Engine::Status::kError);
  EXPECT_EQ(pair.server->engine().error(), "TOO_MANY_KEY_UPDATES");
  EXPECT_FALSE(answer.empty());
}

TEST(KeyUpdate, AfterOurCloseIsTakenInSilence) {
  Pair pair(OnlyVersion(kTls13));
  Bytes out;
  pair.server->Close(&out);
  Bytes stream;
  pair.client->UpdateKeys(true, &stream);
  ASSERT_EQ(pair.client->Seal(ToBytes("after"), &stream), TlsClient::Status::kOk);
  Bytes plain;
  Bytes nothing;
  EXPECT_EQ(pair.server->Open(stream, &plain, &nothing), Engine::Status::kNeedMore);
  EXPECT_EQ(plain, ToBytes("after"));
  EXPECT_TRUE(nothing.empty());
}

// --- Records that no client of good will sends, made by hand.

class HandmadeTest : public ::testing::Test {
 protected:
  HandmadeTest() : pair_(Options()) {}

  static TlsClientOptions Options() {
    TlsClientOptions options = OnlyVersion(kTls12);
    options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    return options;
  }

  Engine::Status Receive(uint8_t type, const Bytes& plain) {
    Bytes record;
    pair_.client->SealRecord(type, plain, &record);
    return pair_.server->Open(record, &opened_, &alert_);
  }

  Pair pair_;
  Bytes opened_;
  Bytes alert_;
};

TEST_F(HandmadeTest, DataIsTaken) {
  EXPECT_EQ(Receive(kApplicationData, ToBytes("by hand")), Engine::Status::kNeedMore);
  EXPECT_EQ(opened_, ToBytes("by hand"));
}

TEST_F(HandmadeTest, AnEmptyRecordIsNothing) {
  EXPECT_EQ(Receive(kApplicationData, {}), Engine::Status::kNeedMore);
  EXPECT_TRUE(opened_.empty());
  EXPECT_TRUE(alert_.empty());
}

TEST_F(HandmadeTest, RenegotiationIsRefused) {
  // A ClientHello, or what passes for one: it is refused by its type, unread.
  EXPECT_EQ(Receive(kHandshake, {1, 0, 0, 2, 3, 3}), Engine::Status::kError);
  EXPECT_EQ(pair_.server->engine().error(), "NO_RENEGOTIATION");
  Bytes ignored;
  EXPECT_EQ(pair_.client->Open(alert_, &opened_, &ignored), TlsClient::Status::kError);
  EXPECT_EQ(pair_.client->error(), "TLSV1_ALERT_NO_RENEGOTIATION");
}

TEST_F(HandmadeTest, AnUnknownTypeIsAnError) {
  EXPECT_EQ(Receive(99, ToBytes("?")), Engine::Status::kError);
  EXPECT_EQ(pair_.server->engine().error(), "UNEXPECTED_RECORD");
  EXPECT_FALSE(alert_.empty());
}

// Records that carry nothing cost us and not the client; the library counts them.
TEST_F(HandmadeTest, EmptyRecordsAreNotEndless) {
  for (int i = 0; i < 32; ++i) {
    ASSERT_EQ(Receive(kApplicationData, {}), Engine::Status::kNeedMore) << i;
  }
  EXPECT_EQ(Receive(kApplicationData, {}), Engine::Status::kError);
  EXPECT_EQ(pair_.server->engine().error(), "TOO_MANY_EMPTY_FRAGMENTS");
  EXPECT_FALSE(alert_.empty());
}

TEST_F(HandmadeTest, WarningAlertsAreNotEndless) {
  const Bytes user_canceled = {1, 90};
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(Receive(kAlert, user_canceled), Engine::Status::kNeedMore) << i;
  }
  EXPECT_EQ(Receive(kAlert, user_canceled), Engine::Status::kError);
  EXPECT_EQ(pair_.server->engine().error(), "TOO_MANY_WARNING_ALERTS");
  EXPECT_FALSE(alert_.empty());
}

// --- Bytes that aren't TLS, or not a TLS of today, where a ClientHello should be.

struct NotTls {
  const char* name;
  Bytes bytes;
  const char* error;
  bool has_alert = true;  // An HTTP client would not know one, so the library sends it none.
};

TEST(Garbage, IsAnErrorWithAnAlert) {
  Bytes ssl3 = {22, 3, 0, 0, 45, 1, 0, 0, 41, 3, 0};  // A whole hello of SSL 3.0: one cipher.
  ssl3.resize(ssl3.size() + 32, 7);                   // Random.
  ssl3.insert(ssl3.end(), {0, 0, 2, 0, 10, 1, 0});
  const NotTls cases[] = {
      {"HTTP", ToBytes("GET / HTTP/1.1\r\nHost: db\r\n\r\n"), "HTTP_REQUEST", false},
      {"proxied HTTP", ToBytes("CONNECT db:3306 HTTP/1.1\r\n\r\n"), "HTTPS_PROXY_REQUEST", false},
      {"SSH", ToBytes("SSH-2.0-OpenSSH_9.2\r\n"), "WRONG_VERSION_NUMBER"},
      {"a MySQL packet", {32, 0, 0, 1, 0x85, 0xa6, 0xff, 1, 0, 0, 0, 1}, "WRONG_VERSION_NUMBER"},
      {"SSL 3.0", ssl3, "UNSUPPORTED_PROTOCOL"},
      {"data first", {23, 3, 3, 0, 5, 'h', 'e', 'l', 'l', 'o'}, "UNEXPECTED_RECORD"},
      {"a huge message", {22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff}, "EXCESSIVE_MESSAGE_SIZE"},
      {"a huge record", {22, 3, 1, 0xff, 0xff, 1}, "ENCRYPTED_LENGTH_TOO_LONG"},
      {"zeros", Bytes(64, 0), "WRONG_VERSION_NUMBER"},
  };
  const std::unique_ptr<Context> context = MakeContext();
  for (const NotTls& c : cases) {
    Server server(*context);
    Bytes in = c.bytes;
    Bytes alert;
    EXPECT_EQ(server.Handshake(&in, &alert), Engine::Status::kError) << c.name;
    EXPECT_EQ(server.engine().error(), c.error) << c.name;
    EXPECT_TRUE(in.empty());
    EXPECT_EQ(alert.empty(), !c.has_alert) << c.name;
    if (c.has_alert && alert.size() == 7) {
      EXPECT_EQ(alert[0], kAlert) << c.name;
      EXPECT_EQ(alert[5], 2) << c.name << ": not fatal";
    }

    // It stays an error, whatever comes.
    in = c.bytes;
    Bytes more;
    EXPECT_EQ(server.Handshake(&in, &more), Engine::Status::kError) << c.name;
    EXPECT_TRUE(more.empty());
  }
}

TEST(Garbage, RandomBytesNeverGetThrough) {
  const std::unique_ptr<Context> context = MakeContext();
  uint32_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    Bytes in = {22, 3, 1,  0, 60, 1,
                0,  0, 56, 3, 3};  // A hello's first bytes, so that some get far.
    const size_t keep = state % (in.size() + 1);
    in.resize(keep);
    while (in.size() < 65) {
      state = state * 1664525 + 1013904223;
      in.push_back(static_cast<uint8_t>(state >> 24));
    }
    Server server(*context);
    Bytes out;
    EXPECT_NE(server.Handshake(&in, &out), Engine::Status::kOk);
  }
}

}  // namespace
}  // namespace sallyport::tls
