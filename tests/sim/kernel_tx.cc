#include "tests/sim/kernel_tx.h"

#include <linux/tls.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/sim/failure.h"

namespace sallyport::sim {
namespace {

template <typename Info>
std::optional<tls::WriteKeys> Read(tls::Aead aead, std::span<const uint8_t> bytes) {
  Info info;
  if (bytes.size() != sizeof(info)) return std::nullopt;
  std::memcpy(&info, bytes.data(), sizeof(info));
  tls::WriteKeys keys;
  keys.aead = aead;
  keys.tls13 = info.info.version == TLS_1_3_VERSION;
  keys.key_size = sizeof(info.key);
  std::copy(std::begin(info.key), std::end(info.key), keys.key_bytes.begin());
  constexpr size_t kSaltSize = sizeof(info.salt);  // ChaCha20 has none.
  if constexpr (kSaltSize > 0) std::copy_n(info.salt, kSaltSize, keys.iv.begin());
  std::copy(std::begin(info.iv), std::end(info.iv), keys.iv.begin() + kSaltSize);
  for (const uint8_t byte : info.rec_seq) keys.sequence = keys.sequence << 8 | byte;
  return keys;
}

}  // namespace

std::optional<tls::WriteKeys> KernelTx::ReadKeys(std::span<const uint8_t> crypto_info) {
  tls_crypto_info info;
  if (crypto_info.size() < sizeof(info)) return std::nullopt;
  std::memcpy(&info, crypto_info.data(), sizeof(info));
  if (info.version != TLS_1_2_VERSION && info.version != TLS_1_3_VERSION) return std::nullopt;
  switch (info.cipher_type) {
    case TLS_CIPHER_AES_GCM_128:
      return Read<tls12_crypto_info_aes_gcm_128>(tls::Aead::kAes128Gcm, crypto_info);
    case TLS_CIPHER_AES_GCM_256:
      return Read<tls12_crypto_info_aes_gcm_256>(tls::Aead::kAes256Gcm, crypto_info);
    case TLS_CIPHER_CHACHA20_POLY1305:
      return Read<tls12_crypto_info_chacha20_poly1305>(tls::Aead::kChaCha20Poly1305, crypto_info);
    default:
      return std::nullopt;
  }
}

uint8_t KernelTx::Bit(const tls::WriteKeys& keys) {
  return static_cast<uint8_t>(1 << (2 * static_cast<int>(keys.aead) + (keys.tls13 ? 1 : 0)));
}

void KernelTx::Add(std::string_view plain, bool open) {
  open_ += plain;
  for (; open_.size() > kRecordPlaintextMax; open_.erase(0, kRecordPlaintextMax)) {
    Seal(tls::RecordMaker::kData, std::string_view(open_).substr(0, kRecordPlaintextMax));
  }
  if (!open) Seal(tls::RecordMaker::kData, std::exchange(open_, {}));
}

void KernelTx::AddRecord(uint8_t type, std::string_view plain) {
  if (!open_.empty()) Seal(tls::RecordMaker::kData, std::exchange(open_, {}));
  Seal(type, plain);
}

void KernelTx::Seal(uint8_t type, std::string_view plain) {
  Require(!update_sent_, "a record under keys that a KeyUpdate has ended");
  std::vector<uint8_t> record;
  maker_.Seal(type, {reinterpret_cast<const uint8_t*>(plain.data()), plain.size()}, &record);
  waiting.append(record.begin(), record.end());
  constexpr char kKeyUpdate = 24;
  update_sent_ = type == tls::ControlRecord::kHandshake && plain.substr(0, 1)[0] == kKeyUpdate;
}

void KernelTx::ChangeKeys(const tls::WriteKeys& keys) {
  Require(update_sent_, "new keys without a KeyUpdate before them");
  Require(keys.tls13 && keys_.tls13 && keys.aead == keys_.aead && keys.sequence == 0,
          "new keys of another kind, or in use");
  Require(!std::ranges::equal(keys.key(), keys_.key()), "new keys are the old ones");
  keys_ = keys;
  maker_ = tls::RecordMaker(keys);
  update_sent_ = false;
}

}  // namespace sallyport::sim
