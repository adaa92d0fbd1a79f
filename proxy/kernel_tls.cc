#include "proxy/kernel_tls.h"

#include <linux/tls.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "tls/secret.h"

namespace sallyport {
namespace {

constexpr tls::Aead kAeads[] = {tls::Aead::kAes128Gcm, tls::Aead::kAes256Gcm,
                                tls::Aead::kChaCha20Poly1305};

const char* ToText(tls::Aead aead) {
  switch (aead) {
    case tls::Aead::kAes128Gcm:
      return "AES-128-GCM";
    case tls::Aead::kAes256Gcm:
      return "AES-256-GCM";
    case tls::Aead::kChaCha20Poly1305:
      return "ChaCha20-Poly1305";
  }
  return "";
}

// Each cipher has a struct of its own, with the same fields in the same places of their sizes.
// AES-GCM: salt and iv are the two parts of the nonce. ChaCha20: there is no salt.
template <typename Info>
size_t Write(const tls::WriteKeys& keys, uint16_t cipher, std::span<uint8_t> out) {
  Info info{};
  static_assert(sizeof(info.salt) + sizeof(info.iv) == tls::WriteKeys::kIvSize);
  info.info.version = keys.tls13 ? TLS_1_3_VERSION : TLS_1_2_VERSION;
  info.info.cipher_type = cipher;
  constexpr size_t kSaltSize = sizeof(info.salt);
  if constexpr (kSaltSize > 0) {
    std::memcpy(info.salt, keys.iv.data(), kSaltSize);
  }
  std::memcpy(info.iv, keys.iv.data() + kSaltSize, sizeof(info.iv));
  std::memcpy(info.key, keys.key().data(), std::min(keys.key_size, sizeof(info.key)));
  for (size_t i = 0; i < sizeof(info.rec_seq); ++i) {
    info.rec_seq[sizeof(info.rec_seq) - 1 - i] = static_cast<uint8_t>(keys.sequence >> (8 * i));
  }
  std::memcpy(out.data(), &info, sizeof(info));
  tls::Wipe({reinterpret_cast<uint8_t*>(&info), sizeof(info)});
  return sizeof(info);
}

}  // namespace

CryptoInfo::CryptoInfo(const tls::WriteKeys& keys) {
  static_assert(sizeof(tls12_crypto_info_aes_gcm_256) <= sizeof(memory_));
  static_assert(sizeof(tls12_crypto_info_chacha20_poly1305) <= sizeof(memory_));
  switch (keys.aead) {
    case tls::Aead::kAes128Gcm:
      size_ = Write<tls12_crypto_info_aes_gcm_128>(keys, TLS_CIPHER_AES_GCM_128, memory_);
      break;
    case tls::Aead::kAes256Gcm:
      size_ = Write<tls12_crypto_info_aes_gcm_256>(keys, TLS_CIPHER_AES_GCM_256, memory_);
      break;
    case tls::Aead::kChaCha20Poly1305:
      size_ =
          Write<tls12_crypto_info_chacha20_poly1305>(keys, TLS_CIPHER_CHACHA20_POLY1305, memory_);
      break;
  }
}

CryptoInfo::~CryptoInfo() { tls::Wipe(memory_); }

KernelTls KernelTls::Probe(const Prober& prober) {
  KernelTls found;
  std::string last;
  for (const bool tls13 : {false, true}) {
    for (const tls::Aead aead : kAeads) {
      tls::WriteKeys keys;  // All zeros: no record is ever made with them.
      keys.aead = aead;
      keys.tls13 = tls13;
      keys.key_size = aead == tls::Aead::kAes128Gcm ? 16 : 32;
      bool changes_keys = false;
      const absl::Status status = prober(CryptoInfo(keys).bytes(), tls13 ? &changes_keys : nullptr);
      if (status.ok()) {
        found.taken_ |= Bit(keys);
        if (changes_keys) found.changed_ |= Bit(keys);
        continue;
      }
      last = std::string(status.message());
      absl::StrAppend(&found.lacks_, found.lacks_.empty() ? "" : ", ",
                      tls13 ? "TLSv1.3" : "TLSv1.2", " with ", ToText(aead), ": ", last);
    }
  }
  if (!found.any()) found.lacks_ = last;  // One reason for all.
  return found;
}

}  // namespace sallyport
