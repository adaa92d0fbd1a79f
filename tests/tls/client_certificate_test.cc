// What an operator is told of CAs and lists that are no good, and the rule that ties a certificate
// to a user.
#include "tls/client_certificate.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/tls/authorities.h"
#include "tests/tls/wire.h"
#include "tls/client_auth.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::kTestNow;
using tests::MakeCrlPem;

ClientAuthOptions Required(std::string_view ca, std::string_view crl = {}) {
  return {.mode = ClientCertificates::kRequired, .ca_pem = ca, .crl_pem = crl};
}

std::string Why(const ClientAuthOptions& options) {
  const auto auth = ClientAuth::Create(options, kTestNow);
  EXPECT_EQ(ERR_peek_error(), 0u) << "the library's error queue isn't empty";
  if (auth.ok()) {
    return "accepted";
  }
  EXPECT_EQ(auth.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(auth.status().message());
}

TEST(ClientAuthOptions, RefusesBadAuthorities) {
  EXPECT_EQ(Why(Required("")), "no CA certificate in the PEM");
  EXPECT_EQ(Why(Required(ClientKey())), "no CA certificate in the PEM");
  const std::string bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  EXPECT_EQ(Why(Required(Authority().root + bad)).find("CA certificate 2 can't be read: "), 0u);
  std::string cut = Authority().root;
  cut.resize(cut.size() / 2);
  EXPECT_EQ(Why(Required(cut)).find("the CA certificates can't be read: block 1 of the PEM is"),
            0u);
  ClientAuthOptions options = Required(Authority().root);
  for (const int depth : {-1, 17}) {
    options.depth = depth;
    EXPECT_EQ(Why(options), "the depth of client certificates is " + std::to_string(depth) +
                                "; it may be 0 to 16");
  }
}

TEST(ClientAuthOptions, RefusesBadLists) {
  const Authorities& authority = Authority();
  const auto why = [&](const std::string& crl) { return Why(Required(authority.root, crl)); };
  EXPECT_EQ(why("hello"), "no revocation list in the PEM");
  EXPECT_EQ(why("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
                .find("revocation list 1 can't be read: "),
            0u);
  std::string cut = MakeCrlPem({.issuer = "Root", .issuer_key_pem = authority.root_key});
  cut.resize(cut.size() / 2);
  EXPECT_EQ(why(cut).find("the revocation lists can't be read: block 1 of the PEM is damaged"), 0u);
  EXPECT_EQ(why(MakeCrlPem({.issuer = "Middle", .issuer_key_pem = authority.middle_key})),
            "revocation list 1 (CN=Middle) isn't signed by one of the CA certificates");
  EXPECT_EQ(why(MakeCrlPem({.issuer = "Root", .issuer_key_pem = authority.middle_key})),
            "revocation list 1 (CN=Root) isn't signed by one of the CA certificates");
  EXPECT_EQ(
      why(MakeCrlPem(
          {.issuer = "Root", .issuer_key_pem = authority.root_key, .next_update = kTestNow - 60})),
      "revocation list 1 (CN=Root) ran out on 2025-12-31 23:59 UTC");
  EXPECT_EQ(
      why(MakeCrlPem(
          {.issuer = "Root", .issuer_key_pem = authority.root_key, .this_update = kTestNow + 60})),
      "revocation list 1 (CN=Root) is not valid before 2026-01-01 00:01 UTC");
}

TEST(ClientCertificateRule, TiesACertificateToAUser) {
  ClientCertificate certificate;
  certificate.common_name = "alice";
  certificate.names = {{AlternativeName::Type::kDns, "app.example.com"},
                       {AlternativeName::Type::kEmail, "alice@example.com"},
                       {AlternativeName::Type::kUri, ""}};
  const auto allows = [&](UserRule rule, std::string_view user) {
    return ClientCertificateAllows(&certificate, rule, user);
  };
  EXPECT_TRUE(allows(UserRule::kNone, "bob"));
  EXPECT_TRUE(ClientCertificateAllows(nullptr, UserRule::kNone, "bob"));
  EXPECT_TRUE(allows(UserRule::kCommonName, "alice"));
  EXPECT_FALSE(allows(UserRule::kCommonName, "Alice"));
  EXPECT_FALSE(allows(UserRule::kCommonName, "alic"));
  EXPECT_FALSE(allows(UserRule::kCommonName, "alice "));
  EXPECT_FALSE(allows(UserRule::kCommonName, "app.example.com"));
  EXPECT_FALSE(ClientCertificateAllows(nullptr, UserRule::kCommonName, "alice"));
  EXPECT_TRUE(allows(UserRule::kDns, "app.example.com"));
  EXPECT_FALSE(allows(UserRule::kDns, "alice@example.com"));
  EXPECT_TRUE(allows(UserRule::kEmail, "alice@example.com"));
  EXPECT_FALSE(allows(UserRule::kEmail, "app.example.com"));
  EXPECT_FALSE(allows(UserRule::kEmail, "alice"));
  EXPECT_FALSE(allows(UserRule::kUri, "alice@example.com"));
  EXPECT_FALSE(allows(UserRule::kUri, ""));
  for (const UserRule rule : {UserRule::kDns, UserRule::kEmail, UserRule::kUri}) {
    EXPECT_FALSE(ClientCertificateAllows(nullptr, rule, ""));
    EXPECT_FALSE(ClientCertificateAllows(nullptr, rule, "alice"));
  }
  EXPECT_EQ(WhyRefused(nullptr, UserRule::kDns), "no client certificate was sent");
  EXPECT_EQ(WhyRefused(&certificate, UserRule::kCommonName),
            "the client certificate's CN is 'alice'");
  EXPECT_EQ(WhyRefused(&certificate, UserRule::kDns),
            "the client certificate's DNS name is 'app.example.com'");
  certificate.names.resize(1);
  EXPECT_EQ(WhyRefused(&certificate, UserRule::kEmail),
            "the client certificate has no e-mail address");
  certificate.common_name = "";
  EXPECT_FALSE(allows(UserRule::kCommonName, "")) << "the anonymous user is nobody's CN";
  EXPECT_EQ(WhyRefused(&certificate, UserRule::kCommonName),
            "the client certificate has no CN that could be one");
}

TEST(ClientCertificateRule, LongAndManyNamesAreLeftOut) {
  std::vector<std::string> names = {std::string(257, 'l'), "nul", "line\nend"};
  names[1].push_back('\0');
  for (int i = 0; i < 20; ++i) {
    names.push_back("n" + std::to_string(i));
  }
  const std::string pem = ClientPem({.subject = std::string(60, 'n'), .dns_names = names});
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const bssl::UniquePtr<X509> x509(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ClientCertificate certificate = ReadClientCertificate(x509.get());
  EXPECT_EQ(certificate.common_name, std::string(60, 'n'));
  ASSERT_EQ(certificate.names.size(), ClientCertificate::kNamesMax);
  EXPECT_EQ(certificate.names[0].value, "n0");
  EXPECT_EQ(certificate.names[15].value, "n15");

  // A subject of many parts, and with two CNs, of which nobody could say which is meant.
  X509_NAME* subject = X509_get_subject_name(x509.get());
  const std::string text(60, 'o');
  for (const char* part : {"CN", "O", "OU", "L", "ST", "OU", "OU", "OU", "OU", "OU", "OU"}) {
    ASSERT_TRUE(X509_NAME_add_entry_by_txt(subject, part, MBSTRING_ASC,
                                           reinterpret_cast<const uint8_t*>(text.data()),
                                           static_cast<int>(text.size()), -1, 0));
  }
  certificate = ReadClientCertificate(x509.get());
  EXPECT_EQ(certificate.subject.size(), ClientCertificate::kSubjectBytesMax);
  EXPECT_EQ(certificate.common_name, "");
}

}  // namespace
}  // namespace sallyport::tls
