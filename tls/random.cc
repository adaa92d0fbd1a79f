#include "tls/random.h"

#include <openssl/rand.h>

namespace sallyport::tls {

void FillRandom(std::span<uint8_t> out) {
  RAND_bytes(out.data(), out.size());  // Never fails; aborts.
}

}  // namespace sallyport::tls
