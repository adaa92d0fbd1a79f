#include "proxy/proxy_protocol/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>

namespace sallyport {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

}  // namespace

IpAddress IpAddress::FromV4(std::span<const uint8_t, 4> v4) {
  IpAddress address;
  std::copy(v4.begin(), v4.end(), std::copy(kMapped.begin(), kMapped.end(), address.bytes.begin()));
  return address;
}

bool IpAddress::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes.begin()); }

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  if (is_v4()) {
    inet_ntop(AF_INET, v4().data(), text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, bytes.data(), text, sizeof(text));
  }
  return text;
}

std::optional<IpAddress> ParseIpAddress(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof(terminated) || text.find('\0') != text.npos) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated);
  std::array<uint8_t, 4> v4;
  if (inet_pton(AF_INET, terminated, v4.data()) == 1) return IpAddress::FromV4(v4);
  IpAddress v6;
  if (inet_pton(AF_INET6, terminated, v6.bytes.data()) == 1) return v6;
  return std::nullopt;
}

}  // namespace sallyport
