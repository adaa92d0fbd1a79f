// ChooseServer: which of a listener's servers a new connection gets.
#ifndef PROXY_SERVERS_CHOOSE_SERVER_H_
#define PROXY_SERVERS_CHOOSE_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "proxy/ring/ring.h"
#include "proxy/servers/balance.h"
#include "proxy/servers/server_state.h"

namespace sallyport {

// One address of a server. A name that resolves to several addresses is several of these.
struct ServerAddress {
  Address address;
  std::string text;  // As errors and logs name it: "127.0.0.1:3306", "unix:/run/mysqld.sock".
  SocketTuning tuning{};
  std::shared_ptr<ServerState> state{};  // Shared by all that go there. Never null in a Service.
  const std::atomic<bool>* drain = nullptr;  // An operator's switch (ServerDrains); null: none.

  bool drained() const { return drain != nullptr && drain->load(std::memory_order_relaxed); }
};

inline constexpr size_t kNoServer = SIZE_MAX;

// ChooseServer returns the place of a server that isn't in `tried` and isn't drained (which it
// never returns), or kNoServer where all are. Those that are up go first, and with them those whose
// quarantine is over by now_ms and that nobody else has claimed; where there are none, the one
// whose quarantine ends first, those that failed their health check last. turn: a number that goes
// on by one with each connection. Pure but for TryClaim.
size_t ChooseServer(Balance balance, std::span<const ServerAddress> servers,
                    std::span<const uint16_t> tried, uint32_t turn, uint64_t now_ms);

}  // namespace sallyport

#endif  // PROXY_SERVERS_CHOOSE_SERVER_H_
