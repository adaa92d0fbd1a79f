// The RSA form in which caching_sha2_password and sha256_password carry a password over plaintext:
// RSAES-OAEP (SHA-1, MGF1, no label) of (password NUL) XOR nonce, the nonce repeated.
// Source: MySQL's "Caching_sha2_password information"; bytes in packet/auth.h.
#ifndef TLS_RSA_PASSWORD_H_
#define TLS_RSA_PASSWORD_H_

#include <openssl/base.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tls/secret.h"

namespace sallyport::tls {

inline constexpr size_t kPasswordNonceSize = 20;
// Keys of these sizes are accepted from a server: smaller ones protect nothing, larger ones only
// burn this worker's time. The ciphertext is as long as the modulus.
inline constexpr size_t kServerKeyBitsMin = 1024;
inline constexpr size_t kServerKeyBitsMax = 8192;
inline constexpr size_t kRsaCiphertextSizeMax = kServerKeyBitsMax / 8;

enum class EncryptResult {
  kOk,
  kBadKey,           // Not a PEM "PUBLIC KEY" of RSA, or a size outside the bounds above.
  kOtherKey,         // Not the one that is expected.
  kPasswordTooLong,  // OAEP-SHA-1 carries modulus - 42 bytes; 214 with 2048 bits, NUL included.
};

// ServerKey is a server's RSA public key as an operator knows it, to hold against the one that the
// server sends. Immutable; all threads may use it at once.
class ServerKey {
 public:
  // Parse: kInvalidArgument where EncryptPassword would say kBadKey.
  static absl::StatusOr<std::unique_ptr<ServerKey>> Parse(std::string_view public_key_pem);
  ~ServerKey();

  // is: the same modulus and exponent, however it is written down.
  bool is(const EVP_PKEY& key) const;

 private:
  explicit ServerKey(bssl::UniquePtr<EVP_PKEY> key);

  const bssl::UniquePtr<EVP_PKEY> key_;
};

// EncryptPassword encrypts `password` (its final NUL included) for `public_key_pem` and writes the
// ciphertext to `out`, its size to `*out_size`. expected: null, or the only key that will do.
// REQUIRES: out.size() >= kRsaCiphertextSizeMax.
EncryptResult EncryptPassword(std::string_view public_key_pem, std::span<const uint8_t> password,
                              std::span<const uint8_t, kPasswordNonceSize> nonce,
                              std::span<uint8_t> out, size_t* out_size,
                              const ServerKey* expected = nullptr);

// PasswordKey is the proxy's own RSA-2048 pair, for plaintext clients in front of a unix-socket
// server: such a server takes any packet as the password and answers no request for a key.
// Immutable after Generate; all threads may use it at once.
class PasswordKey {
 public:
  static absl::StatusOr<std::unique_ptr<PasswordKey>> Generate();
  ~PasswordKey();

  // public_key_pem: "-----BEGIN PUBLIC KEY-----..." as a MySQL server sends it.
  const std::string& public_key_pem() const { return public_key_pem_; }

  // Decrypt returns the password with its final NUL; an empty Secret when `ciphertext` is no
  // ciphertext of this key or holds no NUL-terminated password.
  Secret Decrypt(std::span<const uint8_t> ciphertext,
                 std::span<const uint8_t, kPasswordNonceSize> nonce) const;

 private:
  PasswordKey();

  bssl::UniquePtr<EVP_PKEY> key_;
  std::string public_key_pem_;
};

}  // namespace sallyport::tls

#endif  // TLS_RSA_PASSWORD_H_
