// Line: what one log line says, as text or as JSON.
#ifndef PROXY_LOG_LINE_H_
#define PROXY_LOG_LINE_H_

#include <concepts>
#include <string>
#include <string_view>

namespace sallyport {

// kText: `event key=value key=value`. A value is quoted and escaped where it holds anything but
// printable ASCII, or a space, quote, backslash or '=', or is empty: what a client or a server made
// up (a user name, an error message) can neither end the line nor pass for another key. Bytes over
// 127 are escaped too, because nothing tells their character set.
// kJson: one object a line, {"time":...,"level":...,"event":...,"key":value}, in ASCII.
enum class LogFormat { kText, kJson };

// The format of lines that begin from now on. Any thread.
void SetLineFormat(LogFormat format);
LogFormat LineFormat();

// Values are cut after 256 bytes (the cut shows as "..." behind the closing quote; in JSON before
// it).
class Line {
 public:
  explicit Line(std::string_view event);

  Line& Add(std::string_view key, std::string_view value);
  Line& Add(std::string_view key, std::integral auto value) {
    return AddPlain(key, std::to_string(value));
  }
  Line& Add(std::string_view key, bool value) { return AddPlain(key, value ? "true" : "false"); }
  Line& Add(std::string_view key, const char* value) { return Add(key, std::string_view(value)); }

  // text is the line without time and level; in JSON the inside of the object behind them.
  const std::string& text() const { return text_; }

 private:
  Line& AddPlain(std::string_view key, std::string_view value);

  const LogFormat format_;
  std::string text_;
};

}  // namespace sallyport

#endif  // PROXY_LOG_LINE_H_
