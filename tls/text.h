// Words of an operator's or a client's text. In std::string_view, which Debian's abseil can't take.
// Private to tls/.
#ifndef TLS_TEXT_H_
#define TLS_TEXT_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::tls {

inline std::string ToLower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

// SplitAt cuts `text` at each `separator`, and blanks and line ends off both sides of each piece.
inline std::vector<std::string_view> SplitAt(std::string_view text, char separator) {
  constexpr std::string_view kBlank = " \t\r\n";
  std::vector<std::string_view> pieces;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    std::string_view piece = text.substr(begin, end - begin);
    piece.remove_prefix(std::min(piece.find_first_not_of(kBlank), piece.size()));
    piece = piece.substr(0, piece.find_last_not_of(kBlank) + 1);
    pieces.push_back(piece);
    begin = end + 1;
  }
  return pieces;
}

}  // namespace sallyport::tls

#endif  // TLS_TEXT_H_
