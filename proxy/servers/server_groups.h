// The servers of a listener where SNI chooses: groups of them, and which name has which.
#ifndef PROXY_SERVERS_SERVER_GROUPS_H_
#define PROXY_SERVERS_SERVER_GROUPS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "proxy/servers/choose_server.h"
#include "proxy/session/greeting_traits.h"
#include "tls/name_table.h"

namespace sallyport {

// Servers that stand in for each other: a run of a listener's list.
struct ServerGroup {
  size_t begin = 0;
  size_t count = 0;
  // Counts the connections that chose a server, for those that take turns.
  std::shared_ptr<std::atomic<uint32_t>> turn = std::make_shared<std::atomic<uint32_t>>(0);
};

// SniGroups numbers the groups that have names, from 1 on; 0 is the default. Filled once, then only
// read.
class SniGroups {
 public:
  // Add gives the number of a name's group, a new one where the name is new. REQUIRES: a NameTable
  // takes the name; fewer than 65,535 names.
  uint16_t Add(std::string_view name);
  // Find is the group of what a client asked for: that of the exact name, of the wildcard, or 0.
  uint16_t Find(std::string_view sni) const;
  size_t count() const { return count_; }

 private:
  tls::NameTable<uint16_t> names_;
  uint16_t count_ = 0;
};

// CommonTraits is what a greeting may say in the place of any of `servers`: the words of the first
// whose own is known, with the flags that all known ones have. False, `*out` left alone: none is.
bool CommonTraits(std::span<const ServerAddress> servers, GreetingTraits* out);

// MakeGreeting is a greeting of those words, with a nonce that was never used before, as printable
// as servers make theirs, and a thread id that no server gives out: whoever kills by it (Ctrl-C in
// `mysql`, a driver's cancel) kills nobody. Its views live as long as `traits`.
packet::Greeting MakeGreeting(const GreetingTraits& traits, uint64_t connection_id);

}  // namespace sallyport

#endif  // PROXY_SERVERS_SERVER_GROUPS_H_
