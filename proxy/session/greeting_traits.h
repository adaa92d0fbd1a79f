// GreetingTraits: what of a server's greeting holds for every connection to it, so that somebody
// else can greet in its place.
#ifndef PROXY_SESSION_GREETING_TRAITS_H_
#define PROXY_SESSION_GREETING_TRAITS_H_

#include <cstdint>
#include <string>

#include "packet/greeting.h"

namespace sallyport {

struct GreetingTraits {
  std::string server_version;
  std::string auth_plugin_name;
  uint32_t capability_flags = 0;
  uint32_t extended_flags = 0;
  uint16_t status_flags = 0;
  uint8_t character_set = 0;

  bool operator==(const GreetingTraits&) const = default;

  static GreetingTraits Of(const packet::Greeting& greeting) {
    return {std::string(greeting.server_version),
            std::string(greeting.auth_plugin_name),
            greeting.capability_flags,
            greeting.extended_flags,
            greeting.status_flags,
            greeting.character_set};
  }
  // ToGreeting leaves thread_id and nonce to the caller. Its views live as long as this.
  packet::Greeting ToGreeting() const {
    packet::Greeting greeting;
    greeting.server_version = server_version;
    greeting.auth_plugin_name = auth_plugin_name;
    greeting.capability_flags = capability_flags;
    greeting.extended_flags = extended_flags;
    greeting.status_flags = status_flags;
    greeting.character_set = character_set;
    return greeting;
  }
};

}  // namespace sallyport

#endif  // PROXY_SESSION_GREETING_TRAITS_H_
