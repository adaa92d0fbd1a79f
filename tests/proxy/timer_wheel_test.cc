#include "proxy/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace sallyport {
namespace {

constexpr uint64_t kStart = 1'000'003;  // No multiple of a tick.
constexpr uint64_t kTurn = TimerWheel::kTickMs * TimerWheel::kSlots;

// ExpectInTime: a timer that fires at `now` is neither early nor over a tick late.
void ExpectInTime(const Timer& timer, uint64_t now) {
  EXPECT_GE(now, timer.deadline_ms);
  EXPECT_LE(now, timer.deadline_ms + TimerWheel::kTickMs);
}

TEST(TimerWheel, AnEmptyOneNeverWakes) {
  TimerWheel wheel(kStart);
  EXPECT_EQ(wheel.NextDeadline(), UINT64_MAX);
  EXPECT_EQ(wheel.Expired(kStart), nullptr);
  EXPECT_EQ(wheel.Expired(kStart + 100 * kTurn), nullptr);
  EXPECT_EQ(wheel.NextDeadline(), UINT64_MAX);
}

TEST(TimerWheel, FiresNeverEarlyAndUpToATickLate) {
  for (uint64_t delay = 0; delay < 3 * TimerWheel::kTickMs; ++delay) {
    TimerWheel wheel(kStart);
    Timer timer;
    wheel.Set(&timer, kStart + delay);
    EXPECT_TRUE(timer.is_set());
    uint64_t now = kStart;
    while (wheel.Expired(now) == nullptr) ASSERT_LE(++now, kStart + 1000);
    ExpectInTime(timer, now);
    EXPECT_FALSE(timer.is_set());
    EXPECT_EQ(wheel.Expired(now + kTurn), nullptr);
  }
}

TEST(TimerWheel, FiresWhateverTheTurn) {
  for (const uint64_t delay : {kTurn - 1, kTurn, kTurn + 1, 3 * kTurn + 17, 28'800'000ul}) {
    TimerWheel wheel(kStart);
    Timer timer;
    wheel.Set(&timer, kStart + delay);
    uint64_t now = kStart;
    int wake_ups = 0;
    while (wheel.Expired(now) == nullptr) {
      ASSERT_GT(wheel.NextDeadline(), now);
      now = wheel.NextDeadline();
      // A far deadline is looked at once a turn.
      ASSERT_LE(++wake_ups, static_cast<int>(delay / kTurn) + 2);
    }
    ExpectInTime(timer, now);
  }
}

TEST(TimerWheel, ALongSleepMissesNothing) {
  for (const uint64_t sleep : {kTurn / 2, kTurn, kTurn + 1, 5 * kTurn, 1000 * kTurn}) {
    TimerWheel wheel(kStart);
    std::vector<Timer> timers(500);
    for (size_t i = 0; i < timers.size(); ++i) wheel.Set(&timers[i], kStart + i * 97);
    const uint64_t now = kStart + sleep;
    size_t fired = 0;
    while (const Timer* timer = wheel.Expired(now)) {
      EXPECT_LE(timer->deadline_ms, now);
      ++fired;
    }
    const auto due = std::ranges::count_if(
        timers, [&](const Timer& timer) { return timer.deadline_ms + TimerWheel::kTickMs <= now; });
    EXPECT_GE(fired, static_cast<size_t>(due));
    EXPECT_EQ(wheel.Expired(now), nullptr);
  }
}

TEST(TimerWheel, ADeadlineInThePastFiresWithinATick) {
  TimerWheel wheel(kStart);
  Timer timer;
  EXPECT_EQ(wheel.Expired(kStart + 1000), nullptr);
  wheel.Set(&timer, kStart);
  EXPECT_LE(wheel.NextDeadline(), kStart + 1000 + TimerWheel::kTickMs);
  EXPECT_EQ(wheel.Expired(kStart + 1000 + TimerWheel::kTickMs), &timer);
}

TEST(TimerWheel, SetAgainReplacesTheDeadline) {
  TimerWheel wheel(kStart);
  Timer timer;
  wheel.Set(&timer, kStart + 100);
  wheel.Set(&timer, kStart + 5000);
  EXPECT_EQ(wheel.Expired(kStart + 200), nullptr);
  wheel.Set(&timer, kStart + 1000);
  EXPECT_EQ(wheel.Expired(kStart + 1000 + TimerWheel::kTickMs), &timer);
  EXPECT_EQ(wheel.Expired(kStart + 10 * kTurn), nullptr);
}

TEST(TimerWheel, ClearedItNeverFires) {
  TimerWheel wheel(kStart);
  Timer timer;
  wheel.Clear(&timer);  // Not set: nothing to do.
  wheel.Set(&timer, kStart + 100);
  wheel.Clear(&timer);
  EXPECT_FALSE(timer.is_set());
  // It may cost one wake-up, and no second one.
  const uint64_t wake_up = wheel.NextDeadline();
  EXPECT_EQ(wheel.Expired(wake_up == UINT64_MAX ? kStart + 200 : wake_up), nullptr);
  EXPECT_EQ(wheel.NextDeadline(), UINT64_MAX);
}

TEST(TimerWheel, TimersMayBeSetAndClearedWhileOthersAreTakenOut) {
  TimerWheel wheel(kStart);
  std::vector<Timer> timers(10);
  for (Timer& timer : timers) wheel.Set(&timer, kStart + 100);
  const uint64_t now = kStart + 200;
  const Timer* first = wheel.Expired(now);
  ASSERT_NE(first, nullptr);
  size_t left = 0;
  for (Timer& timer : timers) {
    if (!timer.is_set()) continue;
    // One is put off, one again and again, the others are forgotten.
    if (++left == 1) wheel.Set(&timer, now + 1000);
    if (left > 1) wheel.Clear(&timer);
  }
  EXPECT_EQ(left, 9u);
  EXPECT_EQ(wheel.Expired(now), nullptr);
  const uint64_t later = now + 1000 + TimerWheel::kTickMs;
  EXPECT_NE(wheel.Expired(later), nullptr);
  EXPECT_EQ(wheel.Expired(later), nullptr);
  EXPECT_EQ(wheel.NextDeadline(), UINT64_MAX);
}

// A worker's loop in a simulated clock: Wait(NextDeadline), Expired until null, and now and then a
// timer is set again or cleared.
TEST(TimerWheel, ThousandsFireInTimeWithABoundedNumberOfWakeUps) {
  TimerWheel wheel(kStart);
  std::mt19937_64 random(7);
  std::vector<Timer> timers(5000);
  for (Timer& timer : timers) wheel.Set(&timer, kStart + random() % 200'000);
  uint64_t now = kStart;
  size_t fired = 0;
  size_t wake_ups = 0;
  size_t again = 0;
  for (;;) {
    while (Timer* timer = wheel.Expired(now)) {
      ExpectInTime(*timer, now);
      ++fired;
      if (random() % 8 == 0) {
        wheel.Set(timer, now + random() % 100'000);
        ++again;
      }
    }
    Timer& other = timers[random() % timers.size()];
    if (other.is_set() && random() % 2 == 0) wheel.Set(&other, other.deadline_ms + random() % 5000);
    const uint64_t next = wheel.NextDeadline();
    if (next == UINT64_MAX) break;
    ASSERT_GT(next, now) << "a wake-up at once: the worker would spin";
    for (const Timer& timer : timers) {
      if (!timer.is_set()) continue;
      ASSERT_LE(next, timer.deadline_ms + TimerWheel::kTickMs);
    }
    now = next;
    ++wake_ups;
  }
  EXPECT_EQ(fired, timers.size() + again);
  // Never more than one a tick.
  EXPECT_LE(wake_ups, (now - kStart) / TimerWheel::kTickMs + 1);
}

TEST(TimerWheel, AnHourWithOneFarTimerTakesFewWakeUps) {
  TimerWheel wheel(kStart);
  Timer timer;
  wheel.Set(&timer, kStart + 3'600'000);
  uint64_t now = kStart;
  int wake_ups = 0;
  while (wheel.Expired(now) == nullptr) {
    now = wheel.NextDeadline();
    ++wake_ups;
  }
  EXPECT_LE(wake_ups, 112);  // One a turn of 32.8 s.
}

// The clock of a loop that is woken by other things, at any time.
TEST(TimerWheel, WakeUpsAtAnyTimeDisturbNothing) {
  std::mt19937_64 random(8);
  for (int run = 0; run < 50; ++run) {
    TimerWheel wheel(kStart);
    std::vector<Timer> timers(20);
    for (Timer& timer : timers) wheel.Set(&timer, kStart + random() % (3 * kTurn));
    size_t fired = 0;
    for (uint64_t now = kStart; fired < timers.size();) {
      ASSERT_LE(now, kStart + 4 * kTurn);
      while (const Timer* timer = wheel.Expired(now)) {
        ExpectInTime(*timer, now);
        ++fired;
      }
      now = std::min(wheel.NextDeadline(), now + random() % 1000);
    }
    EXPECT_EQ(wheel.Expired(kStart + 100 * kTurn), nullptr);
  }
}

}  // namespace
}  // namespace sallyport
