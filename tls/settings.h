// Settings: the versions, ciphers and groups that a Context agrees to.
#ifndef TLS_SETTINGS_H_
#define TLS_SETTINGS_H_

#include <openssl/base.h>

#include <string_view>

#include "absl/status/status.h"

namespace sallyport::tls {

struct Settings {
  // "1.2" or "1.3", also as "TLSv1.2" and "TLSv1.3".
  std::string_view version_min = "1.2";
  std::string_view version_max = "1.3";

  // For TLS 1.2, in our order, separated by ':', in OpenSSL's or the standard's names. Empty:
  // AES-128-GCM, then ChaCha20-Poly1305, then AES-256-GCM. (TLS 1.3 has these three only, and the
  // library leaves no choice: it takes the client's order, or ChaCha20 without AES instructions.)
  std::string_view ciphers = {};

  // Of the key exchange, in our order, separated by ':': X25519MLKEM768, X25519, P-256, P-384,
  // P-521 (also prime256v1, secp256r1, secp384r1, secp521r1). Empty: the first four, less the first
  // where this build's BoringSSL has none.
  std::string_view groups = {};
};

// ApplySettings sets `ctx` up. kInvalidArgument, with a message for the operator that quotes the
// bad word, when: a version, cipher or group is unknown or can't be served, a list has nothing or
// the same twice, or the versions are the wrong way round.
absl::Status ApplySettings(const Settings& settings, SSL_CTX* ctx);

// CheckSettings says what ApplySettings would.
absl::Status CheckSettings(const Settings& settings);

// CheckCiphersFit is kInvalidArgument where TLS 1.2 is allowed, and none of `ctx`'s ciphers for it
// goes with a key that signs with ECDSA or Ed25519 (`ecdsa`), nor with an RSA key (`rsa`).
absl::Status CheckCiphersFit(const SSL_CTX* ctx, bool ecdsa, bool rsa);

}  // namespace sallyport::tls

#endif  // TLS_SETTINGS_H_
