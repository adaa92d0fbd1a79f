// Networks: a list of networks, as an operator writes it.
#ifndef PROXY_PROXY_PROTOCOL_NETWORKS_H_
#define PROXY_PROXY_PROTOCOL_NETWORKS_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proxy/proxy_protocol/ip_address.h"

namespace sallyport {

class Networks {
 public:
  // Add takes "192.0.2.0/24", "2001:db8::/32", a single address, or "*", which is every address.
  // kInvalidArgument: what is wrong with `text`, on one line; nothing was added. Bits set behind
  // the prefix are an error: one of the two was meant otherwise.
  absl::Status Add(std::string_view text);

  bool Contains(const IpAddress& address) const;
  bool empty() const { return networks_.empty(); }

 private:
  struct Network {
    IpAddress prefix;
    int bits = 0;  // Of the 128.
  };
  std::vector<Network> networks_;
};

}  // namespace sallyport

#endif  // PROXY_PROXY_PROTOCOL_NETWORKS_H_
