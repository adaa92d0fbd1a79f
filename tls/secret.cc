#include "tls/secret.h"

#include <openssl/mem.h>

#include <utility>

namespace sallyport::tls {

void Wipe(std::span<uint8_t> bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

Secret::Secret(std::span<const uint8_t> bytes) : bytes_(bytes.begin(), bytes.end()) {}

Secret::Secret(size_t size) : bytes_(size) {}

Secret::~Secret() { Wipe(bytes_); }

Secret::Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    Clear();
    bytes_ = std::exchange(other.bytes_, {});
  }
  return *this;
}

void Secret::Clear() {
  Wipe(bytes_);
  std::vector<uint8_t>().swap(bytes_);  // clear() would keep the memory.
}

}  // namespace sallyport::tls
