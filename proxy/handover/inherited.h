// InheritedSockets: listening sockets that somebody else opened for this process, until one of its
// listeners claims them.
#ifndef PROXY_HANDOVER_INHERITED_H_
#define PROXY_HANDOVER_INHERITED_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proxy/ring/address.h"

namespace sallyport {

// A listening socket, and the name of the listener that it is meant for; empty: the one that has
// its address.
struct NamedSocket {
  int fd = -1;
  std::string name;
};

class InheritedSockets {
 public:
  struct Socket {
    int fd;
    std::string name;
    Address address;
    bool from_manager;
  };

  InheritedSockets() = default;
  ~InheritedSockets();  // Closes what nobody took.
  InheritedSockets(const InheritedSockets&) = delete;
  InheritedSockets& operator=(const InheritedSockets&) = delete;

  // Add owns the socket from here on and makes it non-blocking and close-on-exec. kInvalidArgument:
  // it is no listening stream socket; it was closed.
  absl::Status Add(NamedSocket socket, bool from_manager);

  // TakeNamed takes all with that name, TakeBound all that are bound to `address`, whatever their
  // names. The caller owns them.
  std::vector<Socket> TakeNamed(std::string_view name);
  std::vector<Socket> TakeBound(const Address& address);

  // What nobody has taken yet.
  const std::vector<Socket>& left() const { return sockets_; }

 private:
  template <typename Wanted>
  std::vector<Socket> Take(const Wanted& wanted);

  std::vector<Socket> sockets_;
};

// SocketsOfManager gives the sockets that the service manager passed by LISTEN_FDS, once; the name
// is FileDescriptorName of the socket unit, where it was set.
std::vector<NamedSocket> SocketsOfManager();

}  // namespace sallyport

#endif  // PROXY_HANDOVER_INHERITED_H_
