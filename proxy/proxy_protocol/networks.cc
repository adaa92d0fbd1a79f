#include "proxy/proxy_protocol/networks.h"

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace sallyport {
namespace {

constexpr int kBitsMax = 128;
constexpr int kV4BitsMax = 32;

// Whether the first `bits` of both are the same.
bool SamePrefix(const IpAddress& a, const IpAddress& b, int bits) {
  for (size_t i = 0; i < a.bytes.size() && bits > 0; ++i, bits -= 8) {
    const unsigned mask = bits >= 8 ? 0xFF : 0xFF00u >> bits & 0xFF;
    if (((a.bytes[i] ^ b.bytes[i]) & mask) != 0) return false;
  }
  return true;
}

// `address` without what lies behind its first `bits`.
IpAddress Masked(const IpAddress& address, int bits) {
  IpAddress masked;
  for (size_t i = 0; i < masked.bytes.size() && bits > 0; ++i, bits -= 8) {
    const unsigned mask = bits >= 8 ? 0xFF : 0xFF00u >> bits & 0xFF;
    masked.bytes[i] = static_cast<uint8_t>(address.bytes[i] & mask);
  }
  return masked;
}

}  // namespace

absl::Status Networks::Add(std::string_view text) {
  if (text == "*") {
    networks_.push_back({});
    return absl::OkStatus();
  }
  const size_t slash = text.find('/');
  const std::optional<IpAddress> address = ParseIpAddress(text.substr(0, slash));
  if (!address.has_value()) {
    return absl::InvalidArgumentError("is no network (192.0.2.0/24, 2001:db8::/32, ADDRESS or *)");
  }
  const int max = address->is_v4() ? kV4BitsMax : kBitsMax;
  int bits = max;
  if (slash != text.npos) {
    const std::string_view number = text.substr(slash + 1);
    const bool digits =
        !number.empty() && number.size() <= 3 &&
        std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || !absl::SimpleAtoi(absl::string_view(number.data(), number.size()), &bits) ||
        bits > max) {
      return absl::InvalidArgumentError(
          absl::StrCat("has a prefix that is no number from 0 to ", max));
    }
  }
  bits += kBitsMax - max;
  const IpAddress prefix = Masked(*address, bits);
  if (prefix != *address) {
    return absl::InvalidArgumentError("has bits behind its prefix; " + prefix.ToString() +
                                      " is the network's address");
  }
  networks_.push_back({prefix, bits});
  return absl::OkStatus();
}

bool Networks::Contains(const IpAddress& address) const {
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return SamePrefix(network.prefix, address, network.bits);
  });
}

}  // namespace sallyport
