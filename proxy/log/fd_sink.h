// FdSink: where the writing thread puts lines. Waits for a slow reader, but not for ever.
#ifndef PROXY_LOG_FD_SINK_H_
#define PROXY_LOG_FD_SINK_H_

#include <spdlog/async_logger.h>  // thread_pool.h does not include what it needs.
#include <spdlog/details/null_mutex.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <cstdint>
#include <string_view>

#include "proxy/log/target.h"

namespace sallyport {

// spdlog's own stderr sink blocks in fwrite, so that a reader that stopped reading would keep the
// process from ending, and it loses lines on a descriptor that somebody made non-blocking.
class FdSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit FdSink(const LogTarget& target) : target_(target) {}
  ~FdSink() override;

  // MoveTo has what is written from now on go to `fd`, which is owned from here on. Any thread.
  void MoveTo(int fd);

  // The pool whose queue this sink is behind: tells how many lines were dropped. Null: no more.
  void set_pool(spdlog::details::thread_pool* pool) { pool_ = pool; }

  // From now on (any thread) a line that can't be written within a second is given up, and so are
  // all behind it.
  void BeginStop() { stopping_.store(true, std::memory_order_relaxed); }

  // Writes the line about dropped lines where one is due. After the writing thread has ended.
  void ReportDropped(uint64_t overrun);

  // Lines that were not written because of an error, or at a stop. Any thread.
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}  // Nothing is kept back.

  void WriteMessage(const spdlog::details::log_msg& message);
  void TakeNextFd();
  bool WriteAll(std::string_view bytes);
  bool WaitUntilWritable();

  LogTarget target_;
  std::atomic<int> next_fd_{-1};
  bool in_line_ = false;  // A full disk took only the beginning of the last line.
  spdlog::details::thread_pool* pool_ = nullptr;
  uint64_t reported_ = 0;  // Of the pool's overruns.
  spdlog::log_clock::time_point reported_at_{};
  int patience_ms_ = 1000;  // What is left of it while stopping.
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> lost_{0};
};

}  // namespace sallyport

#endif  // PROXY_LOG_FD_SINK_H_
