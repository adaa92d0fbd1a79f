// Which of the known names somebody meant.
#ifndef PROXY_CONFIG_NEAREST_H_
#define PROXY_CONFIG_NEAREST_H_

#include <cstddef>
#include <span>
#include <string_view>

namespace sallyport {

// EditDistance is how many edits turn `from` into `to`: one letter put in, left out, changed, or
// swapped with its neighbour.
size_t EditDistance(std::string_view from, std::string_view to);

// Nearest is the first of `names` with the smallest distance. REQUIRES: names is not empty.
std::string_view Nearest(std::string_view name, std::span<const std::string_view> names);

}  // namespace sallyport

#endif  // PROXY_CONFIG_NEAREST_H_
