// Channel: listening sockets with their names, through a unix stream socket.
#ifndef PROXY_HANDOVER_CHANNEL_H_
#define PROXY_HANDOVER_CHANNEL_H_

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/handover/inherited.h"

namespace sallyport {

// More than any machine has use for: 1024 workers with 16 addresses. Who sends more isn't ours.
inline constexpr size_t kHandedSocketsMax = 16 * 1024;

// PeerOf tells who is at the other end. kPermissionDenied: another user, and not root: neither may
// he have our sockets nor should we take his.
absl::StatusOr<pid_t> PeerOf(int channel);

// SendSockets sends all of them; they stay the caller's. ReceiveSockets gives what the peer sent,
// for the caller to own. Both wait for as long as the socket's own time limits let them. REQUIRES,
// to send: no more than kHandedSocketsMax.
absl::Status SendSockets(int channel, std::span<const NamedSocket> sockets);
absl::StatusOr<std::vector<NamedSocket>> ReceiveSockets(int channel);

}  // namespace sallyport

#endif  // PROXY_HANDOVER_CHANNEL_H_
