#include "proxy/servers/server_registry.h"

#include <utility>

namespace sallyport {

std::shared_ptr<ServerState> ServerRegistry::Get(const std::string& text) {
  const std::lock_guard lock(mutex_);
  std::erase_if(states_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<ServerState>& known = states_[text];
  std::shared_ptr<ServerState> state = known.lock();
  if (state == nullptr) {
    state = std::make_shared<ServerState>(text);
    known = state;
  }
  return state;
}

std::vector<std::shared_ptr<const ServerState>> ServerRegistry::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const ServerState>> all;
  for (const auto& [text, known] : states_) {
    if (std::shared_ptr<ServerState> state = known.lock()) all.push_back(std::move(state));
  }
  return all;
}

}  // namespace sallyport
