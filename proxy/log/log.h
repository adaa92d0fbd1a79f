// The log: one line an event, written by a thread of its own.
//   2026-11-21T09:00:00.123Z info  client left id=7 user="o'hara" reason=idle_timeout
#ifndef PROXY_LOG_LOG_H_
#define PROXY_LOG_LOG_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/log/line.h"
#include "proxy/log/target.h"

namespace sallyport {

struct LogOptions {
  std::string_view level = "info";  // "debug", "info", "warning", "error": that and what is worse.
  LogFormat format = LogFormat::kText;
  LogTarget target{};
  size_t lines_max = 8192;  // Waiting to be written; then the oldest are dropped.
};

// StartLog starts the writing thread. An unknown level counts as "info". Lines logged before it, or
// after StopLog, go nowhere. REQUIRES: not started.
void StartLog(const LogOptions& options);

// MoveLog has the lines that follow written to another file: after a rotation, to the new one of
// the same name. Any thread.
void MoveLog(const LogTarget& target);

// SetLogLevel changes the level. Any thread. Nothing where the log is not started.
void SetLogLevel(std::string_view level);

// StopLog writes what waits and ends the thread. When nobody reads the other end it gives up
// after a second: a stuck log must not keep the process alive.
void StopLog();

// Any thread, never blocks on the writing: where lines come faster than they can be written, the
// oldest waiting are dropped, and a line says how many. Control bytes in `text` are escaped, so
// that it stays one line whatever it holds.
void LogDebug(std::string_view text);
void LogInfo(std::string_view text);
void LogWarning(std::string_view text);
void LogError(std::string_view text);
void LogDebug(const Line& line);
void LogInfo(const Line& line);
void LogWarning(const Line& line);
void LogError(const Line& line);

// LogLinesDropped counts the lines dropped since the process began.
uint64_t LogLinesDropped();

}  // namespace sallyport

#endif  // PROXY_LOG_LOG_H_
