// LearnedGreeting: how a server greeted last, for whoever greets in its place.
#ifndef PROXY_SERVERS_LEARNED_GREETING_H_
#define PROXY_SERVERS_LEARNED_GREETING_H_

#include <atomic>
#include <memory>
#include <mutex>

#include "proxy/session/greeting_traits.h"

namespace sallyport {

// Any thread. Only listeners whose servers SNI chooses learn and read.
class LearnedGreeting {
 public:
  void Learn(const GreetingTraits& traits);
  // traits: the last that WriteGreeting can say again; null: there were none.
  std::shared_ptr<const GreetingTraits> traits() const;
  // known: there was a greeting, such or other.
  bool known() const { return known_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> known_{false};
  mutable std::mutex mutex_;
  std::shared_ptr<const GreetingTraits> traits_;  // Guarded by mutex_.
};

}  // namespace sallyport

#endif  // PROXY_SERVERS_LEARNED_GREETING_H_
