#include "proxy/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace sallyport {

TimerWheel::TimerWheel(uint64_t now_ms) : tick_(now_ms / kTickMs) {
  for (Timer& head : slots_) head.next = head.previous = &head;
}

void TimerWheel::Set(Timer* timer, uint64_t deadline_ms) {
  Clear(timer);
  timer->deadline_ms = deadline_ms;
  // Rounded up: a slot is looked at when its tick has begun, and nothing in it may be early then.
  // This tick's slot may have been looked at already.
  const uint64_t tick = std::max((deadline_ms + kTickMs - 1) / kTickMs, tick_ + 1);
  const size_t slot = SlotOf(tick);
  Timer& head = slots_[slot];
  timer->next = &head;
  timer->previous = head.previous;
  head.previous->next = timer;
  head.previous = timer;
  occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
}

void TimerWheel::Clear(Timer* timer) {
  if (!timer->is_set()) return;
  timer->previous->next = timer->next;
  timer->next->previous = timer->previous;
  timer->next = timer->previous = nullptr;
  // The occupied bit stays until the slot is next looked at: a wake-up too many, at most.
}

Timer* TimerWheel::Expired(uint64_t now_ms) {
  const uint64_t now_tick = now_ms / kTickMs;
  // After a long sleep one turn over all slots sees every timer.
  if (now_tick > tick_ + kSlots) tick_ = now_tick - kSlots;
  while (tick_ <= now_tick) {
    const size_t slot = SlotOf(tick_);
    Timer& head = slots_[slot];
    bool later = false;
    for (Timer* timer = head.next; timer != &head; timer = timer->next) {
      if (timer->deadline_ms <= now_ms) {
        Clear(timer);
        return timer;
      }
      later = true;
    }
    if (!later) occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
    if (tick_ == now_tick) break;
    ++tick_;
  }
  return nullptr;
}

uint64_t TimerWheel::NextDeadline() const {
  // This tick's own slot comes last: what is in it is a whole turn away.
  for (size_t ahead = 1; ahead <= kSlots;) {
    const size_t slot = SlotOf(tick_ + ahead);
    const uint64_t bits = occupied_[slot / 64] >> (slot % 64);
    if (bits != 0) return (tick_ + ahead + static_cast<size_t>(std::countr_zero(bits))) * kTickMs;
    ahead += 64 - slot % 64;
  }
  return kNone;
}

}  // namespace sallyport
