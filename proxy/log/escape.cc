#include "proxy/log/escape.h"

#include <algorithm>
#include <bit>

namespace sallyport {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool IsPlain(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '='; }

void AppendHex(char c, std::string* out) {
  const unsigned char byte = static_cast<unsigned char>(c);
  *out += {'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
}

void AppendJsonUnit(uint32_t unit, std::string* out) {
  *out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) *out += kHexDigits[unit >> shift & 15];
}

void AppendJsonRune(uint32_t rune, std::string* out) {
  if (rune == '"' || rune == '\\') {
    *out += {'\\', static_cast<char>(rune)};
  } else if (rune >= ' ' && rune < 0x7f) {
    *out += static_cast<char>(rune);
  } else if (rune < 0x10000) {
    AppendJsonUnit(rune, out);
  } else {  // A pair of UTF-16's surrogates.
    AppendJsonUnit(0xd800 + ((rune - 0x10000) >> 10), out);
    AppendJsonUnit(0xdc00 + ((rune - 0x10000) & 0x3ff), out);
  }
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

std::string JsonString(std::string_view text, size_t size_max) {
  std::string_view shown = text.substr(0, size_max);
  std::string json = "\"";
  while (!shown.empty()) {
    uint32_t rune = 0;
    const size_t size = Utf8Size(shown, &rune);
    if (size > 0) {
      AppendJsonRune(rune, &json);
    } else {
      json += '\\';
      AppendHex(shown[0], &json);
    }
    shown.remove_prefix(size > 0 ? size : 1);
  }
  return json + (text.size() > size_max ? "...\"" : "\"");
}

size_t Utf8Size(std::string_view text, uint32_t* rune) {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t size = lead < 0x80 ? 1 : static_cast<size_t>(std::countl_one(lead));
  if (size > 4 || (size == 1 && lead >= 0x80) || text.size() < size) return 0;
  *rune = size == 1 ? lead : lead & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return 0;
    *rune = *rune << 6 | (next & 0x3f);
  }
  constexpr uint32_t kFirstOfSize[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool good =
      *rune >= kFirstOfSize[size] && *rune <= 0x10ffff && (*rune < 0xd800 || *rune >= 0xe000);
  return good ? size : 0;
}

}  // namespace sallyport
