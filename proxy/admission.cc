#include "proxy/admission.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "packet/check.h"

namespace sallyport {
namespace {

using Answer = AddressLimiter::Answer;

}  // namespace

std::optional<IpEndpoint> ToEndpoint(const Address& address) {
  IpEndpoint endpoint;
  endpoint.port = static_cast<uint16_t>(address.port());
  if (address.family() == AF_INET) {
    std::array<uint8_t, 4> v4;
    std::memcpy(v4.data(), &reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr, 4);
    endpoint.address = IpAddress::FromV4(v4);
    return endpoint;
  }
  if (address.family() != AF_INET6) return std::nullopt;
  std::memcpy(endpoint.address.bytes.data(),
              &reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr, 16);
  return endpoint;
}

Address ToAddress(const IpEndpoint& endpoint) {
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.v4().data(), 4);
    return Address(reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(endpoint.port);
  std::memcpy(&v6.sin6_addr, endpoint.address.bytes.data(), 16);
  return Address(reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
}

Visitor Meet(const Address& peer, const Service& service) {
  Visitor visitor;
  visitor.met = true;
  visitor.address = peer;
  const std::optional<IpEndpoint> endpoint = ToEndpoint(peer);
  visitor.header_due =
      endpoint.has_value() && service.proxy_protocol_networks.Contains(endpoint->address);
  return visitor;
}

Answer Admit(const Service& service, uint64_t now_ms, Stats* stats, Visitor* visitor) {
  if (!service.address_limits.any() || visitor->header_due) return Answer::kWelcome;
  const std::optional<IpEndpoint> endpoint = ToEndpoint(visitor->address);
  if (!endpoint.has_value()) return Answer::kWelcome;
  visitor->key = AddressKey(endpoint->address, service.listener);
  const AddressLimiter::Admission admission =
      service.limiter->Admit(visitor->key, service.address_limits, now_ms);
  visitor->counted = admission.counted;
  if (admission.answer == Answer::kWelcome && !admission.counted) stats->addresses_uncounted.Add();
  return admission.answer;
}

void Leave(const Service& service, const Visitor& visitor) {
  if (visitor.counted) service.limiter->Leave(visitor.key);
}

Refusal RefusalOf(Answer answer) {
  switch (answer) {
    case Answer::kWelcome:
      break;
    case Answer::kTooMany:
      return Refusal::kAddressConnections;
    case Answer::kTooFast:
      return Refusal::kAddressRate;
    case Answer::kTooManyHandshakes:
      return Refusal::kAddressHandshakes;
    case Answer::kBlocked:
      return Refusal::kAddressBlocked;
  }
  SALLYPORT_CHECK(false);  // Nobody refuses who is welcome.
  return Refusal::kAddressBlocked;
}

packet::Error RefusalError(Answer answer, const Address& client, std::string* message) {
  const std::optional<IpEndpoint> endpoint = ToEndpoint(client);
  const std::string host = endpoint.has_value() ? endpoint->address.ToString() : "-";
  if (answer == Answer::kBlocked) {
    *message = absl::StrCat("Host '", host, "' is blocked because of many connection errors");
    return {1129, "HY000", *message};
  }
  const char* what = answer == Answer::kTooMany   ? "connections"
                     : answer == Answer::kTooFast ? "new connections a second"
                                                  : "TLS handshakes a second";
  *message = absl::StrCat("Too many ", what, " from '", host, "'");
  return {1040, "08004", *message};
}

}  // namespace sallyport
