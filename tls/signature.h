// SignatureRequest: what a handshake wants signed with the certificate's key, as a value that can
// go to another thread.
#ifndef TLS_SIGNATURE_H_
#define TLS_SIGNATURE_H_

#include <openssl/base.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sallyport::tls {

// It holds a reference to the key, so it outlives the Engine and the Context that it came from.
class SignatureRequest {
 public:
  // TLS 1.2 signs two randoms and the parameters of a key exchange, 165 bytes with P-384; TLS 1.3
  // signs 98 bytes of its own and a transcript's hash, 146 bytes with SHA-384.
  static constexpr size_t kInputSizeMax = 256;

  // algorithm: of TLS's registry, one for RSA. REQUIRES: input.size() <= kInputSizeMax.
  SignatureRequest(EVP_PKEY* key, uint16_t algorithm, std::span<const uint8_t> input);
  ~SignatureRequest();
  SignatureRequest(SignatureRequest&&) noexcept;
  SignatureRequest& operator=(SignatureRequest&&) noexcept;

  // Sign makes the signature: RSA-PSS with a salt of the digest's length, or PKCS #1 v1.5, as the
  // algorithm says. For any thread, and any number of them at once. Empty: the library failed.
  std::vector<uint8_t> Sign() const;

  uint16_t algorithm() const { return algorithm_; }

 private:
  bssl::UniquePtr<EVP_PKEY> key_;
  uint16_t algorithm_;
  uint16_t input_size_;
  std::array<uint8_t, kInputSizeMax> input_;
};

}  // namespace sallyport::tls

#endif  // TLS_SIGNATURE_H_
