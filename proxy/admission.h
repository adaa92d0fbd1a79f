// Admission: who a new connection's client is, as far as its address tells, and whether it may come
// in. For worker and connection.
#ifndef PROXY_ADMISSION_H_
#define PROXY_ADMISSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "packet/error_packet.h"
#include "proxy/limiter/address_limiter.h"
#include "proxy/proxy_protocol/ip_address.h"
#include "proxy/ring/address.h"
#include "proxy/service.h"
#include "proxy/stats.h"

namespace sallyport {

// The client behind a connection. One that nobody met is all defaults.
struct Visitor {
  bool met = false;
  bool header_due = false;  // A load balancer's: its PROXY header will say whose it is.
  bool counted = false;     // Of its address, by the limiter, under
  AddressKey key;           // this.
  Address address;          // The client's.
  Address via;              // The load balancer's; AF_UNSPEC: none.
  std::optional<IpEndpoint> destination;  // Where the client connected to; for the server's header.
};

// Of a TCP address; of others nothing.
std::optional<IpEndpoint> ToEndpoint(const Address& address);
Address ToAddress(const IpEndpoint& endpoint);

// Meet looks at where a connection comes from.
Visitor Meet(const Address& peer, const Service& service);

// Admit asks the limiter, where there are limits and the address is known.
AddressLimiter::Answer Admit(const Service& service, uint64_t now_ms, Stats* stats,
                             Visitor* visitor);
// Leave ends what Admit began.
void Leave(const Service& service, const Visitor& visitor);

// RefusalOf: the answer for metrics and the log. RefusalError: as the client reads it; its message
// is put into `*message`, which the result points to. REQUIRES of both: not kWelcome.
Refusal RefusalOf(AddressLimiter::Answer answer);
packet::Error RefusalError(AddressLimiter::Answer answer, const Address& client,
                           std::string* message);

}  // namespace sallyport

#endif  // PROXY_ADMISSION_H_
