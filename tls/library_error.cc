#include "tls/library_error.h"

#include <openssl/err.h>

#include <cstdint>

namespace sallyport::tls {

std::string TakeLibraryError() {
  // The first error is the deepest, and the deepest of the TLS code tells an operator more than the
  // cipher or ASN.1 code below it: DECRYPTION_FAILED_OR_BAD_RECORD_MAC rather than BAD_DECRYPT.
  uint32_t best = 0;
  std::string more;
  const char* data = nullptr;
  int flags = 0;
  while (const uint32_t error = ERR_get_error_line_data(nullptr, nullptr, &data, &flags)) {
    if (ERR_GET_LIB(error) == ERR_LIB_USER) {
      more = std::string(": ") + data;
    } else if (best == 0 ||
               (ERR_GET_LIB(best) != ERR_LIB_SSL && ERR_GET_LIB(error) == ERR_LIB_SSL)) {
      best = error;
    }
  }
  const char* reason = best == 0 ? nullptr : ERR_reason_error_string(best);
  return (reason == nullptr ? "UNKNOWN" : reason) + more;
}

void AddReason(const char* reason) {
  ERR_put_error(ERR_LIB_USER, 0, 1, __FILE__, __LINE__);
  ERR_add_error_data(1, reason);
}

LibraryErrors::~LibraryErrors() { ERR_clear_error(); }

}  // namespace sallyport::tls
