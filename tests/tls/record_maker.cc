#include "tests/tls/record_maker.h"

#include <openssl/aead.h>

#include <algorithm>

#include "packet/check.h"

namespace sallyport::tls {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kHeader = 5;
constexpr size_t kExplicitNonce = 8;
constexpr size_t kTag = 16;

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

RecordMaker::Nonce RecordMaker::NextNonce() const {
  Nonce nonce = keys_.iv;
  if (!explicit_nonce()) {
    for (size_t i = 0; i < 8; ++i) nonce[11 - i] ^= static_cast<uint8_t>(keys_.sequence >> (8 * i));
  }
  return nonce;
}

// What is authenticated beside the content. TLS 1.3: the record's header.
Bytes RecordMaker::Additional(std::span<const uint8_t> header, size_t content_size) const {
  if (keys_.tls13) return Bytes(header.begin(), header.end());
  Bytes additional;
  Append(keys_.sequence, 8, &additional);
  additional.insert(additional.end(), header.begin(), header.begin() + 3);
  Append(content_size, 2, &additional);
  return additional;
}

void RecordMaker::Advance() {
  ++keys_.sequence;
  if (!explicit_nonce()) return;
  for (size_t i = WriteKeys::kIvSize; i-- > 4 && ++keys_.iv[i] == 0;) {
  }
}

void RecordMaker::Seal(uint8_t type, std::span<const uint8_t> plain, Bytes* out) {
  const Nonce nonce = NextNonce();
  Bytes content(plain.begin(), plain.end());
  if (keys_.tls13) content.push_back(type);
  Bytes header;
  Append(keys_.tls13 ? kData : type, 1, &header);
  Append(0x0303, 2, &header);
  Append(content.size() + kTag + (explicit_nonce() ? kExplicitNonce : 0), 2, &header);
  const Bytes additional = Additional(header, content.size());
  Bytes sealed(content.size() + kTag);
  size_t size = 0;
  bssl::ScopedEVP_AEAD_CTX aead;
  SALLYPORT_CHECK(EVP_AEAD_CTX_init(aead.get(), Of(keys_.aead), keys_.key().data(),
                                    keys_.key().size(), kTag, nullptr));
  SALLYPORT_CHECK(EVP_AEAD_CTX_seal(aead.get(), sealed.data(), &size, sealed.size(), nonce.data(),
                                    nonce.size(), content.data(), content.size(), additional.data(),
                                    additional.size()));
  out->insert(out->end(), header.begin(), header.end());
  if (explicit_nonce()) out->insert(out->end(), nonce.begin() + 4, nonce.end());
  out->insert(out->end(), sealed.begin(), sealed.end());
  Advance();
}

bool RecordMaker::Open(std::span<const uint8_t> record, Bytes* plain) {
  const size_t skipped = kHeader + (explicit_nonce() ? kExplicitNonce : 0);
  if (record.size() < skipped + kTag || record[0] != kData) return false;
  Nonce nonce = NextNonce();
  if (explicit_nonce()) {
    // Any will do, as long as the record brings it along.
    std::copy_n(record.begin() + kHeader, kExplicitNonce, nonce.begin() + 4);
  }
  const std::span<const uint8_t> sealed = record.subspan(skipped);
  const Bytes additional = Additional(record.first(kHeader), sealed.size() - kTag);
  Bytes content(sealed.size());
  size_t size = 0;
  bssl::ScopedEVP_AEAD_CTX aead;
  if (!EVP_AEAD_CTX_init(aead.get(), Of(keys_.aead), keys_.key().data(), keys_.key().size(), kTag,
                         nullptr) ||
      !EVP_AEAD_CTX_open(aead.get(), content.data(), &size, content.size(), nonce.data(),
                         nonce.size(), sealed.data(), sealed.size(), additional.data(),
                         additional.size())) {
    return false;
  }
  content.resize(size);
  if (keys_.tls13) {
    if (content.empty() || content.back() != kData) return false;
    content.pop_back();
  }
  plain->insert(plain->end(), content.begin(), content.end());
  Advance();
  return true;
}

}  // namespace sallyport::tls
