// Ring: the OS seam. All I/O of a worker goes through these verbs, and nothing above knows whether
// io_uring, epoll or a simulation answers.
//
// Two kinds of verb. Ops (Accept Connect Recv Poll) are submitted with an OpTag and complete later,
// in Wait. The *Now verbs and the rest act at once and never block. Results are counts or -errno,
// as io_uring's `res`.
//
// An op is in flight from its submission until its last completion (`more` false). Memory and file
// descriptors that an op names must stay until then. Only Connect names memory of the caller.
//
// A file descriptor that an op or a *Now verb named is closed by Close, never by close(2): an
// engine may remember things about it.
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
  int32_t result = 0;         // Accept: the new fd. Recv: bytes, 0 at the end. Poll: revents.
  bool more = false;          // The op is still in flight: more completions follow.
  bool more_data = false;     // Recv: the socket probably holds more than `data`.
  std::span<uint8_t> data{};  // Recv: at most kRecvBytesMax bytes, editable, until the next Wait.
};

// What every connected TCP socket gets; ignored for unix sockets.
struct SocketTuning {
  int keepalive_idle_s = 0;      // 0: no keepalive.
  int keepalive_interval_s = 0;  // 0: the sysctl's, as for keepalive_count.
  int keepalive_count = 0;
  int user_timeout_ms = 0;           // TCP_USER_TIMEOUT; 0: the kernel's own.
  std::string congestion_control{};  // TCP_CONGESTION, such as "cubic"; empty: the sysctl's.
};

// One Ring belongs to one thread: the one that calls Start, everything after, and the destructor.
// The destructor ends what is in flight and closes connections that were accepted and never handed
// out; every other fd stays the caller's.
class Ring {
 public:
  virtual ~Ring() = default;

  // Start binds the ring to the calling thread. Call once, first. Not OK: why the kernel refused.
  virtual absl::Status Start() = 0;
  // name: "io_uring" or "epoll".
  virtual const char* name() const = 0;

  // --- Ops. REQUIRES, for all: no op with an equal tag is in flight.

  // Accept (multishot) takes connections from a listening socket until cancelled; each new fd is
  // non-blocking and close-on-exec. Any error ends it, and it may end after a connection: `more`
  // tells. Arm it again, but after a pause for what lasts (-EMFILE -ENFILE -ENOBUFS -ENOMEM): armed
  // at once it fails at once.
  virtual void Accept(int fd, OpTag tag) = 0;

  // Connect starts a connection on a fresh socket of OpenSocket: 0 or -errno. `address` must stay
  // until completion. -EAGAIN: the backlog of a unix socket is full.
  virtual void Connect(int fd, const Address* address, OpTag tag) = 0;

  // Recv (multishot) delivers bytes as they come, into memory that the ring owns and shares between
  // all connections: an idle connection holds none. It ends with result 0 at end of stream, -errno
  // on a failure, -ECANCELED, -ENOBUFS when the shared memory ran out (data is not lost: take
  // it with RecvNow, then arm it again); and it may end after bytes (`more` false, result positive:
  // arm it again).
  virtual void Recv(int fd, OpTag tag) = 0;

  // Poll (one shot) completes with revents once one of `events` (POLLIN, POLLOUT; 0 for neither) or
  // an error (POLLERR, POLLHUP) is there. A peer that has only ended its own stream is no error.
  virtual void Poll(int fd, uint32_t events, OpTag tag) = 0;

  // Cancel asks that the op with this tag end. Its last completion still comes in a later Wait:
  // -ECANCELED, or what it had come to before. Nothing happens when no such op is in flight.
  virtual void Cancel(OpTag tag) = 0;

  // --- Verbs that act at once.

  // OpenSocket makes a non-blocking, close-on-exec stream socket for `address`' family: fd or
  // -errno.
  virtual int OpenSocket(const Address& address) = 0;
  // Tune sets TCP_NODELAY and `tuning`. A socket that refuses an option goes on without it. What is
  // set on a listening socket is inherited by the connections it accepts.
  virtual void Tune(int fd, const SocketTuning& tuning) = 0;
  virtual Address PeerAddress(int fd) = 0;
  // OwnAddress: the one that the peer connected to.
  virtual Address OwnAddress(int fd) = 0;

  // RecvNow reads what is there: bytes, 0 at the end of stream, -EAGAIN when nothing is there.
  // REQUIRES: !room.empty(). While a Recv is in flight on fd, its bytes come in order only if no
  // completion of that Recv in the current batch is unhandled, and DrainAllowed(fd).
  virtual int32_t RecvNow(int fd, std::span<uint8_t> room) = 0;
  // DrainAllowed: the ring has taken no byte from fd that it has not handed out in a batch. Ask
  // right before each RecvNow: any op asked for since, on whatever fd, may have changed the answer.
  // No: leave the bytes to Recv, they come in a later batch.
  virtual bool DrainAllowed(int fd) = 0;

  // SendNow sends from the front of `parts` as much as the socket takes: bytes, -EAGAIN, -EPIPE and
  // so on. It raises no SIGPIPE.
  virtual int32_t SendNow(int fd, std::span<const iovec> parts) = 0;

  // SpliceNow moves up to `size` bytes without copying them, from a socket into a pipe or from a
  // pipe into a socket: bytes, 0 at the end of stream, -EAGAIN when nothing is there or nothing
  // fits. For a socket with a Recv in flight what is said at RecvNow holds. (splice(2);
  // IORING_OP_SPLICE would go to a kernel thread each time.) Unlike SendNow it may raise SIGPIPE.
  virtual int32_t SpliceNow(int from, int to, size_t size) = 0;

  // OpenPipe makes a pipe for SpliceNow, non-blocking and close-on-exec, of about `size` bytes (the
  // kernel may give less): its real size, or -errno. Both ends are closed by Close.
  virtual int32_t OpenPipe(size_t size, int* read_fd, int* write_fd) = 0;

  // EncryptSends makes the kernel encrypt all that is sent on fd from now on (kernel TLS, the
  // sending side): what SendNow and SpliceNow give it becomes records. `crypto_info` is one of the
  // structs of <linux/tls.h>. 0 or -errno; after a failure fd sends as before. Once for a
  // connection.
  virtual int32_t EncryptSends(int fd, std::span<const uint8_t> crypto_info) = 0;
  // ChangeKeys makes the kernel encrypt all that is sent from now on with the keys of another
  // `crypto_info`, of the same version, TLS 1.3, and cipher: 0; or -errno, as always before Linux
  // 6.14, and then the former keys stay. REQUIRES: what was sent last is a record of SendRecordNow,
  // or there is nothing yet: bytes that the kernel holds for a record to be would get the new keys.
  virtual int32_t ChangeKeys(int fd, std::span<const uint8_t> crypto_info) = 0;
  // SendRecordNow sends a record of another type than data: 0, or -EAGAIN and so on. REQUIRES: fd
  // encrypts its sends. Only where a Poll said that fd can be sent to, and nothing was since, is it
  // certain that a FIN may follow at once: the kernel may hold records back that shutdown(2)
  // doesn't know of, up to one, and this call is what pushes them out, where there is room for
  // them.
  virtual int32_t SendRecordNow(int fd, uint8_t type, std::span<const uint8_t> content) = 0;

  // ShutdownSend sends FIN. Errors (the peer is gone already) don't matter and aren't told.
  virtual void ShutdownSend(int fd) = 0;
  // Close. REQUIRES: no op in flight on fd. `reset`: RST instead of FIN (SO_LINGER 0).
  virtual void Close(int fd, bool reset) = 0;

  // --- The loop.

  // Wait submits what was asked for, blocks until a completion is there or `deadline_ms` (of
  // now_ms's clock; UINT64_MAX: no deadline) has passed, and returns a batch. It is empty at the
  // deadline, after a signal, and now and then for reasons of the engine. A deadline in the past
  // polls. The batch and its data live until the next Wait.
  virtual std::span<const Completion> Wait(uint64_t deadline_ms) = 0;
  // now_ms is CLOCK_MONOTONIC in milliseconds as read at the end of the last Wait (or Start).
  virtual uint64_t now_ms() const = 0;
  // now_us is the same moment in microseconds; clock_us reads that clock anew (some 20 ns).
  virtual uint64_t now_us() const { return now_ms() * 1000; }
  virtual uint64_t clock_us() const { return now_us(); }
};

// Limits of a ring.
// Shared receive memory: small enough to stay in the L2 cache, large enough for a batch.
inline constexpr size_t kRecvBufferSize = 4096;
inline constexpr size_t kRecvBufferCount = 64;
// What one completion of Recv holds at most: neighbouring buffers of one stream come as one span.
inline constexpr size_t kRecvBytesMax = kRecvBufferSize * kRecvBufferCount;
// Completions that one Wait hands out at most, so that one turn of the loop stays bounded.
inline constexpr size_t kCompletionsPerWaitMax = 256;

// ProbeIoUring says whether this kernel, this process's seccomp filter and the sysctls allow the
// ring that MakeUringRing makes, by making one and using it; if not, the likely cause in words for
// the log: "io_uring_setup: Operation not permitted (seccomp filter of a container, or sysctl
// kernel.io_uring_disabled)".
absl::Status ProbeIoUring();

struct RingOptions {
  // How long Wait may look for completions before it blocks, where that pays (spin.h); 0: never.
  uint32_t spin_us = 0;
};
std::unique_ptr<Ring> MakeUringRing(const RingOptions& options = {});
std::unique_ptr<Ring> MakeEpollRing(const RingOptions& options = {});

// ProbeEncryptSends tries EncryptSends on a connection over loopback; if it fails, the likely cause
// in words for the log. `changes_keys`, where it isn't null: whether ChangeKeys works then.
absl::Status ProbeEncryptSends(std::span<const uint8_t> crypto_info, bool* changes_keys);

// Listen makes a listening TCP or unix socket: non-blocking, close-on-exec. TCP: SO_REUSEADDR,
// SO_REUSEPORT, and IPV6_V6ONLY so that [::] and 0.0.0.0 don't collide. Unix: a socket file that
// nobody listens on (its owner crashed) is replaced; one in use, or a file that is no socket, is
// left alone and told. The status names the address and the reason.
absl::StatusOr<int> Listen(const Address& address, int backlog);
// LocalAddress of a socket: tells the port that port 0 became.
Address LocalAddress(int fd);

}  // namespace sallyport

#endif  // PROXY_RING_RING_H_
