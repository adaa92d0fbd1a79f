// CAs and clients' certificates of theirs.
#ifndef TESTS_TLS_AUTHORITIES_H_
#define TESTS_TLS_AUTHORITIES_H_

#include <cstdint>
#include <string>

#include "tests/support/test_certs.h"

namespace sallyport::tls {

// Authorities are a root and a CA below it, each of which signs clients' certificates.
struct Authorities {
  static constexpr int64_t kEnd = tests::kTestNow + 3650 * tests::kTestDay;  // Of both.
  std::string root_key;
  std::string root;  // CN=Root.
  std::string middle_key;
  std::string middle;  // CN=Middle, serial number 2.
};

const Authorities& Authority();  // Made once.

// ClientPem makes a certificate of ClientKey's: by Root, unless it names another issuer.
const std::string& ClientKey();
std::string ClientPem(tests::TestCertificate certificate);
std::string ClientPemByMiddle(int64_t serial = 7);

}  // namespace sallyport::tls

#endif  // TESTS_TLS_AUTHORITIES_H_
