// What --version, the first log line and the metrics call this program.
#ifndef PROXY_CONFIG_VERSION_H_
#define PROXY_CONFIG_VERSION_H_

#include <string_view>

namespace sallyport {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace sallyport

#endif  // PROXY_CONFIG_VERSION_H_
