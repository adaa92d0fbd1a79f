// IpAddress: an IPv4 or IPv6 address as a value; IPv4 is kept as IPv6 maps it (::ffff:a.b.c.d).
#ifndef PROXY_PROXY_PROTOCOL_IP_ADDRESS_H_
#define PROXY_PROXY_PROTOCOL_IP_ADDRESS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sallyport {

struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  static IpAddress FromV4(std::span<const uint8_t, 4> v4);
  bool is_v4() const;
  // REQUIRES: is_v4().
  std::span<const uint8_t, 4> v4() const { return std::span(bytes).last<4>(); }

  // "192.0.2.1", "2001:db8::1".
  std::string ToString() const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

struct IpEndpoint {
  IpAddress address;
  uint16_t port = 0;

  friend bool operator==(const IpEndpoint&, const IpEndpoint&) = default;
};

// ParseIpAddress reads dotted decimals or IPv6's text. Nothing: it is neither.
std::optional<IpAddress> ParseIpAddress(std::string_view text);

}  // namespace sallyport

#endif  // PROXY_PROXY_PROTOCOL_IP_ADDRESS_H_
