// Arrival: where a client comes from, what a load balancer says ahead of it (a PROXY header), and
// as whom the proxy has to know it then. Headers are made here by the protocol's text alone.
#ifndef TESTS_SIM_ARRIVAL_H_
#define TESTS_SIM_ARRIVAL_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/proxy_protocol/ip_address.h"
#include "proxy/ring/address.h"
#include "tests/sim/host.h"

namespace sallyport::sim {

struct Arrival {
  enum class Kind {
    kDirect,
    kUnixSocket,
    kHeader,     // A load balancer's header names it.
    kLocal,      // It is the load balancer itself, or somebody whom that doesn't name.
    kBadHeader,  // What comes where a header must come is none: it is closed without a word.
    kNoHeader,   // Nothing, or a header's front: after some time it is told so.
  };
  Kind kind = Kind::kDirect;
  std::string header;               // All that it sends at first.
  std::optional<IpEndpoint> peer;   // Its socket's address; none: a unix socket.
  std::optional<IpEndpoint> known;  // What the proxy goes by.
  IpEndpoint own;                   // The proxy's end of that connection.
  IpEndpoint destination;           // Where the client connected to.

  bool welcome() const { return kind != Kind::kBadHeader && kind != Kind::kNoHeader; }
};

// The network of the load balancers, from which a header must come.
inline constexpr std::string_view kBalancerNetwork = "10.0.0.0/8";

Arrival DrawArrival(Host* host, size_t number);

// ServerHeader is what a server gets of such a client first, in that version of the protocol. Tls:
// as the proxy knew it by then; empty: none.
struct TlsWords {
  std::string_view version;
  std::string_view cipher;
};
std::string ServerHeader(int version, const Arrival& arrival, const TlsWords& tls);

// Everybody whose connections the proxy may have counted.
std::span<const IpAddress> ClientAddresses();
// SocketAddress: a unix socket's where there is no endpoint.
Address SocketAddress(const std::optional<IpEndpoint>& endpoint);

}  // namespace sallyport::sim

#endif  // TESTS_SIM_ARRIVAL_H_
