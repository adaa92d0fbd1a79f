// The arithmetic of two authentication plugins, as a client and a server of MySQL both do it.
// Sources: MySQL's "Native Authentication" and "Caching_sha2_password information".
#ifndef BENCH_LIB_AUTH_H_
#define BENCH_LIB_AUTH_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "packet/greeting.h"

namespace sallyport::bench {

inline constexpr std::string_view kNativePlugin = "mysql_native_password";
inline constexpr std::string_view kSha2Plugin = "caching_sha2_password";

// Scramble is what a client answers to `nonce`; empty for an empty password.
// REQUIRES: `plugin` is one of the two above.
std::vector<uint8_t> Scramble(std::string_view plugin, std::string_view password,
                              const packet::Nonce& nonce);

}  // namespace sallyport::bench

#endif  // BENCH_LIB_AUTH_H_
