// The certificate for those who bring none.
#include "tls/self_signed.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <string>

#include "absl/status/status.h"
#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::kTestDay;

// Clients look at the real clock.
const int64_t kNow = std::time(nullptr);

CertificatePair Make(const std::vector<std::string>& names) {
  absl::StatusOr<CertificatePair> pair = MakeSelfSigned(names, kNow, 30);
  EXPECT_TRUE(pair.ok()) << pair.status();
  EXPECT_EQ(ERR_peek_error(), 0u);
  return pair.ok() ? *std::move(pair) : CertificatePair();
}

bssl::UniquePtr<X509> Parse(const std::string& pem) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return bssl::UniquePtr<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

TEST(SelfSigned, IsOfVersion3AndNoCaAndForServers) {
  const bssl::UniquePtr<X509> x509 = Parse(Make({"localhost"}).certificate_pem);
  ASSERT_NE(x509, nullptr);
  EXPECT_EQ(X509_get_version(x509.get()), X509_VERSION_3);
  EXPECT_EQ(X509_check_ca(x509.get()), 0);
  EXPECT_EQ(X509_get_extended_key_usage(x509.get()), static_cast<uint32_t>(XKU_SSL_SERVER));
  EXPECT_EQ(X509_get_key_usage(x509.get()), UINT32_MAX) << "no keyUsage, see AddConstraints";
}

TEST(SelfSigned, ServesAndVerifiesAgainstItselfByNameAndAddress) {
  const std::vector<std::string> names = {"db.example.com", "127.0.0.1", "::1"};
  const CertificatePair pair = Make(names);
  const auto context = Context::Create({.certificate_pem = pair.certificate_pem,
                                        .private_key_pem = pair.private_key_pem,
                                        .now = kNow});
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ((*context)->certificate().key_type, "ECDSA P-256");
  EXPECT_EQ((*context)->certificate().subject, "CN=db.example.com");
  EXPECT_EQ((*context)->certificate().not_after, kNow + 30 * kTestDay);
  for (const std::string& name : names) {
    TlsClientOptions options;
    options.ca_pem = pair.certificate_pem;
    options.host = name;
    Server server(**context);
    TlsClient client(options);
    EXPECT_TRUE(Shake(&server, &client)) << name << ": " << client.error();
  }
  TlsClientOptions options;
  options.ca_pem = pair.certificate_pem;
  options.host = "other.example.com";
  Server server(**context);
  TlsClient client(options);
  EXPECT_FALSE(Shake(&server, &client));
  EXPECT_EQ(client.error(), "CERTIFICATE_VERIFY_FAILED");
}

TEST(SelfSigned, IsValidFromAnHourBefore) {
  const CertificatePair pair = Make({"localhost"});
  ContextOptions options{.certificate_pem = pair.certificate_pem,
                         .private_key_pem = pair.private_key_pem,
                         .now = kNow - 3600};
  EXPECT_TRUE(Context::Create(options).ok());
  options.now -= 1;
  EXPECT_FALSE(Context::Create(options).ok());
}

TEST(SelfSigned, IsNewEachTime) {
  const CertificatePair one = Make({"localhost"});
  const CertificatePair two = Make({"localhost"});
  EXPECT_NE(one.certificate_pem, two.certificate_pem);
  EXPECT_NE(one.private_key_pem, two.private_key_pem);
}

TEST(SelfSigned, ALongNameIsNoCommonName) {
  const std::string longest = std::string(60, 'a') + "." + std::string(60, 'b') + ".example.com";
  const CertificatePair pair = Make({longest});
  const auto context = Context::Create({.certificate_pem = pair.certificate_pem,
                                        .private_key_pem = pair.private_key_pem,
                                        .now = kNow});
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ((*context)->certificate().subject, "CN=sallyport");
  EXPECT_EQ((*context)->certificate().dns_names, std::vector<std::string>{longest});
}

TEST(SelfSigned, RefusesNamesThatAreNone) {
  for (const std::string& name : {std::string(), std::string("two words"), std::string("a,DNS:b"),
                                  std::string(254, 'a'), std::string("nul\0inside", 10),
                                  std::string("b\xc3\xbc"
                                              "cher.example")}) {
    EXPECT_EQ(MakeSelfSigned({name}, kNow, 30).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(MakeSelfSigned({}, kNow, 30).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace sallyport::tls
