// Handshakes: what is agreed on, whatever the pieces it arrives in, and what is refused.
#include <gtest/gtest.h>
#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string>
#include <string_view>
#include <tuple>

#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::kTls10;
using tests::kTls11;
using tests::kTls12;
using tests::kTls13;

struct Agreement {
  uint16_t version;
  KeyType key;
  const char* offered;   // TLS 1.2 only: the one cipher the client offers.
  const char* standard;  // What parameters() must call it; null: whatever TLS 1.3 picks.
};

void PrintTo(const Agreement& agreement, std::ostream* out) {
  *out << (agreement.version == kTls13 ? "1.3" : "1.2") << ' ' << agreement.offered;
}

class HandshakeTest : public ::testing::TestWithParam<std::tuple<Agreement, size_t>> {};

TEST_P(HandshakeTest, AgreesAndCarriesDataBothWays) {
  const auto& [agreement, piece] = GetParam();
  const std::unique_ptr<Context> context = MakeContext(agreement.key);
  TlsClientOptions options = OnlyVersion(agreement.version);
  options.ciphers = agreement.offered;
  options.groups =
      "X25519:P-256";  // The latter for TLS 1.2, where it allows the certificate's key.
  options.sni = "db.example.com";
  options.alpn = {"mysql", "h2"};
  Pair pair(options, context.get(), piece);

  const Parameters parameters = pair.server->engine().parameters();
  EXPECT_EQ(parameters.version, agreement.version == kTls13 ? "TLSv1.3" : "TLSv1.2");
  EXPECT_EQ(parameters.cipher, agreement.standard);
  EXPECT_EQ(parameters.group, "X25519");
  EXPECT_FALSE(parameters.resumed);
  EXPECT_EQ(pair.server->engine().sni(), "db.example.com");
  EXPECT_EQ(SendToServer(&pair, ToBytes("to server")), ToBytes("to server"));
  EXPECT_EQ(SendToClient(&pair, ToBytes("to client")), ToBytes("to client"));
}

// In TLS 1.3 BoringSSL goes by the machine. The target engine_handshake_no_aes_test runs this file
// on one that seems to have no AES instructions.
const char* Tls13Cipher() {
  return EVP_has_aes_hardware() ? "TLS_AES_128_GCM_SHA256" : "TLS_CHACHA20_POLY1305_SHA256";
}

INSTANTIATE_TEST_SUITE_P(
    All, HandshakeTest,
    ::testing::Combine(
        ::testing::Values(Agreement{kTls13, KeyType::kP256, "", Tls13Cipher()},
                          Agreement{kTls13, KeyType::kRsa2048, "", Tls13Cipher()},
                          Agreement{kTls13, KeyType::kP384, "", Tls13Cipher()},
                          Agreement{kTls13, KeyType::kP521, "", Tls13Cipher()},
                          Agreement{kTls13, KeyType::kEd25519, "", Tls13Cipher()},
                          Agreement{kTls12, KeyType::kP256, "ECDHE-ECDSA-AES128-GCM-SHA256",
                                    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
                          Agreement{kTls12, KeyType::kP256, "ECDHE-ECDSA-CHACHA20-POLY1305",
                                    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
                          Agreement{kTls12, KeyType::kP256, "ECDHE-ECDSA-AES256-GCM-SHA384",
                                    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
                          Agreement{kTls12, KeyType::kRsa2048, "ECDHE-RSA-AES128-GCM-SHA256",
                                    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
                          Agreement{kTls12, KeyType::kRsa2048, "ECDHE-RSA-CHACHA20-POLY1305",
                                    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
                          Agreement{kTls12, KeyType::kRsa2048, "ECDHE-RSA-AES256-GCM-SHA384",
                                    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
                          Agreement{kTls12, KeyType::kEd25519, "ECDHE-ECDSA-AES128-GCM-SHA256",
                                    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}),
        ::testing::Values(size_t{1}, size_t{7}, kAtOnce)));

TEST(Handshake, PrefersAes128InTls12) {
  TlsClientOptions options = OnlyVersion(kTls12);
  options.ciphers =
      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
      "ECDHE-ECDSA-AES128-GCM-SHA256";
  Pair pair(options);
  EXPECT_EQ(pair.server->engine().parameters().cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
}

TEST(Handshake, AcceptsItsGroupsAlone) {
  // In TLS 1.2 a client's groups also say which certificates it takes, so an RSA one.
  const std::unique_ptr<Context> context = MakeContext(KeyType::kRsa2048);
  for (const uint16_t version : {kTls12, kTls13}) {
    for (const char* group : {"X25519", "P-256", "P-384"}) {
      TlsClientOptions options = OnlyVersion(version);
      options.groups = group;
      Pair pair(options, context.get());
      EXPECT_EQ(pair.server->engine().parameters().group, group);
    }
  }
}

// A client that would rather use P-384 is asked to try again with what costs less.
TEST(Handshake, PrefersCheapGroups) {
  TlsClientOptions options = OnlyVersion(kTls13);
  options.groups = "P-384:P-256:X25519";
  Pair pair(options);
  EXPECT_EQ(pair.server->engine().parameters().group, "X25519");
}

TEST(Handshake, PrefersTheHybridWhereTheLibraryHasIt) {
  constexpr char kHybrid[] = "X25519MLKEM768:X25519:P-256";
  const bssl::UniquePtr<SSL_CTX> probe(SSL_CTX_new(TLS_method()));
  if (!SSL_CTX_set1_curves_list(probe.get(), kHybrid)) {
    ERR_clear_error();
    GTEST_SKIP() << "this BoringSSL is older than ML-KEM";
  }
  TlsClientOptions options = OnlyVersion(kTls13);
  options.groups = kHybrid;
  Pair pair(options);
  EXPECT_EQ(pair.server->engine().parameters().group, "X25519MLKEM768");
}

TEST(Handshake, WithoutSni) {
  Pair pair({});
  EXPECT_EQ(pair.server->engine().sni(), "");
}

struct Refusal {
  const char* name;
  TlsClientOptions options;
  const char* server_error;
  const char* client_error;
};

// The client must learn why: its error is the alert that the server sent.
TEST(Handshake, RefusesWithAnAlert) {
  TlsClientOptions cbc = OnlyVersion(kTls12);
  cbc.ciphers = "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA";
  TlsClientOptions rsa_exchange = OnlyVersion(kTls12);
  rsa_exchange.ciphers = "AES128-GCM-SHA256";
  TlsClientOptions p521 = OnlyVersion(kTls13);
  p521.groups = "P-521";
  const Refusal refusals[] = {
      {"TLS 1.0", OnlyVersion(kTls10), "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"},
      {"TLS 1.1", OnlyVersion(kTls11), "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"},
      {"CBC", cbc, "NO_SHARED_CIPHER", "SSLV3_ALERT_HANDSHAKE_FAILURE"},
      {"RSA key exchange", rsa_exchange, "NO_SHARED_CIPHER", "SSLV3_ALERT_HANDSHAKE_FAILURE"},
      {"P-521", p521, "NO_SHARED_GROUP", "SSLV3_ALERT_HANDSHAKE_FAILURE"},
  };
  const std::unique_ptr<Context> context = MakeContext();
  for (const Refusal& refusal : refusals) {
    Server server(*context);
    TlsClient client(refusal.options);
    EXPECT_FALSE(Shake(&server, &client)) << refusal.name;
    EXPECT_EQ(server.engine().error(), refusal.server_error) << refusal.name;
    EXPECT_EQ(client.error(), refusal.client_error) << refusal.name;
    EXPECT_FALSE(server.engine().handshake_done());
  }
}

TEST(Handshake, TellsTheClientsAlert) {
  const std::unique_ptr<Context> context = MakeContext();
  for (const uint16_t version : {kTls12, kTls13}) {
    TlsClientOptions options = OnlyVersion(version);
    options.ca_pem = tests::MakeCertificatePem(tests::TestKeyPem(KeyType::kP384), {});
    Server server(*context);
    TlsClient client(options);
    EXPECT_FALSE(Shake(&server, &client));
    EXPECT_EQ(client.error(), "CERTIFICATE_VERIFY_FAILED");
    // It doesn't know our CA, or the certificate is out of date: which one is its own affair.
    EXPECT_NE(server.engine().error().find("ALERT"), std::string::npos) << server.engine().error();
  }
}

// A client may send its first packet right behind Finished, in the same segment.
TEST(Handshake, LeavesWhatIsGluedBehindFinished) {
  const std::unique_ptr<Context> context = MakeContext();
  for (const uint16_t version : {kTls12, kTls13}) {
    Server server(*context);
    TlsClient client(OnlyVersion(version));
    Bytes to_server;
    Bytes to_client;
    std::span<const uint8_t> in;
    client.Handshake(&in, &to_server);
    while (!client.handshake_done()) {
      server.Handshake(&to_server, &to_client);
      Bytes flight;
      flight.swap(to_client);
      in = flight;
      to_server.clear();
      ASSERT_NE(client.Handshake(&in, &to_server), TlsClient::Status::kError);
    }
    if (version == kTls13) {  // In TLS 1.2 the server's Finished is the last: nothing to glue to.
      EXPECT_FALSE(server.engine().handshake_done());
    }
    const size_t handshake_size = to_server.size();
    ASSERT_EQ(client.Seal(ToBytes("glued"), &to_server), TlsClient::Status::kOk);
    const Bytes glued(to_server.begin() + static_cast<ptrdiff_t>(handshake_size), to_server.end());
    if (version == kTls13) {
      ASSERT_EQ(server.Handshake(&to_server, &to_client), Engine::Status::kOk);
    }
    EXPECT_EQ(to_server, glued);
    Bytes plain;
    EXPECT_EQ(server.Open(to_server, &plain, &to_client), Engine::Status::kNeedMore);
    EXPECT_EQ(plain, ToBytes("glued"));
  }
}

// Else a client's second small write waits for the delayed ACK of its first.
TEST(Handshake, AnswersFinishedWithTheTicketAtOnce) {
  const std::unique_ptr<Context> context = MakeContext();
  Server server(*context);
  TlsClient client(OnlyVersion(kTls13));
  Bytes to_server;
  Bytes to_client;
  std::span<const uint8_t> in;
  client.Handshake(&in, &to_server);
  ASSERT_EQ(server.Handshake(&to_server, &to_client), Engine::Status::kNeedMore);
  in = to_client;
  ASSERT_EQ(client.Handshake(&in, &to_server), TlsClient::Status::kOk);
  Bytes ticket;
  ASSERT_EQ(server.Handshake(&to_server, &ticket), Engine::Status::kOk);
  ASSERT_FALSE(ticket.empty());
  Bytes plain;
  EXPECT_TRUE(client.session().empty());
  EXPECT_EQ(client.Open(ticket, &plain, &to_server), TlsClient::Status::kNeedMore);
  EXPECT_FALSE(client.session().empty());
  EXPECT_TRUE(plain.empty());
}

TEST(Handshake, ClientThatClosesInTheMiddleIsNoError) {
  const std::unique_ptr<Context> context = MakeContext();
  Server server(*context);
  Bytes close_notify = {21, 3, 1, 0, 2, 1, 0};
  Bytes out;
  EXPECT_EQ(server.Handshake(&close_notify, &out), Engine::Status::kClosed);
}

}  // namespace
}  // namespace sallyport::tls
