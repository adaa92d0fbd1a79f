// What a reload may change of a configuration in force, and what only a restart can.
#ifndef PROXY_CONFIG_RELOAD_H_
#define PROXY_CONFIG_RELOAD_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/config.h"

namespace sallyport {

struct ReloadPlan {
  // To be in force: the listeners of before, in their order, with what is wanted of each; and what
  // needs a restart as it was.
  Config config;
  // For each of these listeners, which of the wanted ones it became; nothing: none, it stays as it
  // was until the restart.
  std::vector<std::optional<size_t>> wanted_listeners;
  // The options, by name, whose wanted values need a restart. "listen": also listeners that came
  // or went.
  std::vector<std::string> need_restart;
};

// PlanReload finds each listener again by its `listen`, else by its name; the only one of each is
// the same in any case.
ReloadPlan PlanReload(const Config& in_force, const Config& wanted);

}  // namespace sallyport

#endif  // PROXY_CONFIG_RELOAD_H_
