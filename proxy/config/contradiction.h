// Contradiction: options that are each good but do not go together.
#ifndef PROXY_CONFIG_CONTRADICTION_H_
#define PROXY_CONFIG_CONTRADICTION_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/config/config.h"

namespace sallyport {

struct Contradiction {
  std::string_view option;  // The one to name,
  std::string what;         // why,
  size_t listener;          // and whose it is, of config.listeners.
};

// FindContradiction returns the first one, in the order of the listeners.
std::optional<Contradiction> FindContradiction(const Config& config);

}  // namespace sallyport

#endif  // PROXY_CONFIG_CONTRADICTION_H_
