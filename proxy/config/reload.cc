#include "proxy/config/reload.h"

#include <algorithm>

#include "proxy/config/options.h"

namespace sallyport {
namespace {

bool SameListen(const ListenerConfig& a, const ListenerConfig& b) {
  return a.listen.size() == b.listen.size() &&
         std::is_permutation(a.listen.begin(), a.listen.end(), b.listen.begin());
}

// Which of `wanted` each listener in force became, by a rule; those taken already are left out.
template <typename Rule>
void Match(const Config& in_force, const Config& wanted, const Rule& rule,
           std::vector<std::optional<size_t>>* matches) {
  for (size_t i = 0; i < in_force.listeners.size(); ++i) {
    if ((*matches)[i].has_value()) continue;
    for (size_t k = 0; k < wanted.listeners.size(); ++k) {
      const bool taken = std::find(matches->begin(), matches->end(), k) != matches->end();
      if (taken || !rule(in_force.listeners[i], wanted.listeners[k])) continue;
      (*matches)[i] = k;
      break;
    }
  }
}

// Puts the old value back where only a restart can change it. True: it differed.
bool KeepOld(const Option& option, const OptionSource& old, const OptionTarget& target) {
  if (OptionText(option, old) == OptionText(option, {target.process, target.listener})) {
    return false;
  }
  CopyOption(option, old, target);
  return true;
}

}  // namespace

ReloadPlan PlanReload(const Config& in_force, const Config& wanted) {
  ReloadPlan plan = {wanted, {}, {}};
  plan.wanted_listeners.resize(in_force.listeners.size());
  Match(in_force, wanted, SameListen, &plan.wanted_listeners);
  Match(
      in_force, wanted,
      [](const ListenerConfig& a, const ListenerConfig& b) {
        return !a.name.empty() && a.name == b.name;
      },
      &plan.wanted_listeners);
  const bool only_one = in_force.listeners.size() == 1 && wanted.listeners.size() == 1;
  if (only_one) plan.wanted_listeners[0] = 0;

  plan.config.listeners = in_force.listeners;
  bool came_or_went = in_force.listeners.size() != wanted.listeners.size();
  for (size_t i = 0; i < in_force.listeners.size(); ++i) {
    const std::optional<size_t> match = plan.wanted_listeners[i];
    if (match.has_value()) plan.config.listeners[i] = wanted.listeners[*match];
    came_or_went = came_or_went || !match.has_value();
  }
  for (const Option& option : Options()) {
    if (!option.is_key() || !option.needs_restart()) continue;
    bool differs = option.name == "listen" && came_or_went;
    if (!option.is_listener_key()) {
      differs = KeepOld(option, {&in_force, nullptr}, {&plan.config, nullptr});
    }
    for (size_t i = 0; option.is_listener_key() && i < in_force.listeners.size(); ++i) {
      const bool kept =
          KeepOld(option, {nullptr, &in_force.listeners[i]}, {nullptr, &plan.config.listeners[i]});
      differs = differs || kept;
    }
    if (differs) plan.need_restart.emplace_back(option.name);
  }
  return plan;
}

}  // namespace sallyport
