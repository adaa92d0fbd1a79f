#include "bench/lib/auth.h"

#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <span>

#include "packet/wire.h"

namespace sallyport::bench {
namespace {

using Sha1 = std::array<uint8_t, SHA_DIGEST_LENGTH>;
using Sha256 = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

template <typename Digest>
void Hash(std::span<const uint8_t> first, std::span<const uint8_t> second, Digest* out) {
  if constexpr (sizeof(Digest) == SHA_DIGEST_LENGTH) {
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, first.data(), first.size());
    SHA1_Update(&context, second.data(), second.size());
    SHA1_Final(out->data(), &context);
  } else {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, first.data(), first.size());
    SHA256_Update(&context, second.data(), second.size());
    SHA256_Final(out->data(), &context);
  }
}

// Both plugins send H(password) XOR H(of the nonce and H(H(password))); they differ in the hash and
// in which of the two comes first.
template <typename Digest>
std::vector<uint8_t> Mask(std::string_view password, const packet::Nonce& nonce, bool nonce_first) {
  Digest once, twice, mask;
  Hash(packet::AsBytes(password), {}, &once);
  Hash(once, {}, &twice);
  if (nonce_first) {
    Hash(nonce, twice, &mask);
  } else {
    Hash(twice, nonce, &mask);
  }
  std::vector<uint8_t> scramble(once.begin(), once.end());
  for (size_t i = 0; i < scramble.size(); ++i) {
    scramble[i] ^= mask[i];
  }
  return scramble;
}

}  // namespace

std::vector<uint8_t> Scramble(std::string_view plugin, std::string_view password,
                              const packet::Nonce& nonce) {
  if (password.empty()) {
    return {};
  }
  return plugin == kNativePlugin ? Mask<Sha1>(password, nonce, /*nonce_first=*/true)
                                 : Mask<Sha256>(password, nonce, /*nonce_first=*/false);
}

}  // namespace sallyport::bench
