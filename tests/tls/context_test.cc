// What an operator may bring, and what he is told when it's no good.
#include "tls/context.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <string>

#include "absl/status/status.h"
#include "tests/support/test_certs.h"
#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::kTestDay;
using tests::kTestNow;
using tests::MakeCertificatePem;
using tests::MakeKeyPem;
using tests::TestCertificate;
using tests::TestKeyPem;

const std::string& Key() { return TestKeyPem(KeyType::kP256); }
std::string Certificate() { return MakeCertificatePem(Key(), {.subject = "db"}); }

absl::StatusOr<std::unique_ptr<Context>> Create(const std::string& certificate,
                                                const std::string& key, int64_t now = kTestNow) {
  absl::StatusOr<std::unique_ptr<Context>> context =
      Context::Create({.certificate_pem = certificate, .private_key_pem = key, .now = now});
  EXPECT_EQ(ERR_peek_error(), 0u) << "the library's error queue isn't empty";
  return context;
}

// Why is the message of a refusal, and "accepted" where there is none.
std::string Why(const std::string& certificate, const std::string& key, int64_t now = kTestNow) {
  const absl::StatusOr<std::unique_ptr<Context>> context = Create(certificate, key, now);
  if (context.ok()) {
    return "accepted";
  }
  EXPECT_EQ(context.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(context.status().message());
}

// A CA, an intermediate and a leaf, each signed by the one before.
struct TestChain {
  std::string ca_key = MakeKeyPem(KeyType::kP256);
  std::string middle_key = MakeKeyPem(KeyType::kP384);
  std::string ca = MakeCertificatePem(ca_key, {.subject = "CA", .ca = true});
  std::string middle = MakeCertificatePem(
      middle_key, {.subject = "Middle", .ca = true, .issuer = "CA", .issuer_key_pem = ca_key});
  std::string leaf = MakeCertificatePem(
      Key(), {.subject = "db", .issuer = "Middle", .issuer_key_pem = middle_key});
};

TEST(Context, DescribesTheCertificate) {
  const std::string certificate = MakeCertificatePem(
      Key(), {.subject = "db.example.com", .dns_names = {"db.example.com", "*.db.example.com"}});
  const auto context = Create(certificate, Key());
  ASSERT_TRUE(context.ok()) << context.status();
  const CertificateInfo& info = (*context)->certificate();
  EXPECT_EQ(info.subject, "CN=db.example.com");
  EXPECT_EQ(info.dns_names, (std::vector<std::string>{"db.example.com", "*.db.example.com"}));
  EXPECT_EQ(info.key_type, "ECDSA P-256");
  EXPECT_EQ(info.not_after, kTestNow + kTestDay);
  EXPECT_EQ(info.chain_length, 1u);
}

// A chain is as good as its part that expires first, which need not be the leaf.
TEST(Context, TellsWhenTheChainExpires) {
  const TestChain chain;
  const auto whole = Create(chain.leaf + chain.middle, Key());
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ((*whole)->certificate().chain_not_after, kTestNow + kTestDay);
  const std::string middle = MakeCertificatePem(chain.middle_key, {.subject = "Middle",
                                                                   .not_after = kTestNow + 60,
                                                                   .ca = true,
                                                                   .issuer = "CA",
                                                                   .issuer_key_pem = chain.ca_key});
  const auto context = Create(chain.leaf + middle + chain.ca, Key());
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ((*context)->certificate().not_after, kTestNow + kTestDay);
  EXPECT_EQ((*context)->certificate().chain_not_after, kTestNow + 60);
}

TEST(Context, EscapesControlCharactersOfTheSubject) {
  const auto context = Create(MakeCertificatePem(Key(), {.subject = "db\nFAKE LOG LINE"}), Key());
  ASSERT_TRUE(context.ok());
  EXPECT_EQ((*context)->certificate().subject, "CN=db\\0AFAKE LOG LINE");
}

TEST(Context, NamesItsKeyTypes) {
  const std::pair<KeyType, const char*> types[] = {{KeyType::kP256, "ECDSA P-256"},
                                                   {KeyType::kP384, "ECDSA P-384"},
                                                   {KeyType::kP521, "ECDSA P-521"},
                                                   {KeyType::kRsa2048, "RSA 2048"},
                                                   {KeyType::kEd25519, "Ed25519"}};
  for (const auto& [type, name] : types) {
    EXPECT_EQ(MakeContext(type)->certificate().key_type, name);
  }
}

TEST(Context, ReadsKeysInAnyClothes) {
  const std::string& rsa = TestKeyPem(KeyType::kRsa2048);
  const std::string rsa_certificate = MakeCertificatePem(rsa, {});
  EXPECT_EQ(Why(rsa_certificate, rsa), "accepted");
  EXPECT_EQ(Why(rsa_certificate, tests::ToPkcs1Pem(rsa)), "accepted");
  EXPECT_EQ(Why(Certificate(), tests::ToSec1Pem(Key())), "accepted");
  // What `openssl ecparam -genkey` writes: the curve's name first.
  const std::string parameters =
      "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  EXPECT_EQ(Why(Certificate(), parameters + tests::ToSec1Pem(Key())), "accepted");
}

TEST(Context, ReadsKeyAndCertificateFromOneFileInAnyOrder) {
  EXPECT_EQ(Why(Key() + Certificate(), Key() + Certificate()), "accepted");
  EXPECT_EQ(Why(Certificate() + Key(), Certificate() + Key()), "accepted");
  const std::string notes = "subject=CN = db\nissuer=CN = db\n";
  EXPECT_EQ(Why(notes + Certificate(), notes + Key() + notes), "accepted");
}

TEST(Context, ReadsWindowsLineEnds) {
  std::string certificate;
  for (const char c : Certificate()) {
    certificate += c == '\n' ? std::string("\r\n") : std::string(1, c);
  }
  EXPECT_EQ(Why(certificate, Key()), "accepted");
}

TEST(Context, SendsTheChainToClients) {
  const TestChain chain;
  const auto context = Create(chain.leaf + chain.middle, Key());
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ((*context)->certificate().chain_length, 2u);
  EXPECT_EQ(Why(chain.leaf + chain.middle + chain.ca, Key()), "accepted");
  EXPECT_EQ(Why(chain.leaf, Key()), "accepted");
}

TEST(Context, RefusesAChainOutOfOrder) {
  const TestChain chain;
  const std::string message = "; the chain must be leaf first, each followed by its issuer";
  EXPECT_EQ(Why(chain.leaf + chain.ca + chain.middle, Key()),
            "certificate 2 (CN=CA) is not the issuer of certificate 1 (CN=db)" + message);
  EXPECT_EQ(Why(chain.leaf + chain.ca, Key()),
            "certificate 2 (CN=CA) is not the issuer of certificate 1 (CN=db)" + message);
  EXPECT_EQ(Why(chain.middle + chain.leaf, Key()),
            "the key belongs to certificate 2 (CN=db) of the chain; that one must come first");
}

// The name is right, and the key behind it another: a CA that was made anew.
TEST(Context, RefusesAChainThatWasNotSignedByItsNext) {
  const TestChain chain;
  const std::string impostor = MakeCertificatePem(
      TestKeyPem(KeyType::kP384),
      {.subject = "Middle", .ca = true, .issuer = "CA", .issuer_key_pem = chain.ca_key});
  const std::string why = Why(chain.leaf + impostor, Key());
  EXPECT_EQ(why.find("the signature in certificate 1 (CN=db) is not by certificate 2 (CN=Middle)"),
            0u)
      << why;
}

TEST(Context, RefusesAChainLargerThanAHandshakesRoom) {
  const std::string large = MakeCertificatePem(Key(), {.padding = 24 * 1024});
  const std::string why = Why(large, Key());
  EXPECT_EQ(why.find("the certificate chain has 24"), 0u) << why;
  EXPECT_NE(why.find("at most 24576 are sent to clients"), std::string::npos) << why;
}

// The largest chain that is accepted fits, with the largest signature and group.
TEST(Context, TheLargestChainFitsAHandshakesRoom) {
  const std::string& rsa = TestKeyPem(KeyType::kRsa2048);
  const std::string large = MakeCertificatePem(rsa, {.padding = 23 * 1024});
  const auto context = Create(large, rsa);
  ASSERT_TRUE(context.ok()) << context.status();
  for (const uint16_t version : {tests::kTls12, tests::kTls13}) {
    Server server(**context);
    TlsClient client(OnlyVersion(version));
    EXPECT_TRUE(Shake(&server, &client)) << server.engine().error() << client.error();
  }
}

TEST(Context, HoldsEachValidityPeriodAgainstTheClock) {
  const int64_t year = 365 * kTestDay;
  const std::string certificate =
      MakeCertificatePem(Key(), {.not_before = kTestNow, .not_after = kTestNow + year});
  EXPECT_EQ(Why(certificate, Key(), kTestNow - 1),
            "the certificate is not valid before 2026-01-01 00:00 UTC");
  EXPECT_EQ(Why(certificate, Key(), kTestNow), "accepted");
  EXPECT_EQ(Why(certificate, Key(), kTestNow + year), "accepted");
  EXPECT_EQ(Why(certificate, Key(), kTestNow + year + 1),
            "the certificate expired on 2027-01-01 00:00 UTC");

  const TestChain chain;
  const std::string old_middle =
      MakeCertificatePem(chain.middle_key, {.subject = "Middle",
                                            .not_after = kTestNow - 60,
                                            .ca = true,
                                            .issuer = "CA",
                                            .issuer_key_pem = chain.ca_key});
  EXPECT_EQ(Why(chain.leaf + old_middle, Key()),
            "certificate 2 (CN=Middle) expired on 2025-12-31 23:59 UTC");
}

TEST(Context, RefusesWhatIsNoCertificate) {
  EXPECT_EQ(Why("", Key()), "no certificate in the PEM: it holds no PEM block at all");
  EXPECT_EQ(Why("hello", Key()), "no certificate in the PEM: it holds no PEM block at all");
  EXPECT_EQ(Why(Key(), Key()), "no certificate in the PEM: it holds: PRIVATE KEY");
  EXPECT_EQ(Why("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", Key())
                .find("certificate 1 of the PEM can't be read: "),
            0u);
  std::string cut = Certificate();
  cut.resize(cut.size() / 2);
  EXPECT_EQ(Why(cut, Key()).find("the certificate can't be read: block 1 of the PEM is damaged: "),
            0u);
  EXPECT_EQ(Why(Certificate() + cut, Key())
                .find("the certificate can't be read: block 2 of the PEM is damaged: "),
            0u);
}

TEST(Context, RefusesWhatIsNoKey) {
  EXPECT_EQ(Why(Certificate(), ""), "no private key in the PEM: it holds no PEM block at all");
  EXPECT_EQ(Why(Certificate(), Certificate()), "no private key in the PEM: it holds: CERTIFICATE");
  EXPECT_EQ(Why(Certificate(), tests::ToPublicPem(Key())),
            "no private key in the PEM: it holds: PUBLIC KEY");
  EXPECT_EQ(Why(Certificate(), Key() + Key()), "more than one private key in the PEM");
  for (const char* label : {"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"}) {
    const std::string name = label;
    const std::string garbage = "-----BEGIN " + name + "-----\nAAAA\n-----END " + name + "-----\n";
    EXPECT_EQ(Why(Certificate(), garbage).find("the private key can't be read: "), 0u) << name;
  }
  std::string cut = Key();
  cut.resize(cut.size() / 2);
  EXPECT_EQ(Why(Certificate(), cut)
                .find("the private key can't be read: block 1 of the PEM is damaged: "),
            0u);
}

TEST(Context, RefusesAnEncryptedKeyAndSaysWhatToDo) {
  const std::string message =
      "the private key is encrypted; decrypt it first (openssl pkey -in KEY -out PLAIN_KEY)";
  EXPECT_EQ(Why(Certificate(), tests::ToEncryptedPkcs8Pem(Key())), message);
  const std::string& rsa = TestKeyPem(KeyType::kRsa2048);
  EXPECT_EQ(Why(MakeCertificatePem(rsa, {}), tests::ToEncryptedPkcs1Pem(rsa)), message);
}

TEST(Context, RefusesAKeyThatIsNotTheCertificates) {
  EXPECT_EQ(Why(Certificate(), MakeKeyPem(KeyType::kP256)),
            "the key does not match the certificate (CN=db)");
  EXPECT_EQ(Why(Certificate(), TestKeyPem(KeyType::kRsa2048)),
            "the key does not match the certificate (CN=db)");
}

TEST(Context, RefusesWeakAndUnfitKeys) {
  const std::string& weak = TestKeyPem(KeyType::kRsa1024);
  EXPECT_EQ(Why(MakeCertificatePem(weak, {}), weak),
            "the RSA key has 1024 bits; at least 2048 are needed");
  const std::string& p224 = TestKeyPem(KeyType::kP224);
  EXPECT_EQ(Why(MakeCertificatePem(p224, {}), p224),
            "the private key is of a type TLS can't sign with here: use ECDSA (P-256, P-384, "
            "P-521), RSA or Ed25519");
}

}  // namespace
}  // namespace sallyport::tls
