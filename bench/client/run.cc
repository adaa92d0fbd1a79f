#include "bench/client/run.h"

namespace sallyport::bench {

void Run::Begin(Phase phase, uint64_t now_ns) {
  if (phase == Phase::kWarmup) {
    start_ns_ = now_ns;
  }
  phase_.store(phase, std::memory_order_release);
}

bool Run::Measured(size_t* index) const {
  const Phase now = phase();
  *index = now == Phase::kStorm ? 1 : 0;
  return now == Phase::kMeasure || now == Phase::kStorm;
}

void Run::NoteError(Tally* tally, const std::string& text) {
  Increase(&tally->errors, 1);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (first_error_.empty()) {
    first_error_ = text;
  }
}

std::string Run::first_error() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return first_error_;
}

void Run::NoteTls(const std::string& description) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (tls_description_.empty()) {
    tls_description_ = description;
  }
}

std::string Run::tls_description() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return tls_description_;
}

}  // namespace sallyport::bench
