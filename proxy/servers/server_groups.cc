#include "proxy/servers/server_groups.h"

#include <memory>
#include <string>

#include "packet/check.h"
#include "tls/random.h"

namespace sallyport {

uint16_t SniGroups::Add(std::string_view name) {
  uint16_t* const number = names_.At(tls::NormalName(name));
  SALLYPORT_CHECK(number != nullptr && count_ < UINT16_MAX);
  if (*number == 0) *number = ++count_;
  return *number;
}

uint16_t SniGroups::Find(std::string_view sni) const {
  if (count_ == 0 || sni.empty()) return 0;
  const std::string name = tls::NormalName(sni);
  const uint16_t* found = names_.FindExact(name);
  if (found == nullptr) found = names_.FindWildcard(name);
  return found == nullptr ? 0 : *found;
}

bool CommonTraits(std::span<const ServerAddress> servers, GreetingTraits* out) {
  bool any = false;
  uint32_t flags = UINT32_MAX;
  uint32_t extended_flags = UINT32_MAX;
  for (const ServerAddress& server : servers) {
    const std::shared_ptr<const GreetingTraits> traits = server.state->greeting().traits();
    if (traits == nullptr) continue;
    if (!any) *out = *traits;
    any = true;
    flags &= traits->capability_flags;
    extended_flags &= traits->extended_flags;
  }
  if (!any) return false;
  out->capability_flags = flags;
  out->extended_flags = extended_flags;
  return true;
}

packet::Greeting MakeGreeting(const GreetingTraits& traits, uint64_t connection_id) {
  // Servers count from 1, and none has lived to see the upper half. A connection's id has the
  // worker's number in its upper 16 bits.
  constexpr uint32_t kNoServersId = 1u << 31;
  const uint64_t worker = connection_id >> 48 & 0x7F;
  packet::Greeting greeting = traits.ToGreeting();
  greeting.thread_id =
      static_cast<uint32_t>(kNoServersId | worker << 24 | (connection_id & 0xFF'FFFF));
  tls::FillRandom(greeting.nonce);
  for (uint8_t& byte : greeting.nonce) {
    byte = static_cast<uint8_t>(byte & 0x7F);
    if (byte == 0 || byte == '$') ++byte;  // They end, or part, what some read as a text.
  }
  return greeting;
}

}  // namespace sallyport
