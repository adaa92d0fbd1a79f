// Client certificates: who gets in, what everybody else is told, and what a log can say.
#include "tls/client_auth.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/time.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "tests/tls/authorities.h"
#include "tests/tls/wire.h"
#include "tls/client_certificate.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::kTestDay;
using tests::kTestNow;
using tests::kTls12;
using tests::kTls13;
using tests::MakeCertificatePem;
using tests::MakeCrlPem;
using tests::MakeKeyPem;

int64_t test_time = kTestNow;  // What the library takes for the time.

absl::StatusOr<std::unique_ptr<Context>> Create(const ClientAuthOptions& auth,
                                                std::shared_ptr<const TicketKeys> keys = nullptr) {
  const std::string& key = tests::TestKeyPem(KeyType::kP256);
  const std::string certificate = MakeCertificatePem(key, {});
  auto context = Context::Create({.certificate_pem = certificate,
                                  .private_key_pem = key,
                                  .now = kTestNow,
                                  .client_auth = auth,
                                  .ticket_keys = std::move(keys)});
  EXPECT_EQ(ERR_peek_error(), 0u) << "the library's error queue isn't empty";
  return context;
}

std::unique_ptr<Context> Make(const ClientAuthOptions& auth,
                              std::shared_ptr<const TicketKeys> keys = nullptr) {
  auto context = Create(auth, std::move(keys));
  EXPECT_TRUE(context.ok()) << context.status();
  SSL_CTX_set_current_time_cb((*context)->ssl_ctx(), [](const SSL*, timeval* now) {
    *now = {.tv_sec = static_cast<time_t>(test_time), .tv_usec = 0};
  });
  return *std::move(context);
}

ClientAuthOptions Required(std::string_view ca, std::string_view crl = {}) {
  return {.mode = ClientCertificates::kRequired, .ca_pem = ca, .crl_pem = crl};
}

class ClientAuthTest : public ::testing::TestWithParam<uint16_t> {
 protected:
  void SetUp() override { test_time = kTestNow; }
  bool IsTls13() const { return GetParam() == kTls13; }

  TlsClientOptions With(const std::string& certificate) {
    TlsClientOptions options = OnlyVersion(GetParam());
    options.certificate_pem = certificate;
    options.private_key_pem = ClientKey();
    return options;
  }

  // What both ends say of a handshake: "ok", or "server's reason / client's alert".
  std::string Try(const Context& context, const TlsClientOptions& options) {
    Server server(context);
    TlsClient client(options);
    if (Shake(&server, &client)) {
      return "ok";
    }
    return server.engine().error() + " / " + client.error();
  }
  std::string Try(const Context& context, const std::string& certificate) {
    return Try(context, With(certificate));
  }
  std::string TryWithout(const Context& context) { return Try(context, OnlyVersion(GetParam())); }
};

INSTANTIATE_TEST_SUITE_P(Versions, ClientAuthTest, ::testing::Values(kTls12, kTls13),
                         [](const ::testing::TestParamInfo<uint16_t>& version) {
                           return version.param == kTls12 ? "Tls12" : "Tls13";
                         });

constexpr char kFailed[] = "CERTIFICATE_VERIFY_FAILED: ";

TEST_P(ClientAuthTest, OffNeitherAsksNorTells) {
  const auto context = Make({});
  Pair pair(With(ClientPem({})), context.get());
  EXPECT_FALSE(pair.server->engine().parameters().client_certificate.has_value());
}

TEST_P(ClientAuthTest, OptionalTakesNoneOrAGoodOne) {
  const auto context = Make({.mode = ClientCertificates::kOptional, .ca_pem = Authority().root});
  EXPECT_EQ(TryWithout(*context), "ok");
  EXPECT_EQ(Try(*context, ClientPem({})), "ok");
  EXPECT_EQ(Try(*context, MakeCertificatePem(ClientKey(), {.subject = "self"})),
            std::string(kFailed) + "self signed certificate / TLSV1_ALERT_UNKNOWN_CA");
  Pair pair(OnlyVersion(GetParam()), context.get());
  EXPECT_FALSE(pair.server->engine().parameters().client_certificate.has_value());
}

TEST_P(ClientAuthTest, RequiredTakesAGoodOneOnly) {
  const auto context = Make(Required(Authority().root));
  EXPECT_EQ(Try(*context, ClientPem({})), "ok");
  EXPECT_EQ(TryWithout(*context),
            IsTls13() ? "PEER_DID_NOT_RETURN_A_CERTIFICATE / TLSV1_ALERT_CERTIFICATE_REQUIRED"
                      : "PEER_DID_NOT_RETURN_A_CERTIFICATE / SSLV3_ALERT_HANDSHAKE_FAILURE");
}

TEST_P(ClientAuthTest, AnotherCasIsUnknown) {
  const auto context = Make(Required(Authority().root));
  const std::string other = MakeKeyPem(KeyType::kP256);
  EXPECT_EQ(
      Try(*context, ClientPem({.issuer = "Other", .issuer_key_pem = other})),
      std::string(kFailed) + "unable to get local issuer certificate / TLSV1_ALERT_UNKNOWN_CA");
  // The CA's name, and another key behind it.
  EXPECT_EQ(Try(*context, ClientPem({.issuer = "Root", .issuer_key_pem = other})),
            std::string(kFailed) + "certificate signature failure / TLSV1_ALERT_DECRYPT_ERROR");
}

TEST_P(ClientAuthTest, ExpiredAndNotYetValid) {
  const auto context = Make(Required(Authority().root));
  EXPECT_EQ(Try(*context, ClientPem({.not_after = kTestNow - 1})),
            std::string(kFailed) + "certificate has expired / SSLV3_ALERT_CERTIFICATE_EXPIRED");
  EXPECT_EQ(
      Try(*context, ClientPem({.not_before = kTestNow + 1})),
      std::string(kFailed) + "certificate is not yet valid / SSLV3_ALERT_CERTIFICATE_EXPIRED");
  EXPECT_EQ(Try(*context, ClientPem({.not_before = kTestNow, .not_after = kTestNow + 1})), "ok");
}

TEST_P(ClientAuthTest, AServersCertificateIsNoClients) {
  const auto context = Make(Required(Authority().root));
  EXPECT_EQ(Try(*context, ClientPem({.for_servers_only = true})),
            std::string(kFailed) +
                "unsupported certificate purpose / SSLV3_ALERT_UNSUPPORTED_CERTIFICATE");
}

// The chain may come from the client or from the bundle; what is in the bundle is trusted, root or
// not.
TEST_P(ClientAuthTest, ChainsAndDepth) {
  const Authorities& authority = Authority();
  const std::string leaf = ClientPemByMiddle();
  EXPECT_EQ(Try(*Make(Required(authority.root)), leaf + authority.middle), "ok");
  EXPECT_EQ(Try(*Make(Required(authority.root + authority.middle)), leaf), "ok");
  EXPECT_EQ(Try(*Make(Required(authority.middle)), leaf), "ok");
  EXPECT_EQ(
      Try(*Make(Required(authority.root)), leaf),
      std::string(kFailed) + "unable to get local issuer certificate / TLSV1_ALERT_UNKNOWN_CA");
  ClientAuthOptions shallow = Required(authority.root);
  shallow.depth = 0;
  EXPECT_EQ(Try(*Make(shallow), ClientPem({})), "ok");
  EXPECT_EQ(Try(*Make(shallow), leaf + authority.middle),
            std::string(kFailed) + "certificate chain too long / TLSV1_ALERT_UNKNOWN_CA");
  shallow.depth = 1;
  EXPECT_EQ(Try(*Make(shallow), leaf + authority.middle), "ok");
}

TEST_P(ClientAuthTest, ACertificateThatIsNoCaSignsNobody) {
  const std::string impostor = ClientPem({.subject = "Impostor"});
  const std::string leaf =
      ClientPem({.subject = "root", .issuer = "Impostor", .issuer_key_pem = ClientKey()});
  EXPECT_EQ(Try(*Make(Required(Authority().root)), leaf + impostor),
            std::string(kFailed) + "invalid CA certificate / TLSV1_ALERT_UNKNOWN_CA");
}

TEST_P(ClientAuthTest, ATooLargeChainIsABadCertificate) {
  const auto context = Make(Required(Authority().root));
  EXPECT_EQ(Try(*context, ClientPem({.padding = 11 * 1024})), "ok");
  EXPECT_EQ(Try(*context, ClientPem({.padding = 12 * 1024})),
            std::string(kFailed) + "certificate rejected / SSLV3_ALERT_BAD_CERTIFICATE");
  // A client that was let in with the largest comes back with it in its ticket.
  Pair first(With(ClientPem({.padding = 11 * 1024})), context.get());
  TlsClientOptions options = OnlyVersion(GetParam());
  options.session = first.client->session();
  Pair second(options, context.get());
  EXPECT_TRUE(second.client->resumed());
}

TEST_P(ClientAuthTest, Revoked) {
  const Authorities& authority = Authority();
  const std::string crl =
      MakeCrlPem({.issuer = "Root", .issuer_key_pem = authority.root_key, .serials = {5, 9}});
  const auto context = Make(Required(authority.root, crl));
  EXPECT_EQ(Try(*context, ClientPem({.serial = 4})), "ok");
  EXPECT_EQ(Try(*context, ClientPem({.serial = 9})),
            std::string(kFailed) + "certificate revoked / SSLV3_ALERT_CERTIFICATE_REVOKED");
}

// Each certificate of a chain but the trusted one needs a list.
TEST_P(ClientAuthTest, RevokedInAChain) {
  const Authorities& authority = Authority();
  const std::string bundle = authority.root + authority.middle;
  const std::string by_root = MakeCrlPem({.issuer = "Root", .issuer_key_pem = authority.root_key});
  const std::string by_middle =
      MakeCrlPem({.issuer = "Middle", .issuer_key_pem = authority.middle_key, .serials = {9}});
  const std::string middle_revoked =
      MakeCrlPem({.issuer = "Root", .issuer_key_pem = authority.root_key, .serials = {2}});
  const auto context = Make(Required(bundle, by_root + by_middle));
  EXPECT_EQ(Try(*context, ClientPemByMiddle(7)), "ok");
  EXPECT_EQ(Try(*context, ClientPemByMiddle(9)),
            std::string(kFailed) + "certificate revoked / SSLV3_ALERT_CERTIFICATE_REVOKED");
  const std::string no_list =
      std::string(kFailed) + "unable to get certificate CRL / TLSV1_ALERT_UNKNOWN_CA";
  EXPECT_EQ(Try(*Make(Required(bundle, by_root)), ClientPemByMiddle()), no_list);
  EXPECT_EQ(Try(*Make(Required(authority.middle, by_middle)), ClientPemByMiddle()), "ok")
      << "the trusted one needs none";
  EXPECT_EQ(Try(*Make(Required(authority.middle, by_middle)), ClientPemByMiddle(9)),
            std::string(kFailed) + "certificate revoked / SSLV3_ALERT_CERTIFICATE_REVOKED");
  // By Root, whose word isn't asked where Middle itself is trusted.
  EXPECT_EQ(
      Try(*Make(Required(authority.root, middle_revoked)), ClientPemByMiddle() + authority.middle)
          .find(kFailed),
      0u);
}

TEST_P(ClientAuthTest, AListThatRanOutLetsNobodyIn) {
  const std::string crl = MakeCrlPem(
      {.issuer = "Root", .issuer_key_pem = Authority().root_key, .next_update = kTestNow + 3600});
  const auto context = Make(Required(Authority().root, crl));
  EXPECT_EQ(Try(*context, ClientPem({})), "ok");
  test_time += 3601;
  EXPECT_EQ(Try(*context, ClientPem({})),
            std::string(kFailed) + "CRL has expired / SSLV3_ALERT_CERTIFICATE_EXPIRED");
}

TEST_P(ClientAuthTest, WhoWasRefusedCanBeLogged) {
  const auto context = Make(Required(Authority().root));
  Server server(*context);
  TlsClient client(With(ClientPem({.subject = "old\napp", .not_after = kTestNow - 1})));
  EXPECT_FALSE(Shake(&server, &client));
  const std::optional<ClientCertificate> certificate = server.engine().client_certificate();
  ASSERT_TRUE(certificate.has_value());
  EXPECT_EQ(certificate->subject, "CN=old\\0Aapp");
  EXPECT_EQ(certificate->common_name, "") << "control characters";
}

TEST_P(ClientAuthTest, TellsWhoItIsAlsoWhenResumed) {
  const auto context = Make(Required(Authority().root));
  const std::string pem = ClientPem({.subject = "app",
                                     .dns_names = {"app.example.com", "b.example.com"},
                                     .uris = {"spiffe://example.com/app"},
                                     .emails = {"app@example.com"}});
  TlsClientOptions options = With(pem);
  for (const bool resumed : {false, true}) {
    Pair pair(options, context.get());
    const Parameters parameters = pair.server->engine().parameters();
    EXPECT_EQ(parameters.resumed, resumed);
    ASSERT_TRUE(parameters.client_certificate.has_value());
    const ClientCertificate& certificate = *parameters.client_certificate;
    EXPECT_EQ(certificate.subject, "CN=app");
    EXPECT_EQ(certificate.common_name, "app");
    EXPECT_EQ(certificate.not_after, kTestNow + kTestDay);
    ASSERT_EQ(certificate.names.size(), 4u);
    EXPECT_EQ(certificate.names[1].value, "b.example.com");
    EXPECT_EQ(certificate.names[1].type, AlternativeName::Type::kDns);
    EXPECT_EQ(certificate.names[2].value, "spiffe://example.com/app");
    EXPECT_EQ(certificate.names[2].type, AlternativeName::Type::kUri);
    EXPECT_EQ(certificate.names[3].value, "app@example.com");
    EXPECT_EQ(certificate.names[3].type, AlternativeName::Type::kEmail);
    EXPECT_EQ(SendToServer(&pair, ToBytes("x")), ToBytes("x"));
    options = OnlyVersion(GetParam());  // The certificate is in the ticket.
    options.session = pair.client->session();
  }
}

TEST_P(ClientAuthTest, ATicketEndsWithTheCertificate) {
  const auto context = Make(Required(Authority().root));
  TlsClientOptions options = With(ClientPem({.not_after = kTestNow + 1800}));
  Pair first(options, context.get());
  options.session = first.client->session();
  test_time += 1799;
  Bytes renewed;
  {
    Pair second(options, context.get());
    EXPECT_TRUE(second.client->resumed());
    renewed = second.client->session();
  }
  test_time += 2;
  const std::string expired =
      std::string(kFailed) + "certificate has expired / SSLV3_ALERT_CERTIFICATE_EXPIRED";
  EXPECT_EQ(Try(*context, options), expired);
  options.session = renewed;
  EXPECT_EQ(Try(*context, options), expired);
}

// What a reload changed must hold for those with a ticket too.
TEST_P(ClientAuthTest, ATicketIsForItsDemands) {
  const Authorities& authority = Authority();
  const std::shared_ptr<const TicketKeys> keys = TicketKeys::Make(kTestNow);
  const std::string crl =
      MakeCrlPem({.issuer = "Root", .issuer_key_pem = authority.root_key, .serials = {7}});
  const auto off = Make({}, keys);
  const auto optional =
      Make({.mode = ClientCertificates::kOptional, .ca_pem = authority.root}, keys);
  const auto required = Make(Required(authority.root), keys);
  const auto again = Make(Required(authority.root), keys);
  const auto other_ca = Make(Required(authority.middle), keys);
  const auto revoking = Make(Required(authority.root, crl), keys);

  TlsClientOptions options = OnlyVersion(GetParam());
  options.session = Pair(options, off.get()).client->session();
  EXPECT_NE(Try(*required, options), "ok") << "without a certificate";
  options.session = Pair(OnlyVersion(GetParam()), optional.get()).client->session();
  EXPECT_NE(Try(*required, options), "ok") << "without a certificate";

  options = With(ClientPem({.serial = 7}));
  options.session = Pair(options, required.get()).client->session();
  {
    Pair pair(options, again.get());
    EXPECT_TRUE(pair.client->resumed());
  }
  EXPECT_NE(Try(*other_ca, options), "ok");
  EXPECT_EQ(Try(*revoking, options),
            std::string(kFailed) + "certificate revoked / SSLV3_ALERT_CERTIFICATE_REVOKED");
}

TEST_P(ClientAuthTest, SeveralCertificatesAskAlike) {
  const std::string& key = tests::TestKeyPem(KeyType::kP256);
  const std::string one = MakeCertificatePem(key, {.dns_names = {"a.example.com"}});
  const std::string two = MakeCertificatePem(key, {.dns_names = {"b.example.com"}});
  const auto context = Context::Create({.certificate_pem = one,
                                        .private_key_pem = key,
                                        .now = kTestNow,
                                        .more_certificates = {{two, key}},
                                        .client_auth = Required(Authority().root)});
  ASSERT_TRUE(context.ok()) << context.status();
  for (const char* name : {"a.example.com", "b.example.com"}) {
    TlsClientOptions options = With(ClientPem({.not_after = Authorities::kEnd}));
    options.sni = name;
    EXPECT_EQ(Try(**context, options), "ok") << name;
    options.certificate_pem = "";
    EXPECT_NE(Try(**context, options), "ok") << name;
  }
}

// Two workers that verify, one bundle: what ThreadSanitizer should watch.
TEST_P(ClientAuthTest, AcrossThreads) {
  const std::string crl =
      MakeCrlPem({.issuer = "Root", .issuer_key_pem = Authority().root_key, .serials = {5, 9}});
  const auto context = Make(Required(Authority().root, crl));
  const std::string good = ClientPem({.serial = 4});
  const std::string revoked = ClientPem({.serial = 9});
  std::vector<std::thread> workers;
  for (int i = 0; i < 2; ++i) {
    workers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        Pair pair(With(good), context.get());
        EXPECT_EQ(pair.server->engine().client_certificate()->common_name, "test");
        EXPECT_NE(Try(*context, revoked), "ok");
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

TEST_P(ClientAuthTest, InPieces) {
  const auto context = Make(Required(Authority().root));
  for (const size_t piece : {size_t{1}, size_t{100}}) {
    Pair pair(With(ClientPem({})), context.get(), piece);
    EXPECT_TRUE(pair.server->engine().parameters().client_certificate.has_value());
  }
}

TEST(ClientAuthNames, TheListOfCasGoesOutUnlessItIsLong) {
  const auto names = [](const std::string& bundle) {
    const auto context = Make(Required(bundle));
    Server server(*context);
    TlsClientOptions options = OnlyVersion(kTls12);
    TlsClient client(options);
    EXPECT_FALSE(Shake(&server, &client));
    return sk_X509_NAME_num(SSL_get_client_CA_list(client.ssl()));
  };
  std::string bundle = Authority().root + Authority().middle;
  EXPECT_EQ(names(bundle), 2u);
  for (int i = 0; i < 200; ++i) {
    bundle += Authority().root;
  }
  EXPECT_EQ(names(bundle), 0u);
}

}  // namespace
}  // namespace sallyport::tls
