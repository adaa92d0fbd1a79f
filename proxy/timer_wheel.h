// TimerWheel: the deadlines of a worker's connections. Setting and clearing one costs the same
// however many there are; the resolution is coarse, as time-outs of seconds want it. Pure: the
// caller's clock.
#ifndef PROXY_TIMER_WHEEL_H_
#define PROXY_TIMER_WHEEL_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace sallyport {

// Timer is a deadline inside its owner. Owner and wheel may not move while it is set.
struct Timer {
  Timer* next = nullptr;
  Timer* previous = nullptr;
  uint64_t deadline_ms = 0;

  bool is_set() const { return next != nullptr; }
};

class TimerWheel {
 public:
  static constexpr uint64_t kTickMs = 32;
  static constexpr size_t kSlots = 1024;  // One turn is 32 s; later deadlines go round again.

  explicit TimerWheel(uint64_t now_ms);

  // Set replaces the timer's deadline. It fires at the first Expired call at or after
  // `deadline_ms`, up to a tick late, never early.
  void Set(Timer* timer, uint64_t deadline_ms);
  void Clear(Timer* timer);

  // Expired takes out one timer whose deadline has passed, or returns null: then none is left.
  Timer* Expired(uint64_t now_ms);

  // NextDeadline is when to call Expired next: no later than a tick after the earliest deadline,
  // and sometimes earlier than that deadline. UINT64_MAX when no timer is set.
  uint64_t NextDeadline() const;

 private:
  static constexpr uint64_t kNone = UINT64_MAX;
  size_t SlotOf(uint64_t tick) const { return static_cast<size_t>(tick % kSlots); }

  // Slot heads of circular lists.
  std::array<Timer, kSlots> slots_;
  std::array<uint64_t, kSlots / 64> occupied_{};
  uint64_t tick_;  // All slots before this tick were emptied of what was due.
};

}  // namespace sallyport

#endif  // PROXY_TIMER_WHEEL_H_
