// Spin: whether to look for completions for a moment before blocking, and how long. Pure: the
// caller's clock, in nanoseconds.
//
// A thread that sleeps is woken late: in a virtual machine some 40 us pass. A request and its reply
// that come one at a time are answered in half the time by a worker that stays awake for them. But
// looking costs CPU, so it has to pay:
//
//   many busy      Where more than kOwnersMax connections take turns, others have work for the
//                  worker anyway, and while it sleeps more comes together.
//   long waits     One that spinning did not cover ends it. It is tried again after so many waits
//                  in a row that it would have covered, twice as many each time it fails
//                  (kPatienceMax at most), half as many each time it pays.
//   a wanted CPU   The caller yields between its looks. Where another thread takes the CPU it is
//                  worth more there: that counts as a failure like the others.
#ifndef PROXY_RING_SPIN_H_
#define PROXY_RING_SPIN_H_

#include <algorithm>
#include <bit>
#include <cstdint>

namespace sallyport {

class Spin {
 public:
  static constexpr int kOwnersMax = 4;
  static constexpr uint32_t kWindow = 32;  // Completions over which owners are counted.
  static constexpr uint32_t kPatienceMin = 8;
  static constexpr uint32_t kPatienceMax = 4096;
  // What a blocked wait lasts longer than the thing it waits for: the wake-up.
  static constexpr int64_t kWakeUpNs = 50'000;
  // Two looks further apart than this: somebody else had the CPU.
  static constexpr int64_t kGapNsMax = 20'000;

  // limit_ns 0: never.
  explicit Spin(int64_t limit_ns) : limit_ns_(limit_ns) {}

  // wanted: whether to look before the next wait.
  bool wanted() const { return learns() && patience_left_ == 0; }
  // learns: whether Blocked is of use; if not, the clock needn't be read.
  bool learns() const { return limit_ns_ > 0 && few_; }

  // keep_on, after a look that found nothing: `spun_ns` since the first, `gap_ns` since the last.
  bool keep_on(int64_t spun_ns, int64_t gap_ns) const {
    return spun_ns < limit_ns_ && gap_ns <= kGapNsMax;
  }

  // Saw a completion of this owner. Owners are told apart by their last six bits: with so few of
  // them, well enough.
  void Saw(uint32_t owner) {
    owners_ |= uint64_t{1} << (owner % 64);
    if (++seen_ < kWindow) return;
    few_ = std::popcount(owners_) <= kOwnersMax;
    owners_ = 0;
    seen_ = 0;
  }

  // What came of it. Paid: a completion came in time. Failed: none did. Blocked: a wait without
  // spinning brought completions after `waited_ns`.
  void Paid() { patience_ = std::max(patience_ / 2, kPatienceMin); }
  void Failed() {
    patience_ = std::min(patience_ * 2, kPatienceMax);
    patience_left_ = patience_;
  }
  void Blocked(int64_t waited_ns) {
    if (patience_left_ == 0) return;
    if (waited_ns <= limit_ns_ + kWakeUpNs) {
      --patience_left_;
    } else {
      patience_left_ = patience_;
    }
  }

 private:
  const int64_t limit_ns_;
  uint64_t owners_ = 0;
  uint32_t seen_ = 0;
  bool few_ = false;
  uint32_t patience_ = kPatienceMin;
  uint32_t patience_left_ = kPatienceMin;  // Waits that must look short before the next try.
};

}  // namespace sallyport

#endif  // PROXY_RING_SPIN_H_
