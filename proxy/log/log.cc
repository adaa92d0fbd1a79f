#include "proxy/log/log.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/pattern_formatter.h>

#include <atomic>
#include <cassert>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "proxy/log/escape.h"
#include "proxy/log/fd_sink.h"

namespace sallyport {
namespace {

// UTC, because the logs of several machines are read side by side. The journal has time and level
// beside the text.
constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %-5l %v";
constexpr char kJsonPattern[] = "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",\"level\":\"%l\",%v}";
constexpr char kJournalPattern[] = "%v";

// What exists between StartLog and StopLog. spdlog's registry is not used: it would hand the logger
// to whoever asks for it by name, and tear it down at exit in an order of its own.
struct Log {
  std::shared_ptr<FdSink> sink;
  std::shared_ptr<spdlog::async_logger> logger;
  std::shared_ptr<spdlog::details::thread_pool>
      pool;  // Ends first, so that its thread frees nobody.

  uint64_t dropped() const { return pool->overrun_counter() + sink->lost(); }
};

// The lock is held shared for the time of a push into the queue, exclusively to start and to stop.
std::shared_mutex log_mutex;
std::unique_ptr<Log> current_log;         // Guarded by log_mutex.
std::atomic<uint64_t> dropped_before{0};  // By logs that have ended.

spdlog::level::level_enum Level(std::string_view name) {
  if (name == "debug") return spdlog::level::debug;
  if (name == "warning") return spdlog::level::warn;
  if (name == "error") return spdlog::level::err;
  return spdlog::level::info;
}

const char* Pattern(const LogOptions& options) {
  if (options.format == LogFormat::kJson) return kJsonPattern;
  return options.target.journal ? kJournalPattern : kTextPattern;
}

// Makes the queue and its thread. The thread takes no signals: they are the main thread's business,
// and a reader that is gone is an error of write there, no SIGPIPE.
std::shared_ptr<spdlog::details::thread_pool> MakePool(size_t lines_max) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // A new thread inherits the mask.
  auto pool = std::make_shared<spdlog::details::thread_pool>(
      lines_max, 1, [] { pthread_setname_np(pthread_self(), "log"); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pool;
}

void Write(spdlog::level::level_enum level, std::string_view text) {
  const std::shared_lock lock(log_mutex);
  if (current_log == nullptr || !current_log->logger->should_log(level)) return;
  if (!HasControls(text)) {
    current_log->logger->log(level, spdlog::string_view_t(text.data(), text.size()));
  } else {
    const std::string escaped = EscapeControls(text);
    current_log->logger->log(level, spdlog::string_view_t(escaped.data(), escaped.size()));
  }
}

// In JSON the text has to become a member first.
void WriteRaw(spdlog::level::level_enum level, std::string_view text) {
  if (LineFormat() == LogFormat::kText) return Write(level, text);
  Write(level, Line(text).text());
}

}  // namespace

void StartLog(const LogOptions& options) {
  auto log = std::make_unique<Log>();
  SetLineFormat(options.format);
  log->sink = std::make_shared<FdSink>(options.target);
  log->pool = MakePool(options.lines_max);
  log->sink->set_pool(log->pool.get());
  log->logger = std::make_shared<spdlog::async_logger>(
      "sallyport", log->sink, log->pool, spdlog::async_overflow_policy::overrun_oldest);
  log->logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      Pattern(options), spdlog::pattern_time_type::utc));
  log->logger->set_level(Level(options.level));

  const std::unique_lock lock(log_mutex);
  assert(current_log == nullptr);
  current_log = std::move(log);
}

void MoveLog(const LogTarget& target) {
  const std::shared_lock lock(log_mutex);
  if (current_log != nullptr) current_log->sink->MoveTo(target.fd);
}

void SetLogLevel(std::string_view level) {
  const std::shared_lock lock(log_mutex);
  if (current_log != nullptr) current_log->logger->set_level(Level(level));
}

void StopLog() {
  std::unique_ptr<Log> log;
  uint64_t counted = 0;
  {
    const std::unique_lock lock(log_mutex);
    if (current_log == nullptr) return;
    log = std::move(current_log);
    // Counted here, so that LogLinesDropped never goes back; what follows is added below.
    counted = log->dropped();
    dropped_before += counted;
  }
  log->sink->BeginStop();
  const std::shared_ptr<FdSink> sink = log->sink;
  const uint64_t overrun = log->pool->overrun_counter();  // Nobody can add to the queue now.
  log.reset();                                            // Writes what waits, joins the thread.
  sink->set_pool(nullptr);
  sink->ReportDropped(overrun);
  dropped_before += overrun + sink->lost() - counted;
}

void LogDebug(std::string_view text) { WriteRaw(spdlog::level::debug, text); }
void LogInfo(std::string_view text) { WriteRaw(spdlog::level::info, text); }
void LogWarning(std::string_view text) { WriteRaw(spdlog::level::warn, text); }
void LogError(std::string_view text) { WriteRaw(spdlog::level::err, text); }
void LogDebug(const Line& line) { Write(spdlog::level::debug, line.text()); }
void LogInfo(const Line& line) { Write(spdlog::level::info, line.text()); }
void LogWarning(const Line& line) { Write(spdlog::level::warn, line.text()); }
void LogError(const Line& line) { Write(spdlog::level::err, line.text()); }

uint64_t LogLinesDropped() {
  const std::shared_lock lock(log_mutex);
  return dropped_before + (current_log == nullptr ? 0 : current_log->dropped());
}

}  // namespace sallyport
