#include "proxy/servers/choose_server.h"

#include <algorithm>
#include <tuple>

#include "absl/container/inlined_vector.h"
#include "packet/check.h"

namespace sallyport {
namespace {

using Places = absl::InlinedVector<size_t, 16>;

bool Contains(std::span<const uint16_t> tried, size_t place) {
  return std::find(tried.begin(), tried.end(), place) != tried.end();
}

// Those that are up, or may be tried again.
Places UsablePlaces(std::span<const ServerAddress> servers, const Places& untried,
                    uint64_t now_ms) {
  Places usable;
  for (const size_t place : untried) {
    const ServerState& state = *servers[place].state;
    if (!state.unhealthy() && state.retry_at_ms() <= now_ms) usable.push_back(place);
  }
  return usable;
}

void KeepLeastConnected(std::span<const ServerAddress> servers, Places* usable) {
  absl::InlinedVector<uint32_t, 16> open;  // Read once: others count meanwhile.
  for (const size_t place : *usable) open.push_back(servers[place].state->open());
  const uint32_t least = *std::min_element(open.begin(), open.end());
  size_t kept = 0;
  for (size_t i = 0; i < open.size(); ++i) {
    if (open[i] == least) (*usable)[kept++] = (*usable)[i];
  }
  usable->resize(kept);
}

size_t Pick(Balance balance, std::span<const ServerAddress> servers, uint32_t turn,
            Places* usable) {
  switch (balance) {
    case Balance::kFirstAvailable:
      return usable->front();
    case Balance::kLeastConnections:
      KeepLeastConnected(servers, usable);
      break;
    case Balance::kRoundRobin:
      break;
  }
  return (*usable)[turn % usable->size()];
}

}  // namespace

size_t ChooseServer(Balance balance, std::span<const ServerAddress> servers,
                    std::span<const uint16_t> tried, uint32_t turn, uint64_t now_ms) {
  Places untried;
  for (size_t place = 0; place < servers.size(); ++place) {
    SALLYPORT_CHECK(servers[place].state != nullptr);
    if (!Contains(tried, place) && !servers[place].drained()) untried.push_back(place);
  }
  if (untried.empty()) return kNoServer;
  Places usable = UsablePlaces(servers, untried, now_ms);
  while (!usable.empty()) {
    Places left = usable;
    const size_t picked = Pick(balance, servers, turn, &left);
    ServerState& state = *servers[picked].state;
    if (state.retry_at_ms() == 0 || state.TryClaim(now_ms)) return picked;
    usable.erase(std::find(usable.begin(), usable.end(), picked));
  }
  return *std::min_element(untried.begin(), untried.end(), [&](size_t a, size_t b) {
    const ServerState& left = *servers[a].state;
    const ServerState& right = *servers[b].state;
    return std::tuple(left.unhealthy(), left.retry_at_ms()) <
           std::tuple(right.unhealthy(), right.retry_at_ms());
  });
}

}  // namespace sallyport
