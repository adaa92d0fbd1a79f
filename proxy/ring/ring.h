// Ring: the OS seam. All I/O of a worker goes through these verbs, and nothing above knows whether
// io_uring, epoll or a simulation answers.
//
// Two kinds of verb. Ops (Accept Connect Recv Poll) are submitted with an OpTag and complete later, in
// Wait. The *Now verbs and the rest act at once and never block. Results are counts or -errno, as
// io_uring's `res`.
//
// An op is in flight from its submission until its last completion (`more` false). Memory and file
// descriptors that an op names must stay until then. Only Connect names memory of the caller.
#ifndef PROXY_RING_RING_H_
#define PROXY_RING_RING_H_

#include <sys/uio.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/ring/address.h"

namespace sallyport {

enum class Verb : uint8_t { kAccept, kConnect, kRecv, kPoll };

// OpTag is an op's user_data. The generation says how often the slot was reused, so that a late
// completion can't speak to the slot's next owner. `side` is the owner's affair.
struct OpTag {
  uint32_t slot = 0;
  uint16_t generation = 0;
  Verb verb = Verb::kAccept;
  uint8_t side = 0;

  friend bool operator==(OpTag, OpTag) = default;
};
static_assert(sizeof(OpTag) == sizeof(uint64_t));
constexpr uint64_t ToUserData(OpTag tag) { return std::bit_cast<uint64_t>(tag); }
constexpr OpTag FromUserData(uint64_t user_data) { return std::bit_cast<OpTag>(user_data); }

struct Completion {
  OpTag tag;
  int32_t result = 0;             // Accept: the new fd. Recv: bytes, 0 at the end. Poll: revents.
  bool more = false;              // The op is still in flight: more completions follow.
  bool more_data = false;         // Recv: the socket probably holds more than `data`.
  std::span<uint8_t> data;        // Recv: the bytes, editable; valid until the next Wait.
};

// What every connected TCP socket gets; ignored for unix sockets.
struct SocketTuning {
  int keepalive_idle_s = 0;       // 0: no keepalive.
  int keepalive_interval_s = 0;
  int keepalive_count = 0;
  int user_timeout_ms = 0;        // TCP_USER_TIMEOUT; 0: the kernel's own.
};

// One Ring belongs to one thread: the one that calls Start and everything after.
class Ring {
 public:
  virtual ~Ring() = default;

  // Start binds the ring to the calling thread. Call once, first. Not OK: why the kernel refused.
  virtual absl::Status Start() = 0;
  // name: "io_uring" or "epoll".
  virtual const char* name() const = 0;

  // --- Ops. REQUIRES, for all: no op with an equal tag is in flight.

  // Accept (multishot) takes connections from a listening socket until cancelled; each new fd is
  // non-blocking and close-on-exec. It may end by itself after an error (-EMFILE, ...): `more` tells.
  virtual void Accept(int fd, OpTag tag) = 0;

  // Connect starts a connection on a fresh socket of OpenSocket. `address` must stay until completion.
  virtual void Connect(int fd, const Address* address, OpTag tag) = 0;

  // Recv (multishot) delivers bytes as they come, into memory that the ring owns and shares between all
  // connections: an idle connection holds none. It ends with result 0 at end of stream, -errno on a
  // failure, -ENOBUFS when the shared memory ran out (arm it again: data is not lost), -ECANCELED.
  virtual void Recv(int fd, OpTag tag) = 0;

  // Poll (one shot) completes with revents once one of `events` (POLLIN, POLLOUT) or an error is there.
  virtual void Poll(int fd, uint32_t events, OpTag tag) = 0;

  // Cancel asks that the op with this tag end. Its last completion still comes in a later Wait:
  // -ECANCELED, or what it had come to before. Nothing happens when no such op is in flight.
  virtual void Cancel(OpTag tag) = 0;

  // --- Verbs that act at once.

  // OpenSocket makes a non-blocking, close-on-exec stream socket for `address`' family: fd or -errno.
  virtual int OpenSocket(const Address& address) = 0;
  // Tune sets TCP_NODELAY and `tuning`. A socket that refuses an option goes on without it.
  virtual void Tune(int fd, const SocketTuning& tuning) = 0;
  virtual Address PeerAddress(int fd) = 0;

  // RecvNow reads what is there: bytes, 0 at the end of stream, -EAGAIN when nothing is there.
  // Byte order against a Recv in flight on the same fd: legal only while no completion of it from the
  // current batch is unhandled, and only when it was armed before the last Wait (DrainAllowed).
  virtual int32_t RecvNow(int fd, std::span<uint8_t> room) = 0;
  virtual bool DrainAllowed(int fd) = 0;

  // SendNow sends from the front of `parts` as much as the socket takes: bytes or -EAGAIN, -EPIPE, ...
  // It raises no SIGPIPE.
  virtual int32_t SendNow(int fd, std::span<const iovec> parts) = 0;

  // ShutdownSend sends FIN. Errors (the peer is gone already) don't matter and aren't told.
  virtual void ShutdownSend(int fd) = 0;
  // Close. REQUIRES: no op in flight on fd. `reset`: RST instead of FIN (SO_LINGER 0).
  virtual void Close(int fd, bool reset) = 0;

  // --- The loop.

  // Wait submits what was asked for, blocks until a completion is there or `deadline_ms` (of now_ms's
  // clock; UINT64_MAX: no deadline) has passed, and returns a batch, empty at the deadline or after a
  // signal. The batch and its data live until the next Wait.
  virtual std::span<const Completion> Wait(uint64_t deadline_ms) = 0;
  // now_ms is CLOCK_MONOTONIC in milliseconds as read at the end of the last Wait (or Start).
  virtual uint64_t now_ms() const = 0;
};

// Limits of a ring.
// Shared receive memory: small enough to stay in the L2 cache, large enough for a batch.
inline constexpr size_t kRecvBufferSize = 4096;
inline constexpr size_t kRecvBufferCount = 64;
// Completions that one Wait hands out at most, so that one turn of the loop stays bounded.
inline constexpr size_t kCompletionsPerWaitMax = 256;

// ProbeIoUring says whether this kernel and this process's seccomp filter and sysctls allow the ring
// that MakeUringRing makes; if not, the likely cause in words for the log ("io_uring_setup: Operation
// not permitted (seccomp filter of a container, or sysctl kernel.io_uring_disabled)").
absl::Status ProbeIoUring();
std::unique_ptr<Ring> MakeUringRing();
std::unique_ptr<Ring> MakeEpollRing();

// Listen makes a listening TCP or unix socket with SO_REUSEADDR, SO_REUSEPORT (TCP) and IPV6_V6ONLY as
// fits: non-blocking, close-on-exec. The status names the address and the reason.
absl::StatusOr<int> Listen(const Address& address, int backlog);
// LocalAddress of a socket: tells the port that port 0 became.
Address LocalAddress(int fd);

}  // namespace sallyport

#endif  // PROXY_RING_RING_H_
