// Address: where a socket listens or connects to; a value.
#ifndef PROXY_RING_ADDRESS_H_
#define PROXY_RING_ADDRESS_H_

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport {

// An IPv4, IPv6 or unix-socket address.
class Address {
 public:
  Address() = default;  // AF_UNSPEC: no address.
  Address(const sockaddr* address, socklen_t size);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  int family() const { return storage_.ss_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  int port() const;  // 0 for a unix socket.
  // is_near: of this machine or of a private network (loopback, RFC 1918, RFC 4193, link-local),
  // or a unix socket.
  bool is_near() const;

  // ToString: "127.0.0.1:3306", "[::1]:3306", "unix:/run/mysqld/mysqld.sock", "unix:@abstract",
  // "unix:" (unnamed), "-" (no address).
  std::string ToString() const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

// ResolveAddress reads "host:port", "[v6]:port", ":port" (all interfaces: 0.0.0.0 and, where the
// kernel has IPv6, [::]), "unix:/path" or "unix:@abstract", and looks names up (getaddrinfo: it
// blocks; for start-up only). Every address of the name, in the resolver's order. kInvalidArgument
// says what is wrong with `text`, kUnavailable that the name has no address.
absl::StatusOr<std::vector<Address>> ResolveAddress(std::string_view text);

}  // namespace sallyport

#endif  // PROXY_RING_ADDRESS_H_
