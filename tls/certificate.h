// Reads and checks a certificate chain and its key before they serve anybody. Private to tls/.
#ifndef TLS_CERTIFICATE_H_
#define TLS_CERTIFICATE_H_

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tls/certificate_info.h"

namespace sallyport::tls {

struct Chain {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> der;  // Leaf first, as it goes over the wire.
  std::vector<bssl::UniquePtr<X509>> certificates;  // The same, parsed.
};

// Each returns kInvalidArgument with a message for the operator; Context::Create's contract lists
// what is looked at.
absl::StatusOr<Chain> ReadChain(std::string_view pem);
absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> ReadPrivateKey(std::string_view pem);
absl::Status CheckKeyIsLeafs(const Chain& chain, const EVP_PKEY* key);
absl::Status CheckOrder(const Chain& chain);
absl::Status CheckValidity(const Chain& chain, int64_t now);

// Describe tells what logs and metrics say about the chain. REQUIRES: the checks above passed.
CertificateInfo Describe(const Chain& chain, const EVP_PKEY* key);

// NamesDigest is a SHA-256 over the leaf's names: subjectAltName, or the subject without one.
std::string NamesDigest(const Chain& chain);

}  // namespace sallyport::tls

#endif  // TLS_CERTIFICATE_H_
