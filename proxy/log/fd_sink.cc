#include "proxy/log/fd_sink.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "proxy/log/line.h"

namespace sallyport {
namespace {

// A pipe that polls writable takes PIPE_BUF bytes without blocking, and as one piece.
constexpr size_t kWriteMax = 4096;

// How soon a wait notices that the log is to stop.
constexpr int kPollMs = 50;

// When all is written the thread sleeps this long before it waits for more. Without that each line
// of a busy proxy wakes it, which costs the worker that logs a system call and its CPU two context
// switches: a twelfth of what a short connection costs.
constexpr std::chrono::milliseconds kNap(10);

// syslog(3)'s numbers, which are the journal's.
int Priority(spdlog::level::level_enum level) {
  if (level >= spdlog::level::err) return 3;
  if (level == spdlog::level::warn) return 4;
  return level == spdlog::level::info ? 6 : 7;
}

}  // namespace

FdSink::~FdSink() {
  TakeNextFd();
  if (target_.owned) close(target_.fd);
}

void FdSink::MoveTo(int fd) {
  const int passed_over = next_fd_.exchange(fd);
  if (passed_over >= 0) close(passed_over);
}

void FdSink::TakeNextFd() {
  const int next = next_fd_.exchange(-1);
  if (next < 0) return;
  if (target_.owned) close(target_.fd);
  target_ = {.fd = next, .owned = true, .journal = target_.journal};
  // The same file again, or a new one?
  if (in_line_) in_line_ = lseek(next, 0, SEEK_END) != 0;
}

void FdSink::sink_it_(const spdlog::details::log_msg& message) {
  const uint64_t overrun = pool_ == nullptr ? reported_ : pool_->overrun_counter();
  // At most one a second: where lines are dropped, lines are what there is too much of.
  if (overrun != reported_ && message.time - reported_at_ >= std::chrono::seconds(1)) {
    ReportDropped(overrun);
  }
  WriteMessage(message);
  const bool more = pool_ == nullptr || pool_->queue_size() > 0;
  if (!more && !stopping_.load(std::memory_order_relaxed)) std::this_thread::sleep_for(kNap);
}

void FdSink::ReportDropped(uint64_t overrun) {
  if (overrun == reported_) return;
  const Line line = std::move(Line("log lines dropped").Add("count", overrun - reported_));
  reported_ = overrun;
  const spdlog::details::log_msg message("", spdlog::level::warn, line.text());
  reported_at_ = message.time;
  WriteMessage(message);
}

void FdSink::WriteMessage(const spdlog::details::log_msg& message) {
  TakeNextFd();
  spdlog::memory_buf_t line;
  if (target_.journal) {
    const std::string fields = "PRIORITY=" + std::to_string(Priority(message.level)) +
                               "\nSYSLOG_IDENTIFIER=sallyport\nMESSAGE=";
    line.append(fields.data(), fields.data() + fields.size());
  } else if (in_line_) {
    line.push_back('\n');
  }
  formatter_->format(message, line);
  if (!WriteAll(std::string_view(line.data(), line.size()))) {
    lost_.fetch_add(1, std::memory_order_relaxed);
  }
}

bool FdSink::WriteAll(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!WaitUntilWritable()) return false;
    const size_t size = target_.journal ? bytes.size() : std::min(bytes.size(), kWriteMax);
    const ssize_t count = write(target_.fd, bytes.data(), size);
    if (count > 0) {
      in_line_ = bytes[static_cast<size_t>(count) - 1] != '\n';
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (count < 0 && errno != EINTR && errno != EAGAIN) {
      return false;
    }
  }
  return true;
}

bool FdSink::WaitUntilWritable() {
  for (;;) {
    pollfd waiting = {.fd = target_.fd, .events = POLLOUT, .revents = 0};
    if (poll(&waiting, 1, kPollMs) > 0) return true;  // Errors too: write tells which.
    if (!stopping_.load(std::memory_order_relaxed)) continue;
    if (patience_ms_ <= 0) return false;
    patience_ms_ -= kPollMs;
  }
}

}  // namespace sallyport
