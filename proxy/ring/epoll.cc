// The Ring on epoll: MakeEpollRing of ring.h. For kernels and sandboxes that refuse io_uring.
//
// A file descriptor is registered once, edge-triggered, and stays registered until it is closed; a
// second epoll_ctl comes only when somebody wants to write (kWriteEvents) after having only read.
// What epoll said is remembered (FdState::ready) until a call proves the contrary, so arming an op,
// ending one and cancelling one cost no system call.
//
// Byte order is simple here: bytes are taken from a socket in Wait only, and handed out by that
// Wait.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proxy/ring/recv_memory.h"
#include "proxy/ring/socket_ring.h"

namespace sallyport {

namespace {

// A stream's bytes, its end, its failure. EPOLLPRI: urgent data cuts a recv short, see NoteRead.
constexpr uint32_t kReadEvents = EPOLLIN | EPOLLPRI | EPOLLRDHUP;
constexpr uint32_t kErrorEvents = EPOLLERR | EPOLLHUP;  // epoll always reports these.
// Separate, because a unix socket reports it again each time its peer has read something.
constexpr uint32_t kWriteEvents = EPOLLOUT;

// Room that one recv gets: a small message uses little of it, a bulk stream leaves some for others.
constexpr size_t kRecvRoomMin = kRecvBufferSize;
constexpr size_t kRecvRoomMax = kRecvBytesMax / 4;
constexpr size_t kEventsPerWaitMax = kCompletionsPerWaitMax;
// Connections that one turn takes from one listening socket.
constexpr int kAcceptsPerTurnMax = 64;

class EpollRing final : public SocketRing {
 public:
  using SocketRing::SocketRing;
  ~EpollRing() override;

  absl::Status Start() override;
  const char* name() const override { return "epoll"; }

  void Accept(int fd, OpTag tag) override;
  void Connect(int fd, const Address* address, OpTag tag) override;
  void Recv(int fd, OpTag tag) override;
  void Poll(int fd, uint32_t events, OpTag tag) override;
  void Cancel(OpTag tag) override;

  int OpenSocket(const Address& address) override;
  int32_t RecvNow(int fd, std::span<uint8_t> room) override;
  bool DrainAllowed(int) override { return true; }
  void Close(int fd, bool reset) override;

  std::span<const Completion> WaitOnce(uint64_t deadline_ms) override;

 private:
  struct Op {
    OpTag tag;
    uint32_t events = 0;  // Of a Poll.
  };

  struct FdState {
    uint32_t registered = 0;  // The events that epoll watches for; 0: it doesn't know the fd.
    uint32_t ready = 0;       // Read and error events that were reported and not disproved since.
    bool queued = false;      // In runnable_.
    absl::InlinedVector<Op, 2> ops;
  };

  FdState& State(int fd);
  void Forget(int fd);
  void Arm(int fd, Op op, uint32_t events);
  int Watch(int fd, uint32_t events);
  OpTag RemoveOp(int fd, size_t index);
  void Decide(OpTag tag, int32_t result);
  static const Op* Reader(const FdState& state);
  static bool Runnable(const FdState& state) {
    return state.ready != 0 && Reader(state) != nullptr;
  }
  void EnqueueIfRunnable(int fd);
  void NoteRead(int fd, int32_t result, size_t room);

  void DropIdle();
  bool Collect(int64_t nanoseconds);
  void OnEvents(int fd, uint32_t events);
  void HandOutDecided();
  void RunReaders();
  void RunRecv(int fd, OpTag tag);
  void RunAccept(int fd, OpTag tag);
  void EndReader(int fd);
  bool BatchFull() const { return batch_size_ == batch_.size(); }
  Completion* Append(OpTag tag, int32_t result, bool more);

  int epoll_fd_ = -1;
  std::vector<FdState> fds_;                     // By fd.
  absl::flat_hash_map<uint64_t, int> fd_of_op_;  // Ops in flight, by user_data.
  std::deque<Completion> decided_;               // Last completions that a later Wait hands out.
  std::vector<int> runnable_;  // First come, first served; some may be idle by now.
  std::vector<int> again_;     // RunReaders' scratch.

  RecvMemory memory_;
  size_t memory_used_ = 0;
  std::array<Completion, kCompletionsPerWaitMax> batch_;
  size_t batch_size_ = 0;
};

// --- Start and end.

absl::Status EpollRing::Start() {
  RingCheck(epoll_fd_ < 0, "Start called twice");
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) {
    return absl::UnavailableError(absl::StrCat("epoll_create1: ", strerrordesc_np(errno)));
  }
  if (!memory_.Allocate()) return absl::UnavailableError("mmap: out of memory");
  ReadClock();
  return absl::OkStatus();
}

EpollRing::~EpollRing() {
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

// --- What is known about an fd.

EpollRing::FdState& EpollRing::State(int fd) {
  RingCheck(fd >= 0, "an op on a negative fd");
  const size_t index = static_cast<size_t>(fd);
  if (index >= fds_.size()) fds_.resize(std::max(index + 1, fds_.size() * 2));
  return fds_[index];
}

// The kernel forgets a closed fd by itself. `queued` stays: it tells what is in runnable_.
void EpollRing::Forget(int fd) {
  FdState& state = State(fd);
  RingCheck(state.ops.empty(), "Close of an fd with an op in flight");
  state.registered = 0;
  state.ready = 0;
}

int EpollRing::OpenSocket(const Address& address) {
  const int fd = SocketRing::OpenSocket(address);
  if (fd >= 0) Forget(fd);
  return fd;
}

void EpollRing::Close(int fd, bool reset) {
  Forget(fd);
  SocketRing::Close(fd, reset);
}

int32_t EpollRing::RecvNow(int fd, std::span<uint8_t> room) {
  const int32_t result = SocketRing::RecvNow(fd, room);
  NoteRead(fd, result, room.size());
  return result;
}

// NoteRead draws the conclusion from a recv: nothing is left after -EAGAIN, nor after a short read.
// Not so when the stream's end or failure was reported, which the next recv has to fetch, or urgent
// data, which cuts a read short though more bytes follow.
void EpollRing::NoteRead(int fd, int32_t result, size_t room) {
  FdState& state = State(fd);
  const bool drained = result > 0 && static_cast<size_t>(result) < room &&
                       (state.ready & ~static_cast<uint32_t>(EPOLLIN)) == 0;
  if (result == -EAGAIN || drained) state.ready = 0;
}

// Watch makes sure that epoll reports `events` of fd. 0 or -errno.
int EpollRing::Watch(int fd, uint32_t events) {
  FdState& state = State(fd);
  if ((state.registered & events) == events) return 0;
  epoll_event event{};
  event.events = state.registered | events | EPOLLET;
  event.data.fd = fd;
  // Either call reports what is ready already, as if it had just happened.
  const int call = state.registered == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll_fd_, call, fd, &event) != 0) return -errno;
  state.registered |= events;
  return 0;
}

// --- Ops.

void EpollRing::Arm(int fd, Op op, uint32_t events) {
  const int error = Watch(fd, events);
  if (error != 0) return Decide(op.tag, error);
  const bool added = fd_of_op_.emplace(ToUserData(op.tag), fd).second;
  RingCheck(added, "an op with this tag is in flight");
  State(fd).ops.push_back(op);
  EnqueueIfRunnable(fd);
}

OpTag EpollRing::RemoveOp(int fd, size_t index) {
  FdState& state = State(fd);
  const OpTag tag = state.ops[index].tag;
  state.ops.erase(state.ops.begin() + static_cast<ptrdiff_t>(index));
  fd_of_op_.erase(ToUserData(tag));
  return tag;
}

void EpollRing::Decide(OpTag tag, int32_t result) {
  Completion completion;
  completion.tag = tag;
  completion.result = result;
  decided_.push_back(completion);
}

void EpollRing::Accept(int fd, OpTag tag) { Arm(fd, Op{.tag = tag}, kReadEvents); }

void EpollRing::Recv(int fd, OpTag tag) { Arm(fd, Op{.tag = tag}, kReadEvents); }

void EpollRing::Connect(int fd, const Address* address, OpTag tag) {
  if (connect(fd, address->get(), address->size()) == 0) return Decide(tag, 0);
  // A connection that a signal interrupts goes on in the kernel.
  if (errno != EINPROGRESS && errno != EINTR) return Decide(tag, -errno);
  // Both kinds of events in one registration: a Recv follows.
  Arm(fd, Op{.tag = tag}, kReadEvents | kWriteEvents);
}

void EpollRing::Poll(int fd, uint32_t events, OpTag tag) {
  // What epoll said last may be out of date, because others than us read and write fd (splice): the
  // kernel is asked. If it says no, a change from here on is an edge that epoll reports.
  pollfd now{.fd = fd, .events = static_cast<short>(events), .revents = 0};
  if (poll(&now, 1, 0) < 0) return Decide(tag, -errno);
  if ((now.revents & POLLNVAL) != 0) return Decide(tag, -EBADF);
  if (now.revents != 0) return Decide(tag, now.revents);
  uint32_t watched = 0;
  if ((events & POLLOUT) != 0) watched |= kWriteEvents;
  // Errors alone are watched by any registration.
  if ((events & POLLIN) != 0 || watched == 0) watched |= kReadEvents;
  Arm(fd, Op{.tag = tag, .events = events}, watched);
}

void EpollRing::Cancel(OpTag tag) {
  const auto at = fd_of_op_.find(ToUserData(tag));
  if (at == fd_of_op_.end()) return;
  const int fd = at->second;
  const auto& ops = State(fd).ops;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].tag == tag) return Decide(RemoveOp(fd, i), -ECANCELED);
  }
}

// --- Wait.

std::span<const Completion> EpollRing::WaitOnce(uint64_t deadline_ms) {
  RecvMemory::Withdraw(memory_.all());
  memory_used_ = 0;
  batch_size_ = 0;
  for (;;) {
    DropIdle();
    HandOutDecided();
    // Those who are ready already don't wait for others, but others get their turn with them.
    const bool idle = batch_size_ == 0 && runnable_.empty();
    const bool interrupted = !Collect(idle ? NanosecondsUntil(deadline_ms) : 0);
    HandOutDecided();
    RunReaders();
    ReadClock();
    if (batch_size_ > 0 || interrupted || now_ms() >= deadline_ms) break;
  }
  return {batch_.data(), batch_size_};
}

// Collect asks epoll, for `nanoseconds` at most. False: a signal came.
bool EpollRing::Collect(int64_t nanoseconds) {
  // Rounded up, or the last millisecond would be a busy loop.
  const int64_t milliseconds = nanoseconds / 1'000'000 + (nanoseconds % 1'000'000 != 0 ? 1 : 0);
  const int timeout =
      nanoseconds == kForever ? -1 : static_cast<int>(std::min<int64_t>(milliseconds, INT32_MAX));
  std::array<epoll_event, kEventsPerWaitMax> events;
  const int count = epoll_wait(epoll_fd_, events.data(), kEventsPerWaitMax, timeout);
  if (count < 0) {
    RingCheck(errno == EINTR, "epoll_wait", errno);
    return false;
  }
  for (int i = 0; i < count; ++i) {
    OnEvents(events[static_cast<size_t>(i)].data.fd, events[static_cast<size_t>(i)].events);
  }
  return true;
}

void EpollRing::OnEvents(int fd, uint32_t events) {
  FdState& state = State(fd);
  state.ready |= events & (kReadEvents | kErrorEvents);
  // Backwards, because RemoveOp moves those behind.
  for (size_t i = state.ops.size(); i-- > 0;) {
    const Op op = state.ops[i];
    if (op.tag.verb == Verb::kConnect && (events & (kWriteEvents | kErrorEvents)) != 0) {
      int error = 0;
      socklen_t size = sizeof(error);
      if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
      Decide(RemoveOp(fd, i), -error);
    } else if (op.tag.verb == Verb::kPoll && (events & (op.events | kErrorEvents)) != 0) {
      // EPOLLIN and its like have poll's own values.
      Decide(RemoveOp(fd, i), static_cast<int32_t>(events & (op.events | kErrorEvents)));
    }
  }
  EnqueueIfRunnable(fd);
}

void EpollRing::HandOutDecided() {
  while (!decided_.empty() && !BatchFull()) {
    batch_[batch_size_++] = decided_.front();
    decided_.pop_front();
  }
}

Completion* EpollRing::Append(OpTag tag, int32_t result, bool more) {
  Completion* const completion = &batch_[batch_size_++];
  *completion = Completion();
  completion->tag = tag;
  completion->result = result;
  completion->more = more;
  return completion;
}

// --- Readers: Accept and Recv.

const EpollRing::Op* EpollRing::Reader(const FdState& state) {
  for (const Op& op : state.ops) {
    if (op.tag.verb == Verb::kAccept || op.tag.verb == Verb::kRecv) return &op;
  }
  return nullptr;
}

void EpollRing::EnqueueIfRunnable(int fd) {
  FdState& state = State(fd);
  if (state.queued || !Runnable(state)) return;
  state.queued = true;
  runnable_.push_back(fd);
}

void EpollRing::DropIdle() {
  std::erase_if(runnable_, [this](int fd) {
    FdState& state = State(fd);
    if (Runnable(state)) return false;
    state.queued = false;
    return true;
  });
}

// RunReaders gives each runnable fd one turn, until the batch or the memory is full. Who had no
// turn stays in front, who wants another goes to the back: nobody starves.
void EpollRing::RunReaders() {
  again_.clear();
  size_t turns = 0;
  while (turns < runnable_.size() && !BatchFull() && kRecvBytesMax - memory_used_ >= kRecvRoomMin) {
    const int fd = runnable_[turns++];
    if (Runnable(State(fd))) {
      const OpTag tag = Reader(State(fd))->tag;
      if (tag.verb == Verb::kAccept) {
        RunAccept(fd, tag);
      } else {
        RunRecv(fd, tag);
      }
    }
    State(fd).queued = Runnable(State(fd));
    if (State(fd).queued) again_.push_back(fd);
  }
  runnable_.erase(runnable_.begin(), runnable_.begin() + static_cast<ptrdiff_t>(turns));
  runnable_.insert(runnable_.end(), again_.begin(), again_.end());
}

void EpollRing::RunRecv(int fd, OpTag tag) {
  const size_t room = std::min(kRecvRoomMax, kRecvBytesMax - memory_used_);
  const std::span<uint8_t> bytes(memory_.address(memory_used_), room);
  RecvMemory::Lend(bytes);
  const int32_t result = RecvNow(fd, bytes);
  const size_t size = static_cast<size_t>(std::max(result, 0));
  RecvMemory::Withdraw(bytes.subspan(size));
  if (result == -EAGAIN) return;
  if (result <= 0) {
    EndReader(fd);
    Append(tag, result, /*more=*/false);
    return;
  }
  // The next recv begins on a cache line of its own.
  constexpr size_t kCacheLine = 64;
  memory_used_ += (size + kCacheLine - 1) / kCacheLine * kCacheLine;
  Completion* const completion = Append(tag, result, /*more=*/true);
  completion->data = bytes.first(size);
  completion->more_data = State(fd).ready != 0;
}

void EpollRing::RunAccept(int fd, OpTag tag) {
  for (int i = 0; i < kAcceptsPerTurnMax && !BatchFull(); ++i) {
    const int accepted = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) {
      Forget(accepted);
      Append(tag, accepted, /*more=*/true);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      State(fd).ready = 0;
      return;
    }
    Append(tag, -errno, /*more=*/false);
    EndReader(fd);
    return;
  }
}

void EpollRing::EndReader(int fd) {
  const Op* const reader = Reader(State(fd));
  RemoveOp(fd, static_cast<size_t>(reader - State(fd).ops.data()));
}

}  // namespace

std::unique_ptr<Ring> MakeEpollRing(const RingOptions& options) {
  return std::make_unique<EpollRing>(options);
}

}  // namespace sallyport
