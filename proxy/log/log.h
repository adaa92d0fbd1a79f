// The log: one line an event on stderr, written by a thread of its own.
//   2026-11-21T09:00:00.123Z info  client left id=7 user="o'hara" reason=idle_timeout
#ifndef PROXY_LOG_LOG_H_
#define PROXY_LOG_LOG_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport {

struct LogOptions {
  std::string_view level = "info";  // "debug", "info", "warning", "error": that and what is worse.
  int fd = 2;                       // Not closed.
  size_t lines_max = 8192;          // Waiting to be written; then the oldest are dropped.
};

// StartLog starts the writing thread. An unknown level counts as "info". Lines logged before it, or
// after StopLog, go nowhere. REQUIRES: not started.
void StartLog(const LogOptions& options);
void StartLog(std::string_view level);

// SetLogLevel changes the level. Any thread. Nothing where the log is not started.
void SetLogLevel(std::string_view level);

// StopLog writes what waits and ends the thread. When nobody reads the other end of stderr it gives
// up after a second: a stuck log must not keep the process alive.
void StopLog();

// Any thread, never blocks on the writing: where lines come faster than they can be written, the
// oldest waiting are dropped, and a line says how many. Control bytes in `text` are escaped, so
// that it stays one line whatever it holds.
void LogDebug(std::string_view text);
void LogInfo(std::string_view text);
void LogWarning(std::string_view text);
void LogError(std::string_view text);

// LogLinesDropped counts the lines dropped since the process began.
uint64_t LogLinesDropped();

// Line builds `event key=value key=value`. A value is quoted and escaped where it holds anything
// but printable ASCII, or a space, quote, backslash or '=', or is empty: what a client or a server
// made up (a user name, an error message) can neither end the line nor pass for another key. Bytes
// over 127 are escaped too, because nothing tells their character set. Values are cut after 256
// bytes (the cut shows as "..." behind the closing quote).
class Line {
 public:
  explicit Line(std::string_view event) : text_(event) {}

  Line& Add(std::string_view key, std::string_view value);
  Line& Add(std::string_view key, std::integral auto value) {
    return AddPlain(key, std::to_string(value));
  }
  Line& Add(std::string_view key, bool value) { return AddPlain(key, value ? "true" : "false"); }
  Line& Add(std::string_view key, const char* value) { return Add(key, std::string_view(value)); }

  const std::string& text() const { return text_; }
  operator std::string_view() const { return text_; }

 private:
  Line& AddPlain(std::string_view key, std::string_view value);

  std::string text_;
};

}  // namespace sallyport

#endif  // PROXY_LOG_LOG_H_
