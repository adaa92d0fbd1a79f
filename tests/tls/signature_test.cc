// Signatures that somebody else makes while the handshake stands still.
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::kTls12;
using tests::kTls13;

constexpr uint16_t kPss[] = {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384,
                             SSL_SIGN_RSA_PSS_RSAE_SHA512};
constexpr uint16_t kPkcs1[] = {SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_RSA_PKCS1_SHA384,
                               SSL_SIGN_RSA_PKCS1_SHA512};

std::unique_ptr<Context> Deferring() { return MakeContext(KeyType::kRsa2048, true); }

// Standing is a handshake that waits for its signature.
struct Standing {
  explicit Standing(
      const TlsClientOptions& options, std::string_view behind_hello = "",
      const std::function<void(SSL*)>& configure = [](SSL*) {})
      : context(Deferring()),
        server(std::make_unique<Server>(*context)),
        client(std::make_unique<TlsClient>(options)) {
    configure(client->ssl());
    std::span<const uint8_t> nothing;
    client->Handshake(&nothing, &to_server);
    to_server.insert(to_server.end(), behind_hello.begin(), behind_hello.end());
    EXPECT_EQ(server->Handshake(&to_server, &to_client), Engine::Status::kWantSignature);
  }

  // Goes on with that signature, and tells the client what there is to tell.
  Engine::Status Finish(std::span<const uint8_t> signature) {
    server->engine().FinishSignature(signature);
    const Engine::Status status = server->Handshake(&to_server, &to_client);
    std::span<const uint8_t> in = to_client;
    client->Handshake(&in, &to_server);
    to_client.clear();
    return status;
  }

  std::unique_ptr<Context> context;
  std::unique_ptr<Server> server;
  std::unique_ptr<TlsClient> client;
  Bytes to_server;
  Bytes to_client;
};

TEST(Signature, IsOfTheKindThatTheClientTakes) {
  for (const uint16_t version : {kTls12, kTls13}) {
    std::vector<uint16_t> algorithms(std::begin(kPss), std::end(kPss));
    if (version == kTls12) algorithms.insert(algorithms.end(), kPkcs1, std::end(kPkcs1));
    for (const uint16_t algorithm : algorithms) {
      SCOPED_TRACE(SSL_get_signature_algorithm_name(algorithm, 0));
      Standing standing(OnlyVersion(version), "", [&](SSL* ssl) {
        ASSERT_TRUE(SSL_set_verify_algorithm_prefs(ssl, &algorithm, 1));
      });
      const SignatureRequest request = standing.server->engine().TakeSignatureRequest();
      EXPECT_EQ(request.algorithm(), algorithm);
      EXPECT_EQ(standing.Finish(request.Sign()), Engine::Status::kNeedMore);
      ASSERT_EQ(standing.server->Handshake(&standing.to_server, &standing.to_client),
                Engine::Status::kOk);
      EXPECT_EQ(SSL_get_peer_signature_algorithm(standing.client->ssl()), algorithm);
    }
  }
}

TEST(Signature, IsAskedForOnceInWhateverPieces) {
  const std::unique_ptr<Context> context = Deferring();
  ASSERT_TRUE(context->defers_signatures());
  for (const uint16_t version : {kTls12, kTls13}) {
    for (const size_t piece : {size_t{1}, size_t{7}, kAtOnce}) {
      Pair pair(OnlyVersion(version), context.get(), piece);
      EXPECT_EQ(pair.server->signatures(), 1);
      EXPECT_EQ(SendToServer(&pair, ToBytes("to server")), ToBytes("to server"));
      EXPECT_EQ(SendToClient(&pair, ToBytes("to client")), ToBytes("to client"));
    }
  }
}

TEST(Signature, IsAskedForOnceAfterAHelloRetry) {
  const std::unique_ptr<Context> context = Deferring();
  TlsClientOptions options = OnlyVersion(kTls13);
  options.groups = "P-384:P-256:X25519";
  Pair pair(options, context.get());
  EXPECT_EQ(pair.server->signatures(), 1);
}

TEST(Signature, IsNotNeededToResume) {
  const std::unique_ptr<Context> context = Deferring();
  for (const uint16_t version : {kTls12, kTls13}) {
    Pair first(OnlyVersion(version), context.get());
    TlsClientOptions options = OnlyVersion(version);
    options.session = first.client->session();
    Pair second(options, context.get());
    EXPECT_TRUE(second.client->resumed());
    EXPECT_EQ(second.server->signatures(), 0);
  }
}

TEST(Signature, IsNotAskedForWhereItCostsLittle) {
  for (const KeyType type : {KeyType::kP256, KeyType::kP384, KeyType::kEd25519}) {
    const std::unique_ptr<Context> context = MakeContext(type, true);
    EXPECT_FALSE(context->defers_signatures());
    Pair pair(OnlyVersion(kTls13), context.get());
    EXPECT_EQ(pair.server->signatures(), 0);
  }
  EXPECT_FALSE(MakeContext(KeyType::kRsa2048)->defers_signatures());
}

// The client must learn that it ended, and that it was not its fault.
TEST(Signature, ThatFailsIsAnAlert) {
  for (const uint16_t version : {kTls12, kTls13}) {
    for (const size_t size : {size_t{0}, size_t{257}}) {
      Standing standing(OnlyVersion(version));
      standing.server->engine().TakeSignatureRequest();
      EXPECT_EQ(standing.Finish(Bytes(size)), Engine::Status::kError);
      EXPECT_EQ(standing.server->engine().error(), "PRIVATE_KEY_OPERATION_FAILED");
      EXPECT_EQ(standing.client->error(), "TLSV1_ALERT_INTERNAL_ERROR");
    }
  }
}

TEST(Signature, MayFailBeforeTheRequestIsTaken) {
  Standing standing(OnlyVersion(kTls13));
  EXPECT_EQ(standing.Finish({}), Engine::Status::kError);
}

TEST(Signature, OfSomethingElseIsRefusedByTheClient) {
  for (const uint16_t version : {kTls12, kTls13}) {
    Standing one(OnlyVersion(version));
    Standing other(OnlyVersion(version));
    EXPECT_EQ(one.Finish(other.server->engine().TakeSignatureRequest().Sign()),
              Engine::Status::kNeedMore);
    EXPECT_EQ(one.client->error(), "BAD_SIGNATURE");
    EXPECT_EQ(one.server->Handshake(&one.to_server, &one.to_client), Engine::Status::kError);
    EXPECT_EQ(one.server->engine().error(), "TLSV1_ALERT_DECRYPT_ERROR");
  }
}

// What stands behind the hello is the caller's until the signature has come.
TEST(Signature, LeavesWhatItDidNotRead) {
  // A change_cipher_spec, which TLS 1.3 lets a client send at any time and a server ignores.
  constexpr std::string_view kIgnored("\x14\x03\x03\x00\x01\x01", 6);
  Standing standing(OnlyVersion(kTls13), kIgnored);
  EXPECT_EQ(standing.to_server, ToBytes(kIgnored));
  standing.server->Sign();
  EXPECT_EQ(standing.server->Handshake(&standing.to_server, &standing.to_client),
            Engine::Status::kNeedMore);
  EXPECT_TRUE(standing.to_server.empty());
  std::span<const uint8_t> in = standing.to_client;
  EXPECT_EQ(standing.client->Handshake(&in, &standing.to_server), TlsClient::Status::kOk);
  EXPECT_EQ(standing.server->Handshake(&standing.to_server, &standing.to_client),
            Engine::Status::kOk);
}

TEST(Signature, BehindTheHelloNonsenseStillIsNonsense) {
  Standing standing(OnlyVersion(kTls12), "nonsense");
  EXPECT_EQ(standing.Finish(standing.server->engine().TakeSignatureRequest().Sign()),
            Engine::Status::kError);
  EXPECT_EQ(standing.server->engine().error(), "WRONG_VERSION_NUMBER");
}

TEST(Signature, RequestOutlivesItsEngineAndContext) {
  std::optional<SignatureRequest> request;
  {
    Standing standing(OnlyVersion(kTls13));
    request.emplace(standing.server->engine().TakeSignatureRequest());
  }
  EXPECT_EQ(request->Sign().size(), 256u);
}

TEST(Signature, OfAnUnknownAlgorithmFails) {
  const std::string& pem = tests::TestKeyPem(KeyType::kRsa2048);
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  const SignatureRequest request(key.get(), 0x1234, {});
  EXPECT_TRUE(request.Sign().empty());
}

// A Context of certificates for ecdsa.test, rsa.test and other-rsa.test, in the order of `names`.
std::unique_ptr<Context> ByName(const std::vector<std::string>& names, bool defer = true) {
  static const std::string* const other_rsa = new std::string(tests::MakeKeyPem(KeyType::kRsa2048));
  std::vector<std::string> certificates;
  std::vector<PemPair> pairs;
  certificates.reserve(names.size());
  for (const std::string& name : names) {
    const std::string& key = name == "ecdsa.test" ? tests::TestKeyPem(KeyType::kP256)
                             : name == "rsa.test" ? tests::TestKeyPem(KeyType::kRsa2048)
                                                  : *other_rsa;
    certificates.push_back(tests::MakeCertificatePem(key, {.dns_names = {name}}));
    pairs.push_back({certificates.back(), key});
  }
  auto context = Context::Create({.certificate_pem = pairs[0].certificate_pem,
                                  .private_key_pem = pairs[0].private_key_pem,
                                  .now = tests::kTestNow,
                                  .defer_signatures = defer,
                                  .more_certificates = {pairs.begin() + 1, pairs.end()}});
  EXPECT_TRUE(context.ok()) << context.status();
  return *std::move(context);
}

class SignatureByName : public ::testing::TestWithParam<uint16_t> {
 protected:
  // Expects a handshake, its ticket to resume, and returns how many signatures the first asked for.
  static int Signatures(const Context& context, const std::string& name) {
    TlsClientOptions options = Options(name);
    Pair first(options, &context);
    EXPECT_EQ(SendToServer(&first, ToBytes("to server")), ToBytes("to server"));
    EXPECT_EQ(SendToClient(&first, ToBytes("to client")), ToBytes("to client"));
    EXPECT_EQ(KeyOf(&first) == EVP_PKEY_RSA, name != "ecdsa.test");
    options.session = first.client->session();
    Pair second(options, &context);
    EXPECT_TRUE(second.client->resumed());
    EXPECT_EQ(second.server->signatures(), 0);
    return first.server->signatures();
  }
  static TlsClientOptions Options(const std::string& name) {
    TlsClientOptions options = OnlyVersion(GetParam());
    options.sni = name;
    return options;
  }

 private:
  static int KeyOf(Pair* pair) {
    return SSL_get_signature_algorithm_key_type(
        SSL_get_peer_signature_algorithm(pair->client->ssl()));
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, SignatureByName, ::testing::Values(kTls12, kTls13));

TEST_P(SignatureByName, IsAskedForWhereTheNameIsOfAnRsaKey) {
  for (const auto& names : {std::vector<std::string>{"ecdsa.test", "rsa.test"},
                            std::vector<std::string>{"rsa.test", "ecdsa.test"}}) {
    SCOPED_TRACE(names[0]);
    const std::unique_ptr<Context> context = ByName(names);
    EXPECT_TRUE(context->defers_signatures());
    EXPECT_EQ(Signatures(*context, "rsa.test"), 1);
    EXPECT_EQ(Signatures(*context, "ecdsa.test"), 0);
  }
}

// The client holds the signature against the certificate of the name.
TEST_P(SignatureByName, IsMadeWithTheKeyOfTheName) {
  const std::unique_ptr<Context> context = ByName({"rsa.test", "other-rsa.test", "ecdsa.test"});
  EXPECT_EQ(Signatures(*context, "rsa.test"), 1);
  EXPECT_EQ(Signatures(*context, "other-rsa.test"), 1);
  EXPECT_EQ(Signatures(*context, "ecdsa.test"), 0);
}

TEST_P(SignatureByName, IsNotAskedForUnlessTheOptionsSaySo) {
  const std::unique_ptr<Context> context = ByName({"ecdsa.test", "rsa.test"}, false);
  EXPECT_FALSE(context->defers_signatures());
  EXPECT_EQ(Signatures(*context, "rsa.test"), 0);
}

TEST_P(SignatureByName, NeedsNoContextAnyMore) {
  std::unique_ptr<Context> context = ByName({"ecdsa.test", "other-rsa.test"});
  Server server(*context);
  context.reset();
  TlsClient client(Options("other-rsa.test"));
  EXPECT_TRUE(Shake(&server, &client));
  EXPECT_EQ(server.signatures(), 1);
}

// One key signs on several threads at once, each for an engine of another.
TEST(Signature, IsMadeOnOtherThreads) {
  const std::unique_ptr<Context> context = Deferring();
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&context] {
      for (int i = 0; i < 5; ++i) {
        Server server(*context);
        TlsClient client(OnlyVersion(i % 2 == 0 ? kTls12 : kTls13));
        Bytes to_server;
        Bytes to_client;
        std::span<const uint8_t> in;
        client.Handshake(&in, &to_server);
        ASSERT_EQ(server.Handshake(&to_server, &to_client), Engine::Status::kWantSignature);
        Bytes signature;
        std::thread signer([request = server.engine().TakeSignatureRequest(), &signature] {
          signature = request.Sign();
        });
        signer.join();
        server.engine().FinishSignature(signature);
        ASSERT_EQ(server.Handshake(&to_server, &to_client), Engine::Status::kNeedMore);
        in = to_client;
        ASSERT_NE(client.Handshake(&in, &to_server), TlsClient::Status::kError) << client.error();
        EXPECT_EQ(server.Handshake(&to_server, &to_client), Engine::Status::kOk);
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
}

TEST(SignatureDeathTest, NobodyGoesOnWithoutIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Standing standing({});
  EXPECT_DEATH(standing.server->Handshake(&standing.to_server, &standing.to_client),
               "no signature wanted");
}

}  // namespace
}  // namespace sallyport::tls
