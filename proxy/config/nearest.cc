#include "proxy/config/nearest.h"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

namespace sallyport {
namespace {

// No option's name is near this; what is longer (an argument may have megabytes) is cut.
constexpr size_t kNameMax = 64;

}  // namespace

// Optimal string alignment: row i holds the distances of from's first i letters to to's first j.
size_t EditDistance(std::string_view from, std::string_view to) {
  from = from.substr(0, kNameMax);
  to = to.substr(0, kNameMax);
  std::vector<size_t> row_before(to.size() + 1), row_last(to.size() + 1), row(to.size() + 1);
  for (size_t j = 0; j <= to.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= from.size(); ++i) {
    std::swap(row_before, row_last);
    std::swap(row_last, row);
    row[0] = i;
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t change = row_last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({row_last[j] + 1, row[j - 1] + 1, change});
      const bool swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (swapped) row[j] = std::min(row[j], row_before[j - 2] + 1);
    }
  }
  return row[to.size()];
}

std::string_view Nearest(std::string_view name, std::span<const std::string_view> names) {
  assert(!names.empty());
  return *std::min_element(names.begin(), names.end(),
                           [name](std::string_view a, std::string_view b) {
                             return EditDistance(name, a) < EditDistance(name, b);
                           });
}

}  // namespace sallyport
