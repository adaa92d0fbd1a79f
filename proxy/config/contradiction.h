// Contradiction: options that are each good but do not go together.
#ifndef PROXY_CONFIG_CONTRADICTION_H_
#define PROXY_CONFIG_CONTRADICTION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/config/config.h"

namespace sallyport {

struct Contradiction {
  std::string_view option;  // The one to name,
  std::string what;         // why,
  // and whose it is, of config.listeners; otherwise the process's.
  size_t listener = SIZE_MAX;
};

// FindContradiction returns the first one, in the order of the listeners.
std::optional<Contradiction> FindContradiction(const Config& config);

}  // namespace sallyport

#endif  // PROXY_CONFIG_CONTRADICTION_H_
