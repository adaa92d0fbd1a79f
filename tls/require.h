// Require stops the process where a caller broke a contract (REQUIRES in our headers): going on
// could lose bytes of a stream, or write past memory, and nobody would know. Never for bytes from
// the network. Private to tls/. (Debian 12's abseil has no ABSL_CHECK yet.)
#ifndef TLS_REQUIRE_H_
#define TLS_REQUIRE_H_

#include <cstdio>
#include <cstdlib>

namespace sallyport::tls {

inline void Require(bool condition, const char* what) {
  if (!condition) [[unlikely]] {
    std::fprintf(stderr, "sallyport: contract broken: %s\n", what);
    std::abort();
  }
}

}  // namespace sallyport::tls

#endif  // TLS_REQUIRE_H_
