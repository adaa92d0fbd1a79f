// PEM text cut into its blocks. Private to tls/.
#ifndef TLS_PEM_H_
#define TLS_PEM_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tls/secret.h"

namespace sallyport::tls {

struct PemBlock {
  std::string label;       // "CERTIFICATE", "EC PRIVATE KEY", ...
  bool encrypted = false;  // In the old way: a header in the block says so.
  Secret der;
};

bool IsCertificate(const PemBlock& block);

// ReadPem returns the blocks of `text` in order; text between them is skipped. An empty list when
// there are none; kInvalidArgument when a block is damaged.
absl::StatusOr<std::vector<PemBlock>> ReadPem(std::string_view text);

}  // namespace sallyport::tls

#endif  // TLS_PEM_H_
