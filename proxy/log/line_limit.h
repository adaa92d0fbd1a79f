// LineLimit: how many lines of a kind may be written, so that whoever causes them can't fill a
// disk.
#ifndef PROXY_LOG_LINE_LIMIT_H_
#define PROXY_LOG_LINE_LIMIT_H_

#include <algorithm>
#include <cstdint>
#include <utility>

namespace sallyport {

// A bucket of `burst` lines that gains `per_second`. One thread's.
class LineLimit {
 public:
  LineLimit(uint32_t burst, uint32_t per_second)
      : per_second_(per_second),
        thousandths_max_(burst * uint64_t{1000}),
        thousandths_(thousandths_max_) {}

  // Allow: whether a line may be written now; if not, it counts as left out. now_ms never goes
  // back.
  bool Allow(uint64_t now_ms) {
    const uint64_t passed_ms = std::min(now_ms - last_ms_, thousandths_max_);
    thousandths_ = std::min(thousandths_max_, thousandths_ + passed_ms * per_second_);
    last_ms_ = now_ms;
    if (thousandths_ < 1000) {
      ++left_out_;
      return false;
    }
    thousandths_ -= 1000;
    return true;
  }

  uint64_t left_out() const { return left_out_; }
  // TakeLeftOut is how many were left out since the last call.
  uint64_t TakeLeftOut() { return std::exchange(left_out_, 0); }

 private:
  const uint64_t per_second_;
  const uint64_t thousandths_max_;
  uint64_t thousandths_;  // Of lines.
  uint64_t last_ms_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace sallyport

#endif  // PROXY_LOG_LINE_LIMIT_H_
