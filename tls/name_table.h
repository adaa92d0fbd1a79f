// NameTable: what belongs to the names that clients ask for by SNI.
#ifndef TLS_NAME_TABLE_H_
#define TLS_NAME_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tls/text.h"

namespace sallyport::tls {

// NormalName is how names are compared: in lower case, less one dot at the end.
inline std::string NormalName(std::string_view name) {
  if (name.ends_with('.')) {
    name.remove_suffix(1);
  }
  return ToLower(name);
}

// NameTable is filled once and then only read: lookups take no lock and no memory.
//
// As RFC 6125 has it: ASCII case doesn't matter, nor does one dot at the end; a wildcard is the
// whole left-most label and stands for exactly one label ("*.example.com" is for a.example.com,
// neither for example.com nor for a.b.example.com), with at least two labels behind it; other stars
// match nothing. Internationalised names are in their ASCII form (xn--...) on both sides, and are
// letters like others.
template <typename Value>
class NameTable {
 public:
  // At is the value of a normal name, made where it is new; null: the name is none, or has a star
  // that matches nothing. Valid as long as the table.
  Value* At(const std::string& name) {
    const ptrdiff_t stars = std::count(name.begin(), name.end(), '*');
    if (stars == 0 && !name.empty()) {
      return &exact_[name];
    }
    if (stars == 1 && name.starts_with("*.") && name.find('.', 2) != std::string::npos) {
      return &wildcards_[name.substr(2)];
    }
    return nullptr;
  }

  // Both look for what a client asks for, a normal name. Null: nothing.
  const Value* FindExact(std::string_view name) const { return Find(exact_, name); }
  const Value* FindWildcard(std::string_view name) const {
    const size_t dot = name.find('.');
    return dot == 0 || dot == std::string_view::npos ? nullptr
                                                     : Find(wildcards_, name.substr(dot + 1));
  }

 private:
  // Found by a std::string_view, without a copy.
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  using Values = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  static const Value* Find(const Values& values, std::string_view name) {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : &found->second;
  }

  Values exact_;
  Values wildcards_;  // By what is behind "*.".
};

}  // namespace sallyport::tls

#endif  // TLS_NAME_TABLE_H_
