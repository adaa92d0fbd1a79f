#include "tls/write_keys.h"

#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "tls/library_error.h"
#include "tls/secret.h"

namespace sallyport::tls {
namespace {

constexpr size_t kSaltSize = 4;  // AES-GCM's part of the key block of TLS 1.2.

size_t KeySize(Aead aead) { return aead == Aead::kAes128Gcm ? 16 : 32; }

size_t Tls12IvSize(Aead aead) {
  return aead == Aead::kChaCha20Poly1305 ? WriteKeys::kIvSize : kSaltSize;
}

std::optional<Aead> AeadOf(const SSL_CIPHER* cipher) {
  switch (SSL_CIPHER_get_cipher_nid(cipher)) {
    case NID_aes_128_gcm:
      return Aead::kAes128Gcm;
    case NID_aes_256_gcm:
      return Aead::kAes256Gcm;
    case NID_chacha20_poly1305:
      return Aead::kChaCha20Poly1305;
    default:
      return std::nullopt;
  }
}

// HKDF-Expand-Label with an empty context.
bool ExpandLabel(std::span<const uint8_t> secret, const EVP_MD* digest, std::string_view label,
                 std::span<uint8_t> out) {
  constexpr std::string_view kPrefix = "tls13 ";
  std::vector<uint8_t> info;
  info.reserve(4 + kPrefix.size() + label.size());
  info.push_back(static_cast<uint8_t>(out.size() >> 8));
  info.push_back(static_cast<uint8_t>(out.size()));
  info.push_back(static_cast<uint8_t>(kPrefix.size() + label.size()));
  info.insert(info.end(), kPrefix.begin(), kPrefix.end());
  info.insert(info.end(), label.begin(), label.end());
  info.push_back(0);
  return HKDF_expand(out.data(), out.size(), digest, secret.data(), secret.size(), info.data(),
                     info.size());
}

// AES-GCM of TLS 1.2: the nonce that goes along is the sequence number, as in the library.
void SetExplicitNonce(WriteKeys* keys) {
  for (size_t i = 0; i < sizeof(keys->sequence); ++i) {
    keys->iv[WriteKeys::kIvSize - 1 - i] = static_cast<uint8_t>(keys->sequence >> (8 * i));
  }
}

bool ReadTls13(const SSL* ssl, WriteKeys* out) {
  const int hash = SSL_CIPHER_get_prf_nid(SSL_get_current_cipher(ssl));
  bssl::Span<const uint8_t> read;
  bssl::Span<const uint8_t> write;
  return bssl::SSL_get_traffic_secrets(ssl, &read, &write) &&
         ExpandTrafficSecret({write.data(), write.size()},
                             hash == NID_sha384 ? EVP_sha384() : EVP_sha256(), out);
}

bool ReadTls12(const SSL* ssl, WriteKeys* out) {
  Secret block(KeyBlockSize(out->aead));
  if (SSL_get_key_block_len(ssl) != block.bytes().size() ||
      !SSL_generate_key_block(ssl, block.bytes().data(), block.bytes().size()) ||
      !TakeServerKeys(block.bytes(), out)) {
    return false;
  }
  if (out->aead != Aead::kChaCha20Poly1305) {
    SetExplicitNonce(out);
  }
  return true;
}

}  // namespace

WriteKeys::~WriteKeys() {
  Wipe(key_bytes);
  Wipe(iv);
}

size_t KeyBlockSize(Aead aead) { return 2 * (KeySize(aead) + Tls12IvSize(aead)); }

bool ExpandTrafficSecret(std::span<const uint8_t> secret, const EVP_MD* digest, WriteKeys* out) {
  out->tls13 = true;
  out->key_size = KeySize(out->aead);
  return ExpandLabel(secret, digest, "key", std::span(out->key_bytes).first(out->key_size)) &&
         ExpandLabel(secret, digest, "iv", out->iv);
}

// client_write_key, server_write_key, client_write_IV, server_write_IV; an AEAD has no MAC keys.
bool TakeServerKeys(std::span<const uint8_t> key_block, WriteKeys* out) {
  out->tls13 = false;
  out->key_size = KeySize(out->aead);
  const size_t iv_size = Tls12IvSize(out->aead);
  if (key_block.size() != 2 * (out->key_size + iv_size)) {
    return false;
  }
  const std::span<const uint8_t> key = key_block.subspan(out->key_size, out->key_size);
  const std::span<const uint8_t> iv = key_block.last(iv_size);
  std::copy(key.begin(), key.end(), out->key_bytes.begin());
  std::copy(iv.begin(), iv.end(), out->iv.begin());
  return true;
}

std::optional<WriteKeys> ReadWriteKeys(const SSL* ssl) {
  LibraryErrors errors;
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  const std::optional<Aead> aead = cipher == nullptr ? std::nullopt : AeadOf(cipher);
  if (!aead.has_value() || SSL_in_init(ssl)) {
    return std::nullopt;
  }
  WriteKeys keys;
  keys.aead = *aead;
  keys.sequence = SSL_get_write_sequence(ssl);
  const int version = SSL_version(ssl);
  const bool read = version == TLS1_3_VERSION   ? ReadTls13(ssl, &keys)
                    : version == TLS1_2_VERSION ? ReadTls12(ssl, &keys)
                                                : false;
  return read ? std::optional(keys) : std::nullopt;
}

}  // namespace sallyport::tls
