#include "proxy/servers/learned_greeting.h"

namespace sallyport {

void LearnedGreeting::Learn(const GreetingTraits& traits) {
  const std::lock_guard lock(mutex_);
  known_.store(true, std::memory_order_relaxed);
  if (!packet::IsWritable(traits.ToGreeting())) {
    traits_ = nullptr;
  } else if (traits_ == nullptr || *traits_ != traits) {
    traits_ = std::make_shared<const GreetingTraits>(traits);
  }
}

std::shared_ptr<const GreetingTraits> LearnedGreeting::traits() const {
  const std::lock_guard lock(mutex_);
  return traits_;
}

}  // namespace sallyport
