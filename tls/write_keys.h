// WriteKeys: what encrypts the next record that one side of a connection sends, taken out of the
// library for somebody else who goes on sending in its place (the kernel).
#ifndef TLS_WRITE_KEYS_H_
#define TLS_WRITE_KEYS_H_

#include <openssl/base.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace sallyport::tls {

enum class Aead : uint8_t { kAes128Gcm, kAes256Gcm, kChaCha20Poly1305 };

// WriteKeys wipes itself when it goes. Copies are as secret.
struct WriteKeys {
  static constexpr size_t kKeySizeMax = 32;
  static constexpr size_t kIvSize = 12;

  WriteKeys() = default;
  ~WriteKeys();
  WriteKeys(const WriteKeys&) = default;
  WriteKeys& operator=(const WriteKeys&) = default;

  std::span<const uint8_t> key() const { return std::span(key_bytes).first(key_size); }

  Aead aead = Aead::kAes128Gcm;
  bool tls13 = false;
  size_t key_size = 0;
  std::array<uint8_t, kKeySizeMax> key_bytes{};
  // The record's nonce is iv XOR sequence (of 8 bytes, behind 4 zeros); but with AES-GCM of TLS 1.2
  // it is iv[0..4), the salt, and 8 bytes that go along in each record: there iv[4..12) has the
  // next record's, which is its sequence number as the library chose it before.
  std::array<uint8_t, kIvSize> iv{};
  uint64_t sequence = 0;  // Of the next record.
};

// ControlRecord is a record that isn't data: an alert, or a KeyUpdate, which has the keys of all
// that follows it.
struct ControlRecord {
  static constexpr uint8_t kAlert = 21;
  static constexpr uint8_t kHandshake = 22;
  static constexpr size_t kSizeMax = 8;  // An alert has 2 bytes, a KeyUpdate 5.

  uint8_t type = 0;
  uint8_t size = 0;
  std::array<uint8_t, kSizeMax> content{};
  std::optional<WriteKeys> next_keys{};

  std::span<const uint8_t> bytes() const { return std::span(content).first(size); }
};

// ReadWriteKeys takes the sending side's out of a connection whose handshake is over. None where
// its version or cipher is none of the above, or the library gives no keys away. REQUIRES: nothing
// that is to be sent is held back in `ssl`, for the sequence number counts that not yet.
std::optional<WriteKeys> ReadWriteKeys(const SSL* ssl);

// The two ways in which the versions make keys, for their tests: RFC 8446, 7.3, from a traffic
// secret; and the server's part of TLS 1.2's key block (RFC 5246, 6.3). `out->aead` says how much
// is needed; false where the secret can't be expanded or the block has another size.
bool ExpandTrafficSecret(std::span<const uint8_t> secret, const EVP_MD* digest, WriteKeys* out);
bool TakeServerKeys(std::span<const uint8_t> key_block, WriteKeys* out);
// KeyBlockSize: of TLS 1.2, both sides.
size_t KeyBlockSize(Aead aead);

}  // namespace sallyport::tls

#endif  // TLS_WRITE_KEYS_H_
