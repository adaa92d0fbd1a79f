// CertificateInfo: what a certificate says, for logs and metrics.
#ifndef TLS_CERTIFICATE_INFO_H_
#define TLS_CERTIFICATE_INFO_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::tls {

struct CertificateInfo {
  std::string subject;                 // "CN=db.example.com", control characters escaped.
  std::vector<std::string> dns_names;  // As they stand in subjectAltName.
  std::string common_name;             // Empty without, or where there is more than one.
  std::string key_type;                // "ECDSA P-256", "RSA 2048", "Ed25519".
  int64_t not_after = 0;               // Of the leaf, in Unix seconds.
  int64_t chain_not_after = 0;         // Of whichever of the chain expires first.
  size_t chain_length = 0;
};

}  // namespace sallyport::tls

#endif  // TLS_CERTIFICATE_INFO_H_
