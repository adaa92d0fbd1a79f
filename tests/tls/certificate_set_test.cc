// Several certificates: which one a client gets.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::kTls12;
using tests::kTls13;
using tests::TestCertificate;

// Certificates collects pairs and makes a Context of them, the first added being the default.
class Certificates {
 public:
  // The subject is how a test tells what a client was given.
  Certificates& Add(const std::string& subject, const std::vector<std::string>& dns_names,
                    KeyType type = KeyType::kP256) {
    const std::string& key = tests::TestKeyPem(type);
    pems_.push_back(tests::MakeCertificatePem(key, {.subject = subject, .dns_names = dns_names}));
    pairs_.push_back({pems_.back(), key});
    return *this;
  }

  absl::StatusOr<std::unique_ptr<Context>> Create(
      std::shared_ptr<const TicketKeys> ticket_keys = nullptr) const {
    auto context = Context::Create({.certificate_pem = pairs_[0].certificate_pem,
                                    .private_key_pem = pairs_[0].private_key_pem,
                                    .now = tests::kTestNow,
                                    .more_certificates = {pairs_.begin() + 1, pairs_.end()},
                                    .ticket_keys = std::move(ticket_keys)});
    EXPECT_EQ(ERR_peek_error(), 0u);
    return context;
  }

  std::unique_ptr<Context> Make(std::shared_ptr<const TicketKeys> ticket_keys = nullptr) const {
    auto context = Create(std::move(ticket_keys));
    EXPECT_TRUE(context.ok()) << context.status();
    return *std::move(context);
  }

 private:
  std::deque<std::string> pems_;
  std::vector<PemPair> pairs_;
};

std::string SubjectOf(TlsClient* client) {
  bssl::UniquePtr<X509> x509(SSL_get_peer_certificate(client->ssl()));
  char cn[128] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(x509.get()), NID_commonName, cn, sizeof(cn));
  return cn;
}

// Given is the subject of the certificate that a client is given, or why it got none.
std::string Given(const Context& context, const TlsClientOptions& options) {
  Server server(context);
  TlsClient client(options);
  return Shake(&server, &client) ? SubjectOf(&client) : server.engine().error();
}

TlsClientOptions Naming(const std::string& sni) {
  TlsClientOptions options;
  options.sni = sni;
  return options;
}

std::string Given(const Context& context, const std::string& sni) {
  return Given(context, Naming(sni));
}

TEST(CertificateSet, ExactNames) {
  const auto context = Certificates()
                           .Add("first", {"a.example.com"})
                           .Add("second", {"b.example.com", "c.example.com"})
                           .Make();
  EXPECT_EQ(Given(*context, "a.example.com"), "first");
  EXPECT_EQ(Given(*context, "b.example.com"), "second");
  EXPECT_EQ(Given(*context, "c.example.com"), "second");
  EXPECT_EQ(Given(*context, ""), "first") << "no name at all";
  EXPECT_EQ(Given(*context, "d.example.com"), "first");
  EXPECT_EQ(Given(*context, "example.com"), "first");
  EXPECT_EQ(Given(*context, "xb.example.com"), "first");
  EXPECT_EQ(context->certificates().size(), 2u);
  EXPECT_EQ(context->certificates()[1].subject, "CN=second");
}

TEST(CertificateSet, CaseAndOneDotAtTheEndDoNotMatter) {
  const auto context = Certificates()
                           .Add("first", {"a.example.com"})
                           .Add("second", {"B.Example.COM"})
                           .Add("third", {"c.example.com."})
                           .Make();
  EXPECT_EQ(Given(*context, "b.example.com"), "second");
  EXPECT_EQ(Given(*context, "b.EXAMPLE.com."), "second");
  EXPECT_EQ(Given(*context, "c.example.com"), "third");
  EXPECT_EQ(Given(*context, "b.example.com.."), "first");
  EXPECT_EQ(Given(*context, "."), "first");
}

TEST(CertificateSet, AWildcardIsOneLabel) {
  const auto context = Certificates()
                           .Add("first", {"other.net"})
                           .Add("wild", {"*.example.com"})
                           .Add("exact", {"a.example.com"})
                           .Make();
  EXPECT_EQ(Given(*context, "a.example.com"), "exact") << "an exact name wins";
  EXPECT_EQ(Given(*context, "b.example.com"), "wild");
  EXPECT_EQ(Given(*context, "B.EXAMPLE.com."), "wild");
  EXPECT_EQ(Given(*context, "example.com"), "first");
  EXPECT_EQ(Given(*context, ".example.com"), "first");
  EXPECT_EQ(Given(*context, "a.b.example.com"), "first");
  EXPECT_EQ(Given(*context, "b.example.com.evil.org"), "first");
  EXPECT_EQ(Given(*context, "bexample.com"), "first");
}

TEST(CertificateSet, OtherStarsMatchNothing) {
  const auto context = Certificates()
                           .Add("first", {"other.net"})
                           .Add("second", {"*", "*.com", "f*.example.com", "a.*.example.com",
                                           "*.*.example.com", "**.example.com"})
                           .Make();
  for (const char* name : {"com", "example.com", "foo.example.com", "a.b.example.com",
                           "b.example.com", "f.example.com"}) {
    EXPECT_EQ(Given(*context, name), "first") << name;
  }
}

// Names in other scripts travel as their ASCII form; a wildcard stands for such a label too, and
// never for a part of it.
TEST(CertificateSet, InternationalisedNames) {
  const auto context = Certificates()
                           .Add("first", {"other.net"})
                           .Add("exact", {"xn--bcher-kva.example.com"})
                           .Add("wild", {"*.xn--mnchen-3ya.de"})
                           .Add("partial", {"xn--*.example.org"})
                           .Make();
  EXPECT_EQ(Given(*context, "XN--BCHER-KVA.example.com"), "exact");
  EXPECT_EQ(Given(*context, "xn--bcher-kva.xn--mnchen-3ya.de"), "wild");
  EXPECT_EQ(Given(*context, "xn--bcher-kva.example.org"), "first");
  EXPECT_EQ(Given(*context,
                  "b\xc3\xbc"
                  "cher.example.com"),
            "first");
}

TEST(CertificateSet, WithoutDnsNamesTheCommonNameCounts) {
  const auto context = Certificates()
                           .Add("a.example.com", {})
                           .Add("b.example.com", {})
                           .Add("c.example.com", {"d.example.com"})
                           .Make();
  EXPECT_EQ(Given(*context, "b.example.com"), "b.example.com");
  EXPECT_EQ(Given(*context, "d.example.com"), "c.example.com");
  EXPECT_EQ(Given(*context, "c.example.com"), "a.example.com");
}

TEST(CertificateSet, TheClientsSignatureAlgorithmsDecide) {
  const auto context = Certificates()
                           .Add("first", {"other.net"})
                           .Add("rsa", {"db.example.com"}, KeyType::kRsa2048)
                           .Add("ecdsa", {"db.example.com"}, KeyType::kP256)
                           .Add("ed25519", {"db.example.com"}, KeyType::kEd25519)
                           .Make();
  for (const uint16_t version : {kTls12, kTls13}) {
    TlsClientOptions options = OnlyVersion(version);
    options.sni = "db.example.com";
    EXPECT_EQ(Given(*context, options), "ecdsa");
    options.signatures = {SSL_SIGN_RSA_PSS_RSAE_SHA256};
    EXPECT_EQ(Given(*context, options), "rsa");
    options.signatures = {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_ED25519};
    EXPECT_EQ(Given(*context, options), "ed25519");
    options.signatures = {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_ECDSA_SECP256R1_SHA256};
    EXPECT_EQ(Given(*context, options), "ecdsa");
    options.sni = "";
    options.signatures = {SSL_SIGN_RSA_PSS_RSAE_SHA256};
    const std::string why = Given(*context, options);  // The newer library says the latter.
    EXPECT_TRUE(why == "NO_COMMON_SIGNATURE_ALGORITHMS" || why == "NO_SHARED_CIPHER") << why;
  }
}

// A client of TLS 1.2 says the same with its ciphers, and with its groups.
TEST(CertificateSet, InTls12CiphersAndGroupsDecideToo) {
  const auto context = Certificates()
                           .Add("p384", {"db.example.com"}, KeyType::kP384)
                           .Add("rsa", {"db.example.com"}, KeyType::kRsa2048)
                           .Make();
  TlsClientOptions options = OnlyVersion(kTls12);
  options.groups = "X25519:P-384";
  EXPECT_EQ(Given(*context, options), "p384");
  options.groups = "X25519:P-256";
  EXPECT_EQ(Given(*context, options), "rsa");
  options.groups = "";
  options.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
  EXPECT_EQ(Given(*context, options), "rsa");
}

TEST(CertificateSet, PairsAreFoundByDefaultAndAcrossAWildcardToo) {
  const auto context = Certificates()
                           .Add("ecdsa", {"db.example.com"})
                           .Add("rsa", {"*.example.com"}, KeyType::kRsa2048)
                           .Add("default's rsa", {"db.example.com"}, KeyType::kRsa2048)
                           .Add("wild", {"*.example.net"})
                           .Add("exact", {"db.example.net"}, KeyType::kRsa2048)
                           .Make();
  TlsClientOptions options;
  EXPECT_EQ(Given(*context, options), "ecdsa");
  options.signatures = {SSL_SIGN_RSA_PSS_RSAE_SHA256};
  EXPECT_EQ(Given(*context, options), "default's rsa");
  options.sni = "x.example.com";
  EXPECT_EQ(Given(*context, options), "rsa");
  options.signatures = {SSL_SIGN_ECDSA_SECP256R1_SHA256};
  options.sni = "db.example.net";
  EXPECT_EQ(Given(*context, options), "wild") << "the exact name has a key it can't verify";
}

TEST(CertificateSet, AmongEqualsTheFirst) {
  const auto context =
      Certificates().Add("first", {"db.example.com"}).Add("second", {"db.example.com"}).Make();
  EXPECT_EQ(Given(*context, "db.example.com"), "first");
}

TEST(CertificateSet, SaysWhichPairIsBad) {
  const std::string& key = tests::TestKeyPem(KeyType::kP256);
  const std::string good = tests::MakeCertificatePem(key, {});
  const auto bad = Context::Create({.certificate_pem = good,
                                    .private_key_pem = key,
                                    .now = tests::kTestNow,
                                    .more_certificates = {{good, key}, {good, ""}}});
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().message(),
            "pair 3: no private key in the PEM: it holds no PEM block at all");
}

class ScopeTest : public ::testing::TestWithParam<uint16_t> {
 protected:
  TlsClientOptions Options(const std::string& sni, const Bytes& ticket = {}) {
    TlsClientOptions options = OnlyVersion(GetParam());
    options.sni = sni;
    options.session = ticket;
    return options;
  }
  Bytes Ticket(const Context& context, const std::string& sni) {
    Pair pair(Options(sni), &context);
    return pair.client->session();
  }
  bool Resumes(const Context& context, const std::string& sni, const Bytes& ticket) {
    Pair pair(Options(sni, ticket), &context);
    EXPECT_EQ(pair.client->resumed(), pair.server->engine().parameters().resumed);
    return pair.client->resumed();
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, ScopeTest, ::testing::Values(kTls12, kTls13));

TEST_P(ScopeTest, ATicketIsForItsCertificatesNames) {
  const auto context = Certificates()
                           .Add("first", {"a.example.com"})
                           .Add("second", {"b.example.com", "c.example.com"})
                           .Make();
  const Bytes a = Ticket(*context, "a.example.com");
  const Bytes b = Ticket(*context, "b.example.com");
  EXPECT_TRUE(Resumes(*context, "a.example.com", a));
  EXPECT_TRUE(Resumes(*context, "", a)) << "the default is the same certificate";
  EXPECT_FALSE(Resumes(*context, "b.example.com", a));
  EXPECT_TRUE(Resumes(*context, "b.example.com", b));
  EXPECT_TRUE(Resumes(*context, "c.example.com", b));
  EXPECT_FALSE(Resumes(*context, "a.example.com", b));
  EXPECT_FALSE(Resumes(*context, "", b));
}

// Another certificate for the same names: renewed, or another machine's. Nor does the order matter.
TEST_P(ScopeTest, ATicketOutlivesItsCertificate) {
  const std::shared_ptr<const TicketKeys> keys = TicketKeys::Make(tests::kTestNow);
  const auto before = Certificates()
                          .Add("old", {"a.example.com", "b.example.com"})
                          .Add("else", {"c.example.com"})
                          .Make(keys);
  const auto after = Certificates()
                         .Add("else", {"c.example.com"})
                         .Add("new", {"a.example.com", "b.example.com"}, KeyType::kP384)
                         .Make(keys);
  const auto fewer = Certificates().Add("new", {"a.example.com"}).Make(keys);
  const Bytes ticket = Ticket(*before, "a.example.com");
  EXPECT_TRUE(Resumes(*after, "a.example.com", ticket));
  EXPECT_FALSE(Resumes(*after, "c.example.com", ticket));
  EXPECT_FALSE(Resumes(*fewer, "a.example.com", ticket));
}

// Two workers and two names: what ThreadSanitizer should watch.
TEST(CertificateSet, AcrossThreads) {
  const auto context =
      Certificates().Add("first", {"a.example.com"}).Add("second", {"*.example.com"}).Make();
  std::vector<std::thread> workers;
  for (int i = 0; i < 2; ++i) {
    workers.emplace_back([&] {
      for (int round = 0; round < 30; ++round) {
        EXPECT_EQ(Given(*context, "a.example.com"), "first");
        EXPECT_EQ(Given(*context, "b.example.com"), "second");
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

TEST(CertificateSet, AnEngineOutlivesItsContext) {
  auto context =
      Certificates().Add("first", {"a.example.com"}).Add("second", {"b.example.com"}).Make();
  Pair first(Naming("a.example.com"), context.get());
  Pair second(Naming("b.example.com"), context.get());
  Server begun(*context);
  context.reset();
  TlsClient client(Naming("b.example.com"));
  EXPECT_TRUE(Shake(&begun, &client));
  EXPECT_EQ(SubjectOf(&client), "second");
  EXPECT_EQ(SendToServer(&first, ToBytes("still")), ToBytes("still"));
  EXPECT_EQ(SendToClient(&second, ToBytes("here")), ToBytes("here"));
}

}  // namespace
}  // namespace sallyport::tls
