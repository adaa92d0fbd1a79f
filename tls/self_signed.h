// A certificate for those who bring none: it encrypts, and proves nothing.
#ifndef TLS_SELF_SIGNED_H_
#define TLS_SELF_SIGNED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::tls {

struct CertificatePair {
  std::string certificate_pem;
  std::string private_key_pem;  // Wipe after use.
};

// MakeSelfSigned makes an ECDSA P-256 key and an X.509 v3 certificate (v1 is refused by several
// clients) for `names`, DNS names or IP addresses as text, valid from an hour before `now` (Unix
// seconds) for `days`. It is no CA, serves servers only, and verifies against itself.
// kInvalidArgument when there is no name or one is neither; kInternal when the library fails.
absl::StatusOr<CertificatePair> MakeSelfSigned(const std::vector<std::string>& names, int64_t now,
                                               int days);

}  // namespace sallyport::tls

#endif  // TLS_SELF_SIGNED_H_
