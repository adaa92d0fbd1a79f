// Versions, ciphers and groups that an operator may choose, and what he is told otherwise.
#include "tls/settings.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string>

#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::kTls12;
using tests::kTls13;

absl::StatusOr<std::unique_ptr<Context>> Create(const Settings& settings,
                                                KeyType type = KeyType::kP256) {
  const std::string& key = tests::TestKeyPem(type);
  const std::string certificate = tests::MakeCertificatePem(key, {});
  auto context = Context::Create({.certificate_pem = certificate,
                                  .private_key_pem = key,
                                  .now = tests::kTestNow,
                                  .settings = settings});
  EXPECT_EQ(ERR_peek_error(), 0u) << "the library's error queue isn't empty";
  return context;
}

std::string Why(const Settings& settings, KeyType type = KeyType::kP256) {
  const auto context = Create(settings, type);
  if (context.ok()) {
    return "accepted";
  }
  EXPECT_EQ(context.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(context.status().message());
}

bool LibraryHasHybrid() {
  const bssl::UniquePtr<SSL_CTX> probe(SSL_CTX_new(TLS_method()));
  const bool has = SSL_CTX_set1_curves_list(probe.get(), "X25519MLKEM768");
  ERR_clear_error();
  return has;
}

// Reason is what the server says of a client it can't agree with, and empty where it can.
std::string Reason(const Context& context, const TlsClientOptions& options) {
  Server server(context);
  TlsClient client(options);
  return Shake(&server, &client) ? "" : server.engine().error();
}

TEST(Settings, VersionsAreKept) {
  const auto only13 = Create({.version_min = "1.3"});
  EXPECT_EQ(Reason(**only13, OnlyVersion(kTls13)), "");
  EXPECT_EQ(Reason(**only13, OnlyVersion(kTls12)), "UNSUPPORTED_PROTOCOL");
  const auto only12 = Create({.version_min = "TLSv1.2", .version_max = "TLSv1.2"});
  EXPECT_EQ(Reason(**only12, OnlyVersion(kTls12)), "");
  EXPECT_EQ(Reason(**only12, OnlyVersion(kTls13)), "UNSUPPORTED_PROTOCOL");
  const auto both = Create({});
  EXPECT_EQ(Reason(**both, OnlyVersion(kTls12)), "");
  EXPECT_EQ(Reason(**both, OnlyVersion(kTls13)), "");
}

TEST(Settings, RefusesVersions) {
  EXPECT_EQ(Why({.version_min = "1.1"}),
            "the minimum TLS version is \"1.1\"; 1.2 and 1.3 are known");
  EXPECT_EQ(Why({.version_max = ""}), "the maximum TLS version is \"\"; 1.2 and 1.3 are known");
  EXPECT_EQ(Why({.version_min = "1.3", .version_max = "1.2"}),
            "the minimum TLS version is above the maximum");
}

TEST(Settings, CiphersAreKeptInTheOperatorsOrder) {
  const auto context = Create({.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384 : "
                                          "tls_ecdhe_ecdsa_with_aes_128_gcm_sha256"});
  ASSERT_TRUE(context.ok()) << context.status();
  Pair pair(OnlyVersion(kTls12), context->get());
  EXPECT_EQ(pair.server->engine().parameters().cipher, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
  TlsClientOptions options = OnlyVersion(kTls12);
  options.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305";
  EXPECT_EQ(Reason(**context, options), "NO_SHARED_CIPHER");
  options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
  EXPECT_EQ(Reason(**context, options), "");
}

TEST(Settings, RefusesCiphers) {
  const std::string known =
      " is no cipher of TLS 1.2 that is served here: ECDHE-ECDSA-AES128-GCM-SHA256, "
      "ECDHE-RSA-AES128-GCM-SHA256, ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-CHACHA20-POLY1305, "
      "ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384";
  EXPECT_EQ(Why({.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:AES128-SHA"}), "\"AES128-SHA\"" + known);
  EXPECT_EQ(Why({.ciphers = "HIGH:!aNULL"}), "\"HIGH\"" + known);
  EXPECT_EQ(Why({.ciphers = "ECDHE-RSA-AES128-SHA256"}), "\"ECDHE-RSA-AES128-SHA256\"" + known);
  EXPECT_EQ(Why({.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:"}), "\"\"" + known);
  EXPECT_EQ(Why({.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"}),
            "the cipher of TLS 1.2 \"ECDHE-ECDSA-AES128-GCM-SHA256\" is in the list twice");
  EXPECT_EQ(Why({.ciphers = "TLS_AES_256_GCM_SHA384"}),
            "the ciphers of TLS 1.3 can't be chosen: it has three, and the client's order");
}

TEST(Settings, RefusesCiphersForAnotherKey) {
  const Settings rsa{.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"};
  EXPECT_EQ(Why(rsa),
            "no cipher of the list goes with the certificate's key, which is ECDSA or Ed25519: "
            "nobody could use TLS 1.2");
  EXPECT_EQ(Why(rsa, KeyType::kRsa2048), "accepted");
  EXPECT_EQ(Why({.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"}, KeyType::kRsa2048),
            "no cipher of the list goes with the certificate's key, which is RSA: "
            "nobody could use TLS 1.2");
  EXPECT_EQ(Why({.version_min = "1.3", .ciphers = rsa.ciphers}), "accepted");
}

TEST(Settings, GroupsAreKeptInTheOperatorsOrder) {
  const auto context = Create({.groups = "P-521:secp384r1"});
  ASSERT_TRUE(context.ok()) << context.status();
  TlsClientOptions options = OnlyVersion(kTls13);
  options.groups = "P-384:P-521";
  Pair pair(options, context->get());
  EXPECT_EQ(pair.server->engine().parameters().group, "P-521");
  options.groups = "X25519";
  EXPECT_EQ(Reason(**context, options), "NO_SHARED_GROUP");
}

TEST(Settings, RefusesGroups) {
  EXPECT_EQ(Why({.groups = "X25519:P-224"}),
            "\"P-224\" is no group that is served here: X25519MLKEM768, X25519, P-256, P-384, "
            "P-521");
  EXPECT_EQ(Why({.groups = "P-256:prime256v1"}), "the group \"prime256v1\" is in the list twice");
}

TEST(Settings, TheHybridIsServedOrNamed) {
  const std::string why = Why({.groups = "X25519MLKEM768:X25519"});
  if (LibraryHasHybrid()) {
    EXPECT_EQ(why, "accepted");
    const auto context = Create({.groups = "X25519MLKEM768"});
    TlsClientOptions options = OnlyVersion(kTls13);
    options.groups = "X25519MLKEM768";
    EXPECT_EQ(Reason(**context, options), "");
    options.groups = "X25519";
    EXPECT_EQ(Reason(**context, options), "NO_SHARED_GROUP");
  } else {
    EXPECT_EQ(why,
              "the BoringSSL of this build has no X25519MLKEM768: build with a newer one "
              "(SALLYPORT_BORINGSSL)");
  }
}

}  // namespace
}  // namespace sallyport::tls
