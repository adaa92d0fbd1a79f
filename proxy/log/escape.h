// Escapes that keep text of unknown origin on one line.
#ifndef PROXY_LOG_ESCAPE_H_
#define PROXY_LOG_ESCAPE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport {

// Control bytes are those under 32, and 127.
bool HasControls(std::string_view text);

// EscapeControls writes control bytes as \x0a and leaves all else: the result is not for reading
// back.
std::string EscapeControls(std::string_view text);

// QuotedForLog is `text` as it is where it is one plain word of printable ASCII; else in quotes,
// with
// \" \\ and \x0a inside, and cut after size_max of its bytes (then "..." follows the quote).
std::string QuotedForLog(std::string_view text, size_t size_max);

// JsonString is `text` as a JSON string with its quotes, in ASCII alone: what is no UTF-8 shows as
// \xff in it. Cut after size_max of its bytes (then it ends in "...").
std::string JsonString(std::string_view text, size_t size_max);

// Utf8Size is how many bytes the first character of `text` takes (RFC 3629: shortest form, no
// surrogates, nothing past U+10FFFF), and its number in `*rune`; 0: none begins there.
size_t Utf8Size(std::string_view text, uint32_t* rune);

}  // namespace sallyport

#endif  // PROXY_LOG_ESCAPE_H_
