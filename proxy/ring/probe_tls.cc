// ProbeEncryptSends, of ring.h.
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proxy/ring/ring.h"

namespace sallyport {

absl::Status ProbeEncryptSends(std::span<const uint8_t> crypto_info, bool* changes_keys) {
  const std::unique_ptr<Ring> ring = MakeEpollRing();  // Verbs that act at once need no Start.
  const absl::StatusOr<int> listener = Listen(ResolveAddress("127.0.0.1:0")->front(), 1);
  if (!listener.ok()) return listener.status();
  const Address address = LocalAddress(*listener);
  const int client = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  absl::Status status;
  if (client < 0 || connect(client, address.get(), address.size()) != 0) {
    status = absl::UnavailableError(
        absl::StrCat("no connection to try it on: ", strerrordesc_np(errno)));
  } else if (const int32_t result = ring->EncryptSends(client, crypto_info); result < 0) {
    status = absl::UnavailableError(
        absl::StrCat(strerrordesc_np(-result),
                     result == -ENOENT ? " (no TLS in this kernel, or `modprobe tls`)" : ""));
  } else if (changes_keys != nullptr) {
    *changes_keys = ring->ChangeKeys(client, crypto_info) == 0;
  }
  for (const int fd : {*listener, client}) {
    if (fd >= 0) close(fd);
  }
  return status;
}

}  // namespace sallyport
