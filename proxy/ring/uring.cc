// The Ring on io_uring: MakeUringRing and ProbeIoUring of ring.h. Linux 6.1 or newer.
//
// Byte order. Recv (multishot) and RecvNow read the same socket, so RecvNow must not overtake bytes
// that the kernel has already moved into our buffers. It can't while DrainAllowed, because
//
//   1. io_uring takes bytes from a socket in two places only: while it issues a new SQE, and in the
//      task work of an armed Recv whose socket woke up. With DEFER_TASKRUN both happen on this
//      thread, inside io_uring_enter, and at no other moment.
//   2. Before io_uring_enter returns, each Recv that took bytes has a CQE, in the completion queue
//      or (when that is full) in the kernel's overflow list.
//   3. CQEs leave in the order in which they were made, and a batch hands out a prefix of them.
//
// So when the queue is empty and nothing overflowed, every byte that was ever taken stands in this
// batch or an earlier one, and the next byte of the stream is the socket's first. Nothing is said
// about when a Recv was armed, nor does a submission in the middle of a batch (a full submission
// queue) need care: if the kernel took bytes in it, the queue is not empty any more, and
// DrainAllowed says no until a later batch has handed them out.
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proxy/ring/recv_memory.h"
#include "proxy/ring/socket_ring.h"

namespace sallyport {

namespace {

// A batch of 256 completions asks for one or two ops each; what doesn't fit is submitted early.
constexpr unsigned kSubmissionQueueEntries = 512;
// Overflow works, but is slow, and ends multishot ops. 8192 CQEs (128 KiB) hold an accept storm as
// long as the usual backlog (4096) together with everything else.
constexpr unsigned kCompletionQueueEntries = 8192;
constexpr uint16_t kBufferGroup = 0;
constexpr int kBufferMask = kRecvBufferCount - 1;
static_assert((kRecvBufferCount & (kRecvBufferCount - 1)) == 0, "a buffer ring is a power of two");

// user_data of SQEs whose outcome nobody waits for. No OpTag has a verb of 255.
constexpr uint64_t kNobody = UINT64_MAX;

class UringRing final : public SocketRing {
 public:
  using SocketRing::SocketRing;
  ~UringRing() override;

  absl::Status Start() override;
  const char* name() const override { return "io_uring"; }

  void Accept(int fd, OpTag tag) override;
  void Connect(int fd, const Address* address, OpTag tag) override;
  void Recv(int fd, OpTag tag) override;
  void Poll(int fd, uint32_t events, OpTag tag) override;
  void Cancel(OpTag tag) override;
  bool DrainAllowed(int fd) override;

  std::span<const Completion> WaitOnce(uint64_t deadline_ms) override;

 private:
  // A Poll in flight that is not for POLLIN: see OnPoll.
  struct OutPoll {
    int fd = 0;
    uint32_t events = 0;
    int32_t result = 0;  // What it came to, once that is known.
    bool cancelled = false;
  };

  absl::Status StartBuffers();
  io_uring_sqe* NextSqe();
  io_uring_sqe* NextOp();
  void Submit();

  void ReturnBuffers();
  void Enter(uint64_t deadline_ms);
  void Reap();
  void OnCqe(const io_uring_cqe& cqe);
  bool OnPoll(const io_uring_cqe& cqe, Completion* completion);
  void TakeBuffer(const io_uring_cqe& cqe, Completion* completion);
  bool JoinLast(const Completion& completion);

  void EndOps();
  void DropCompletions();

  io_uring ring_{};
  bool ring_open_ = false;
  size_t ops_in_flight_ = 0;

  RecvMemory memory_;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  std::array<uint16_t, kRecvBufferCount>
      lent_;  // Buffers of this batch, in the order of their use.
  size_t lent_count_ = 0;

  std::array<Completion, kCompletionsPerWaitMax> batch_;
  size_t batch_size_ = 0;

  absl::flat_hash_map<uint64_t, OutPoll> out_polls_;
};

absl::Status Refused(const char* call, int error, const char* likely_cause) {
  const std::string cause = *likely_cause == '\0' ? "" : absl::StrCat(" (", likely_cause, ")");
  return absl::UnavailableError(absl::StrCat(call, ": ", strerrordesc_np(error), cause));
}

const char* LikelyCauseOfSetup(int error) {
  switch (error) {
    case ENOSYS:
      return "a kernel without io_uring, or a sandbox that hides it";
    case EPERM:
      return "seccomp filter of a container, or sysctl kernel.io_uring_disabled";
    case EACCES:
      return "a security module such as SELinux";
    case EINVAL:
      return "kernel older than 6.1";
    case ENOMEM:
      return "out of memory, or of locked memory: RLIMIT_MEMLOCK";
    case EMFILE:
    case ENFILE:
      return "out of file descriptors: RLIMIT_NOFILE";
    default:
      return "";
  }
}

// --- Start and end.

absl::Status UringRing::Start() {
  RingCheck(!ring_open_, "Start called twice");
  io_uring_params params{};
  params.flags =
      // One thread submits, and the kernel may rely on it; DEFER_TASKRUN asks for it.
      IORING_SETUP_SINGLE_ISSUER |
      // Completion work runs when we ask for it, in Wait: no interrupts of the thread, whole
      // batches, and the byte order above.
      IORING_SETUP_DEFER_TASKRUN |
      // A completion queue of our own size (cq_entries) instead of twice the submission queue's.
      IORING_SETUP_CQSIZE |
      // A kernel with smaller limits makes the queues smaller instead of refusing.
      IORING_SETUP_CLAMP |
      // One bad SQE gets its error; those behind it are submitted all the same.
      IORING_SETUP_SUBMIT_ALL;
  params.cq_entries = kCompletionQueueEntries;
  const int error = -io_uring_queue_init_params(kSubmissionQueueEntries, &ring_, &params);
  if (error != 0) return Refused("io_uring_setup", error, LikelyCauseOfSetup(error));
  ring_open_ = true;
  // With EXT_ARG a deadline costs no timeout SQE; with NODROP a full completion queue loses
  // nothing. Every kernel since 5.11 has both.
  constexpr uint32_t kFeatures = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
  if ((ring_.features & kFeatures) != kFeatures) {
    return Refused("io_uring_setup", EINVAL, "kernel older than 6.1");
  }
  // Saves looking up the ring's own fd at each io_uring_enter. Where it fails, it is only slower.
  io_uring_register_ring_fd(&ring_);
  const absl::Status status = StartBuffers();
  if (status.ok()) ReadClock();
  return status;
}

absl::Status UringRing::StartBuffers() {
  const size_t size = kRecvBufferCount * sizeof(io_uring_buf);
  void* const pages =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED || !memory_.Allocate()) return Refused("mmap", ENOMEM, "out of memory");
  buffer_ring_ = static_cast<io_uring_buf_ring*>(pages);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(pages);
  registration.ring_entries = kRecvBufferCount;
  registration.bgid = kBufferGroup;
  const int error = -io_uring_register_buf_ring(&ring_, &registration, 0);
  if (error != 0) {
    return Refused("io_uring_register (buffer ring)", error, LikelyCauseOfSetup(error));
  }
  io_uring_buf_ring_init(buffer_ring_);
  for (size_t i = 0; i < kRecvBufferCount; ++i) lent_[i] = static_cast<uint16_t>(i);
  lent_count_ = kRecvBufferCount;
  ReturnBuffers();
  return absl::OkStatus();
}

UringRing::~UringRing() {
  if (ring_open_) {
    EndOps();
    if (buffer_ring_ != nullptr) io_uring_unregister_buf_ring(&ring_, kBufferGroup);
    io_uring_queue_exit(&ring_);
  }
  if (buffer_ring_ != nullptr) munmap(buffer_ring_, kRecvBufferCount * sizeof(io_uring_buf));
}

// Closing the ring's fd ends its ops too, but later, in a kernel worker: until then a listening
// port stays taken, and connections accepted in between leak. So each op is cancelled and waited
// for.
void UringRing::EndOps() {
  io_uring_sqe* const sqe = NextSqe();
  io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
  io_uring_sqe_set_data64(sqe, kNobody);
  // Every op of ours can be cancelled at once; the bound is for a thread that is not Start's, whose
  // submissions the kernel refuses.
  for (int i = 0; i < 100 && ops_in_flight_ > 0; ++i) {
    __kernel_timespec timeout{.tv_sec = 0, .tv_nsec = 10'000'000};
    io_uring_cqe* unused;
    io_uring_submit_and_wait_timeout(&ring_, &unused, 1, &timeout, nullptr);
    DropCompletions();
  }
  DropCompletions();
}

void UringRing::DropCompletions() {
  unsigned head;
  unsigned count = 0;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    ++count;
    if (cqe->user_data == kNobody) continue;
    if (FromUserData(cqe->user_data).verb == Verb::kAccept && cqe->res >= 0) close(cqe->res);
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) --ops_in_flight_;
  }
  io_uring_cq_advance(&ring_, count);
}

// --- Ops.

void UringRing::Accept(int fd, OpTag tag) {
  io_uring_sqe* const sqe = NextOp();
  // Multishot: one SQE for all connections. No room for the peer's address: it would be overwritten
  // by the next connection before anybody reads it; PeerAddress tells.
  io_uring_prep_multishot_accept(sqe, fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  io_uring_sqe_set_data64(sqe, ToUserData(tag));
}

void UringRing::Connect(int fd, const Address* address, OpTag tag) {
  io_uring_sqe* const sqe = NextOp();
  io_uring_prep_connect(sqe, fd, address->get(), address->size());
  io_uring_sqe_set_data64(sqe, ToUserData(tag));
}

void UringRing::Recv(int fd, OpTag tag) {
  io_uring_sqe* const sqe = NextOp();
  io_uring_prep_recv_multishot(sqe, fd, nullptr, 0, 0);
  // The kernel picks a buffer when there are bytes, not now: an idle connection holds none.
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = kBufferGroup;
  io_uring_sqe_set_data64(sqe, ToUserData(tag));
}

void UringRing::Poll(int fd, uint32_t events, OpTag tag) {
  io_uring_sqe* const sqe = NextOp();
  io_uring_prep_poll_add(sqe, fd, events);
  io_uring_sqe_set_data64(sqe, ToUserData(tag));
  if ((events & POLLIN) == 0) {
    const OutPoll poll = {.fd = fd, .events = events};
    const bool added = out_polls_.emplace(ToUserData(tag), poll).second;
    RingCheck(added, "an op with this tag is in flight");
  }
}

void UringRing::Cancel(OpTag tag) {
  io_uring_sqe* const sqe = NextSqe();
  io_uring_prep_cancel64(sqe, ToUserData(tag), 0);
  // That something was cancelled shows in that op's completion.
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(sqe, kNobody);
  if (const auto at = out_polls_.find(ToUserData(tag)); at != out_polls_.end()) {
    at->second.cancelled = true;
  }
}

bool UringRing::DrainAllowed(int) {
  return io_uring_cq_ready(&ring_) == 0 && !io_uring_cq_has_overflow(&ring_);
}

io_uring_sqe* UringRing::NextSqe() {
  for (;;) {
    io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
    if (sqe != nullptr) return sqe;
    Submit();  // Full. Completions stay where they are until Wait.
  }
}

io_uring_sqe* UringRing::NextOp() {
  ++ops_in_flight_;
  return NextSqe();
}

// What io_uring_enter may answer without anything being wrong: a deadline, a signal, no memory for
// a request just now, a completion queue too full for all that overflowed. What was not submitted
// stays in the queue for the next time.
void CheckEnter(int result) {
  const bool ordinary =
      result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY;
  // EBADR among them: the kernel had no memory to keep a completion, and an op would never end.
  RingCheck(ordinary, "io_uring_enter", -result);
}

void UringRing::Submit() { CheckEnter(io_uring_submit(&ring_)); }

// --- Wait.

std::span<const Completion> UringRing::WaitOnce(uint64_t deadline_ms) {
  ReturnBuffers();
  Enter(deadline_ms);
  Reap();
  ReadClock();
  return {batch_.data(), batch_size_};
}

// In the order of their use, so that they stay neighbours in the ring as in memory: see JoinLast.
void UringRing::ReturnBuffers() {
  for (size_t i = 0; i < lent_count_; ++i) {
    uint8_t* const address = memory_.address(lent_[i] * kRecvBufferSize);
    RecvMemory::Withdraw({address, kRecvBufferSize});
    io_uring_buf_ring_add(buffer_ring_, address, kRecvBufferSize, lent_[i], kBufferMask,
                          static_cast<int>(i));
  }
  io_uring_buf_ring_advance(buffer_ring_, static_cast<int>(lent_count_));
  lent_count_ = 0;
}

void UringRing::Enter(uint64_t deadline_ms) {
  if (io_uring_cq_ready(&ring_) > 0) {
    // More than one batch had come: hand that out before the kernel makes more of it.
    if (io_uring_sq_ready(&ring_) > 0) Submit();
    return;
  }
  const int64_t nanoseconds = NanosecondsUntil(deadline_ms);
  if (nanoseconds == 0) return CheckEnter(io_uring_submit_and_get_events(&ring_));
  // A timeout even where there is no deadline: liburing then returns after one io_uring_enter, also
  // if a signal ended it. A day is short enough for any kernel's arithmetic.
  constexpr int64_t kDay = 86'400'000'000'000;
  const int64_t bounded = std::min(nanoseconds, kDay);
  __kernel_timespec timeout{.tv_sec = bounded / 1'000'000'000, .tv_nsec = bounded % 1'000'000'000};
  io_uring_cqe* unused;
  CheckEnter(io_uring_submit_and_wait_timeout(&ring_, &unused, 1, &timeout, nullptr));
}

void UringRing::Reap() {
  batch_size_ = 0;
  unsigned head;
  unsigned count = 0;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    if (batch_size_ == batch_.size()) break;
    ++count;
    OnCqe(*cqe);
  }
  io_uring_cq_advance(&ring_, count);
}

void UringRing::OnCqe(const io_uring_cqe& cqe) {
  if (cqe.user_data == kNobody) return;
  Completion completion;
  completion.tag = FromUserData(cqe.user_data);
  completion.result = cqe.res;
  completion.more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) TakeBuffer(cqe, &completion);
  if (completion.tag.verb == Verb::kPoll && !OnPoll(cqe, &completion)) return;
  if (!completion.more) --ops_in_flight_;
  if (!JoinLast(completion)) batch_[batch_size_++] = completion;
}

void UringRing::TakeBuffer(const io_uring_cqe& cqe, Completion* completion) {
  const uint16_t buffer = static_cast<uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
  RingCheck(buffer < kRecvBufferCount && lent_count_ < lent_.size(), "a buffer that was not given");
  lent_[lent_count_++] = buffer;
  if (cqe.res <= 0) return;
  completion->data = {memory_.address(buffer * kRecvBufferSize), static_cast<size_t>(cqe.res)};
  RecvMemory::Lend(completion->data);
  // Not every kind of socket counts what is left (unix sockets mostly don't): then a full buffer
  // is the sign.
  completion->more_data =
      (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0 || completion->data.size() == kRecvBufferSize;
}

// JoinLast appends `completion` to the batch's last one if both are bytes of one stream and lie
// side by side in memory: a bulk stream fills buffer after buffer, and one span is one send.
bool UringRing::JoinLast(const Completion& completion) {
  if (batch_size_ == 0 || completion.data.empty()) return false;
  Completion* const last = &batch_[batch_size_ - 1];
  if (last->tag != completion.tag || last->data.empty()) return false;
  if (last->data.data() + last->data.size() != completion.data.data()) return false;
  last->data = {last->data.data(), last->data.size() + completion.data.size()};
  last->result += completion.result;
  last->more = completion.more;
  last->more_data = completion.more_data;
  return true;
}

// The kernel's poll also answers a peer that ended its own stream (POLLRDHUP), asked or not. For
// POLLOUT, or errors alone, that is no answer: a slow reader that has sent FIN would be polled in a
// tight loop. Such a poll goes on as a multishot one, which speaks only when something changes,
// until there is an answer. OnPoll returns true with the answer in `*completion`.
bool UringRing::OnPoll(const io_uring_cqe& cqe, Completion* completion) {
  const auto at = out_polls_.find(cqe.user_data);
  if (completion->result > 0) completion->result &= ~POLLRDHUP;
  if (at == out_polls_.end()) return true;
  OutPoll* const poll = &at->second;
  if (completion->result != 0 && poll->result == 0) poll->result = completion->result;
  if (completion->more) {
    // The multishot poll. It has to be ended, and its last CQE brings the answer out.
    if (poll->result != 0) Cancel(completion->tag);
    return false;
  }
  // The kernel had no answer yet, but had ended the poll before it saw that it is to be cancelled.
  if (poll->result == 0 && poll->cancelled) poll->result = -ECANCELED;
  if (poll->result == 0) {
    io_uring_sqe* const sqe = NextSqe();
    io_uring_prep_poll_multishot(sqe, poll->fd, poll->events);
    io_uring_sqe_set_data64(sqe, cqe.user_data);
    return false;
  }
  completion->result = poll->result;
  out_polls_.erase(at);
  return true;
}

}  // namespace

std::unique_ptr<Ring> MakeUringRing(const RingOptions& options) {
  return std::make_unique<UringRing>(options);
}

}  // namespace sallyport
