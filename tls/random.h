// FillRandom: bytes that nobody can guess.
#ifndef TLS_RANDOM_H_
#define TLS_RANDOM_H_

#include <cstdint>
#include <span>

namespace sallyport::tls {

// FillRandom fills `out` from the library's generator. Any thread. It never fails.
void FillRandom(std::span<uint8_t> out);

}  // namespace sallyport::tls

#endif  // TLS_RANDOM_H_
