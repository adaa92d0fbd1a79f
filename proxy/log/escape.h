// Escapes that keep text of unknown origin on one line.
#ifndef PROXY_LOG_ESCAPE_H_
#define PROXY_LOG_ESCAPE_H_

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

}  // namespace sallyport

#endif  // PROXY_LOG_ESCAPE_H_
