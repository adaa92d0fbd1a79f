#include "tests/tls/record_maker.h"

#include <gtest/gtest.h>
#include <openssl/aead.h>

#include <algorithm>
#include <array>

namespace sallyport::tls {
namespace {

using Bytes = std::vector<uint8_t>;

const EVP_AEAD* Of(Aead aead) {
  switch (aead) {
    case Aead::kAes128Gcm:
      return EVP_aead_aes_128_gcm();
    case Aead::kAes256Gcm:
      return EVP_aead_aes_256_gcm();
    case Aead::kChaCha20Poly1305:
      return EVP_aead_chacha20_poly1305();
  }
  return nullptr;
}

void Append(uint64_t value, size_t size, Bytes* out) {
  while (size-- > 0) out->push_back(static_cast<uint8_t>(value >> (8 * size)));
}

}  // namespace

void RecordMaker::Seal(uint8_t type, std::span<const uint8_t> plain, Bytes* out) {
  constexpr size_t kTag = 16;
  const bool explicit_nonce = !keys_.tls13 && keys_.aead != Aead::kChaCha20Poly1305;
  std::array<uint8_t, WriteKeys::kIvSize> nonce = keys_.iv;
  if (!explicit_nonce) {
    for (size_t i = 0; i < 8; ++i) nonce[11 - i] ^= static_cast<uint8_t>(keys_.sequence >> (8 * i));
  }
  Bytes content(plain.begin(), plain.end());
  if (keys_.tls13) content.push_back(type);
  Bytes header;
  Append(keys_.tls13 ? kData : type, 1, &header);
  Append(0x0303, 2, &header);
  Append(content.size() + kTag + (explicit_nonce ? 8 : 0), 2, &header);
  Bytes additional = header;
  if (!keys_.tls13) {
    additional.clear();
    Append(keys_.sequence, 8, &additional);
    additional.insert(additional.end(), {type, 3, 3});
    Append(content.size(), 2, &additional);
  }
  Bytes sealed(content.size() + kTag);
  size_t size = 0;
  bssl::ScopedEVP_AEAD_CTX aead;
  ASSERT_TRUE(EVP_AEAD_CTX_init(aead.get(), Of(keys_.aead), keys_.key().data(), keys_.key().size(),
                                kTag, nullptr));
  ASSERT_TRUE(EVP_AEAD_CTX_seal(aead.get(), sealed.data(), &size, sealed.size(), nonce.data(),
                                nonce.size(), content.data(), content.size(), additional.data(),
                                additional.size()));
  out->insert(out->end(), header.begin(), header.end());
  if (explicit_nonce) out->insert(out->end(), nonce.begin() + 4, nonce.end());
  out->insert(out->end(), sealed.begin(), sealed.end());
  ++keys_.sequence;
  if (explicit_nonce) {
    for (size_t i = WriteKeys::kIvSize; i-- > 4 && ++keys_.iv[i] == 0;) {
    }
  }
}

}  // namespace sallyport::tls
