#include "proxy/log/escape.h"

#include <algorithm>

namespace sallyport {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool IsPlain(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '='; }

void AppendHex(char c, std::string* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  const unsigned char byte = static_cast<unsigned char>(c);
  *out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

}  // namespace

bool HasControls(std::string_view text) { return std::any_of(text.begin(), text.end(), IsControl); }

std::string EscapeControls(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (IsControl(c)) {
      AppendHex(c, &escaped);
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string QuotedForLog(std::string_view text, size_t size_max) {
  const std::string_view shown = text.substr(0, size_max);
  const bool cut = shown.size() < text.size();
  const bool plain = !cut && !shown.empty() && std::all_of(shown.begin(), shown.end(), IsPlain);
  if (plain) return std::string(shown);
  std::string quoted = "\"";
  for (const char c : shown) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (c == ' ' || c == '=' || IsPlain(c)) {
      quoted += c;
    } else {
      AppendHex(c, &quoted);
    }
  }
  return quoted + (cut ? "\"..." : "\"");
}

}  // namespace sallyport
