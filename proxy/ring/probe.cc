// ProbeIoUring, of ring.h.
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proxy/ring/ring.h"

namespace sallyport {

namespace {

// The kernel answers at once or not at all.
constexpr uint64_t kProbeMsMax = 1000;

// FirstCompletion waits for a completion of the only op in flight.
absl::Status FirstCompletion(Ring* ring, const char* op, Completion* completion) {
  const uint64_t deadline_ms = ring->now_ms() + kProbeMsMax;
  while (ring->now_ms() < deadline_ms) {
    const std::span<const Completion> batch = ring->Wait(deadline_ms);
    if (batch.empty()) continue;
    *completion = batch[0];
    if (completion->result < 0) {
      return absl::UnavailableError(
          absl::StrCat("io_uring ", op, ": ", strerrordesc_np(-completion->result),
                       completion->result == -EINVAL ? " (kernel older than 6.1)" : ""));
    }
    if (completion->more) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("io_uring ", op, ": not multishot"));
  }
  return absl::UnavailableError(absl::StrCat("io_uring ", op, ": no answer"));
}

absl::Status ProbeRecv(Ring* ring, const int sockets[2]) {
  const OpTag tag{.slot = 1, .verb = Verb::kRecv};
  ring->Recv(sockets[0], tag);
  uint8_t byte = 0xa5;
  const iovec part{&byte, 1};
  ring->SendNow(sockets[1], {&part, 1});
  Completion completion;
  const absl::Status status = FirstCompletion(ring, "recv (multishot, buffer ring)", &completion);
  if (!status.ok()) return status;
  if (completion.tag == tag && completion.data.size() == 1 && completion.data[0] == byte) {
    return absl::OkStatus();
  }
  return absl::UnavailableError("io_uring recv: wrong bytes");
}

absl::Status ProbeAccept(Ring* ring, int listener, int client) {
  // A socket of the abstract namespace, with a name that the kernel picks: no file, no port.
  sockaddr_un any{};
  any.sun_family = AF_UNIX;
  if (bind(listener, reinterpret_cast<const sockaddr*>(&any), offsetof(sockaddr_un, sun_path)) !=
          0 ||
      listen(listener, 1) != 0) {
    return absl::UnavailableError("io_uring accept: no socket to try it on");
  }
  const Address address = LocalAddress(listener);
  ring->Accept(listener, OpTag{.slot = 2, .verb = Verb::kAccept});
  if (connect(client, address.get(), address.size()) != 0) {
    return absl::UnavailableError("io_uring accept: no connection to try it on");
  }
  Completion completion;
  const absl::Status status = FirstCompletion(ring, "accept (multishot)", &completion);
  if (status.ok()) ring->Close(completion.result, /*reset=*/false);
  return status;
}

}  // namespace

absl::Status ProbeIoUring() {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) != 0) {
    return absl::UnavailableError(absl::StrCat("socketpair: ", strerrordesc_np(errno)));
  }
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  absl::Status status;
  {
    // The ring ends before the sockets that its ops name.
    const std::unique_ptr<Ring> ring = MakeUringRing();
    status = ring->Start();
    if (status.ok()) status = ProbeRecv(ring.get(), sockets);
    if (status.ok()) status = ProbeAccept(ring.get(), listener, client);
  }
  for (const int fd : {sockets[0], sockets[1], listener, client}) {
    if (fd >= 0) close(fd);
  }
  return status;
}

}  // namespace sallyport
