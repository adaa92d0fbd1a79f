#include "proxy/servers/learned_greeting.h"

#include "packet/capabilities.h"

namespace sallyport {

void LearnedGreeting::Learn(const GreetingTraits& traits) {
  constexpr uint32_t kNeeded =
      packet::CLIENT_PROTOCOL_41 | packet::CLIENT_SECURE_CONNECTION | packet::CLIENT_PLUGIN_AUTH;
  const bool sayable = (traits.capability_flags & kNeeded) == kNeeded &&
                       traits.server_version.size() <= packet::kGreetingTextMax &&
                       traits.auth_plugin_name.size() <= packet::kGreetingTextMax;
  const std::lock_guard lock(mutex_);
  known_.store(true, std::memory_order_relaxed);
  if (!sayable) {
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
