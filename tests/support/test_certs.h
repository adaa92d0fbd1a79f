// Keys and certificates for tests, made on the spot: good ones, and ones that must be refused.
#ifndef TESTS_SUPPORT_TEST_CERTS_H_
#define TESTS_SUPPORT_TEST_CERTS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::tests {

enum class KeyType { kP224, kP256, kP384, kP521, kRsa512, kRsa1024, kRsa2048, kEd25519 };

// 2026-01-01 00:00 UTC: the "now" of tests that need one, and the middle of the default validity.
inline constexpr int64_t kTestNow = 1767225600;
inline constexpr int64_t kTestDay = 86400;

// MakeKeyPem makes a new key, as PKCS#8. TestKeyPem returns one per type that is made once.
std::string MakeKeyPem(KeyType type);
const std::string& TestKeyPem(KeyType type);

// The same key in other clothes. Each REQUIRES a key of the kind.
std::string ToPkcs1Pem(const std::string& key_pem);
std::string ToSec1Pem(const std::string& key_pem);
std::string ToEncryptedPkcs8Pem(const std::string& key_pem);
std::string ToEncryptedPkcs1Pem(const std::string& key_pem);
std::string ToPublicPem(const std::string& key_pem);

struct TestCertificate {
  std::string subject = "test";  // Its CN.
  std::vector<std::string> dns_names = {"localhost"};
  int64_t not_before = kTestNow - kTestDay;
  int64_t not_after = kTestNow + kTestDay;
  bool ca = false;
  std::string issuer = "";          // CN of the issuer; empty: self-signed.
  std::string issuer_key_pem = "";  // With issuer.
  size_t padding = 0;               // Bytes of a comment extension, to make it large.
  int64_t serial = 1;
  std::vector<std::string> uris = {};    // In subjectAltName, behind the DNS names.
  std::vector<std::string> emails = {};  // Likewise.
  bool for_servers_only = false;         // By an extended key usage.
};

std::string MakeCertificatePem(const std::string& key_pem, const TestCertificate& certificate);

// MakeCrlPem makes a list of the serial numbers that `issuer` (a CN) has revoked.
struct TestCrl {
  std::string issuer;
  std::string issuer_key_pem;
  std::vector<int64_t> serials = {};
  int64_t this_update = kTestNow - kTestDay;
  int64_t next_update = kTestNow + kTestDay;
};

std::string MakeCrlPem(const TestCrl& crl);

}  // namespace sallyport::tests

#endif  // TESTS_SUPPORT_TEST_CERTS_H_
