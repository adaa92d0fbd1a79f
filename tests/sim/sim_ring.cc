#include "tests/sim/sim_ring.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/limits.h"
#include "proxy/pipe_pool.h"
#include "tests/sim/addresses.h"
#include "tests/sim/arrival.h"
#include "tests/sim/failure.h"
#include "tests/sim/kernel_tx.h"
#include "tests/sim/tap.h"

namespace sallyport::sim {
namespace {

constexpr int32_t kHangs = 1;

}  // namespace

SimRing::~SimRing() {
  // As Ring promises: connections that were accepted and never handed out are closed here.
  for (const Ready& ready : waiting_) {
    const Completion& completion = ready.completion;
    if (completion.tag.verb != Verb::kAccept || completion.result < 0) continue;
    host_.net.Close(completion.result, true);
  }
}

absl::Status SimRing::Start() {
  Require(!std::exchange(started_, true), "Start called twice");
  now_ms_ = host_.now_ms;
  return absl::OkStatus();
}

// --- Ops.

void SimRing::Submit(Op op) {
  const auto same = [&](const auto& other) { return other.tag == op.tag; };
  Require(std::none_of(ops_.begin(), ops_.end(), same), "an op with this tag is in flight");
  for (const Ready& ready : waiting_) {
    Require(ready.completion.more || !same(ready.completion), "an op's last completion waits");
  }
  if (Net::IsSimulated(op.fd)) host_.net.file(op.fd, "op");
  ops_.push_back(op);
  ++host_.progress;
  // The submission queue is full: the kernel works in the middle of a batch.
  if (traits_.takes_early && host_.Lucky(traits_.queue_full)) {
    ++host_.coverage.early_takes;
    Enter();
  }
}

void SimRing::Accept(int fd, OpTag tag) { Submit({.tag = tag, .fd = fd}); }

void SimRing::Connect(int fd, const Address* address, OpTag tag) {
  Require(address->is_unix() == host_.options.unix_server, "Connect to another address");
  // The first op of a connection, this one or a Recv from its client, comes right behind the
  // question for its client's address.
  const Owner& owner = OwnerOf(tag);
  Op op{.tag = tag, .fd = fd};
  const Arrival& arrival = *owner.client->arrival;
  Require(host_.options.hostile ||
              (arrival.welcome() && owner.client->to_proxy.read >= arrival.header.size()),
          "a server is dialled for a client without its PROXY header");
  const std::vector<bool>& down = host_.options.servers_down;
  const size_t server_place = ServerPlaceOf(*address);
  Require(server_place < down.size(), "Connect to another server");
  if (down[server_place]) {
    op.connected = -ECONNREFUSED;
    ++host_.coverage.next_servers;
  } else if (host_.options.kernel.connect_hangs != 0 && host_.dice.OneIn(traits_.connect_hangs)) {
    op.connected = kHangs;
  } else if (host_.options.kernel.connect_fails != 0 && host_.dice.OneIn(traits_.connect_fails)) {
    op.connected = host_.dice.Of(
        {-ECONNREFUSED, -EHOSTUNREACH, -EAGAIN, -ETIMEDOUT, -EADDRNOTAVAIL, -ENOBUFS, -ENOMEM});
  } else {
    Wire* const server = host_.Dial();
    server->other = owner.client;
    owner.client->other = server;
    host_.net.file(fd, "Connect").wire = server;
  }
  Submit(op);
}

void SimRing::Recv(int fd, OpTag tag) {
  Socket(fd, "Recv");
  OwnerOf(tag);
  Submit({.tag = tag, .fd = fd});
}

const SimRing::Owner& SimRing::OwnerOf(OpTag tag) {
  if (tag.slot >= owners_.size()) owners_.resize(tag.slot + 1);
  Owner& owner = owners_[tag.slot];
  if (owner.generation != tag.generation) owner = {tag.generation, last_client_};
  return owner;
}

void SimRing::Poll(int fd, uint32_t events, OpTag tag) {
  Submit({.tag = tag, .fd = fd, .events = events});
}

void SimRing::Cancel(OpTag tag) {
  for (Op& op : ops_) {
    if (op.tag != tag) continue;
    op.cancelled = true;
    ++host_.progress;
    ++host_.coverage.cancels;
  }
}

// --- Completions.

SimRing::Ready& SimRing::Complete(const Op& op, int32_t result, bool more) {
  Ready& ready = waiting_.emplace_back();
  ready.completion.tag = op.tag;
  ready.completion.result = result;
  ready.completion.more = more;
  ready.fd = op.fd;
  ++host_.progress;
  ++host_.coverage.completions;
  host_.Trace(ToUserData(op.tag) ^ (static_cast<uint64_t>(static_cast<uint32_t>(result)) << 20));
  return ready;
}

// The kernel's turn: each op may complete, in an order of its own.
void SimRing::Enter() {
  for (Wire* wire : encrypted_) {
    if (!host_.Lucky(traits_.lazy)) PushRecords(wire);
  }
  const size_t count = ops_.size();
  if (count == 0) return;
  const size_t first = host_.dice.Below(count);
  std::vector<Op> ops = std::exchange(ops_, {});
  std::vector<bool> over(count, false);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = (first + i) % count;
    if (waiting_.size() < kCompletionsPerWaitMax && !host_.Lucky(traits_.lazy)) {
      over[at] = Try(ops[at]);
    }
  }
  for (size_t i = 0; i < count; ++i) {
    if (!over[i]) ops_.push_back(ops[i]);
  }
}

bool SimRing::Try(const Op& op) {
  // A Cancel may win, or come too late.
  if (op.cancelled && !host_.Lucky(4)) {
    Complete(op, -ECANCELED, false);
    return true;
  }
  switch (op.tag.verb) {
    case Verb::kAccept:
      return TryAccept(op);
    case Verb::kConnect:
      return TryConnect(op);
    case Verb::kRecv:
      return TryRecv(op);
    case Verb::kPoll:
      return TryPoll(op);
  }
  return false;
}

bool SimRing::TryAccept(const Op& op) {
  std::deque<Wire*>& backlog = host_.net.file(op.fd, "Accept").backlog;
  while (!backlog.empty()) {
    if (host_.Lucky(traits_.accept_fails)) {
      Complete(op, host_.dice.Of({-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ECONNABORTED}), false);
      return true;
    }
    Wire* const wire = backlog.front();
    backlog.pop_front();
    const bool more = !host_.Lucky(8);
    Complete(op, host_.net.Add({.connected = true, .wire = wire}), more);
    if (!more) return true;
    if (host_.Lucky(2)) break;
  }
  return false;
}

bool SimRing::TryConnect(const Op& op) {
  if (op.connected == kHangs) return false;
  File& file = host_.net.file(op.fd, "Connect");
  file.connected = op.connected == 0;
  Complete(op, op.connected, false);
  return true;
}

bool SimRing::TryRecv(const Op& op) {
  Wire* const wire = Socket(op.fd, "Recv");
  if (BreaksNow(wire)) wire->reset_to_proxy = true;
  if (wire->to_proxy.size() > 0) {
    const bool more = !host_.Lucky(traits_.recv_ends);
    if (buffers_used_ >= traits_.buffers) {
      ++host_.coverage.out_of_buffers;
      Complete(op, -ENOBUFS, false);
      return true;
    }
    TakeForRecv(op, wire, more);
    return !more;
  }
  if (wire->reset_to_proxy) {
    Complete(op, host_.dice.Of({-ECONNRESET, -ETIMEDOUT, -EPIPE, -ENOMEM}), false);
    return true;
  }
  if (!wire->to_proxy.ended) return false;
  Complete(op, 0, false);
  return true;
}

void SimRing::TakeForRecv(const Op& op, Wire* wire, bool more) {
  // Mostly one buffer, sometimes neighbours as one span.
  const size_t buffers_free = traits_.buffers - buffers_used_;
  const size_t buffers_most = host_.dice.OneIn(3) ? buffers_free : size_t{1};
  const size_t room = std::min(wire->to_proxy.size(), buffers_most * kRecvBufferSize);
  const size_t size = host_.SomeOf(room, traits_.short_io);
  Ready& ready = Complete(op, static_cast<int32_t>(size), more);
  ready.bytes = std::make_unique<uint8_t[]>(size);
  ready.buffers = (size + kRecvBufferSize - 1) / kRecvBufferSize;
  buffers_used_ += ready.buffers;
  std::memcpy(ready.bytes.get(), wire->to_proxy.front().data(), size);
  ready.completion.data = {ready.bytes.get(), size};
  Took(wire, size);
  ready.completion.more_data = wire->to_proxy.size() > 0 ? !host_.Lucky(8) : host_.Lucky(32);
}

uint32_t SimRing::Revents(int fd, uint32_t events) {
  if (!Net::IsSimulated(fd)) {  // The worker's own eventfd.
    pollfd now{.fd = fd, .events = static_cast<short>(events), .revents = 0};
    poll(&now, 1, 0);
    return static_cast<uint32_t>(now.revents);
  }
  Wire& wire = *Socket(fd, "Poll");
  bool full = wire.to_peer.room() == 0 && !wire.peer_gone;
  if (wire.kernel_tls != nullptr) {
    PushRecords(&wire);
    full = full || !wire.kernel_tls->waiting.empty();
  }
  uint32_t revents = 0;
  if (wire.to_proxy.size() > 0 || wire.to_proxy.ended || host_.Lucky(64)) revents |= POLLIN;
  if (!full) revents |= POLLOUT;
  revents &= events;
  return wire.reset_to_proxy ? revents | POLLERR | POLLHUP : revents;
}

bool SimRing::TryPoll(const Op& op) {
  const uint32_t revents = Revents(op.fd, op.events);
  if (revents == 0) return false;
  Complete(op, static_cast<int32_t>(revents), false);
  return true;
}

// --- Wait.

std::span<const Completion> SimRing::Wait(uint64_t deadline_ms) {
  // No handshake step of the worker's waits, and no byte on its way to it: what the proxy has read,
  // it has made something of.
  if (deadline_ms != 0 && waiting_.empty()) {
    for (Wire* wire : std::exchange(asked_for_tls_, {})) {
      const bool unsent = std::any_of(ops_.begin(), ops_.end(), [&](const Op& op) {
        return (op.events & POLLOUT) != 0 && host_.net.file(op.fd, "Poll").wire == wire;
      });
      TapTold(wire, unsent);
    }
  }
  for (Ready& ready : lent_) {
    buffers_used_ -= ready.buffers;
    std::memset(ready.bytes.get(), 0xEE, ready.completion.data.size());
  }
  lent_.clear();
  batch_.clear();
  // More than one batch had come: the kernel does nothing until that is handed out.
  if (!traits_.takes_early || waiting_.empty() || host_.Lucky(2)) Enter();
  size_t count = std::min(waiting_.size(), kCompletionsPerWaitMax);
  if (traits_.takes_early && count > 0 && host_.Lucky(4)) count = host_.dice.Between(1, count);
  for (; count > 0; --count) {
    batch_.push_back(waiting_.front().completion);
    if (waiting_.front().bytes != nullptr) lent_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  now_ms_ = host_.now_ms;
  deadline_ms_ = deadline_ms;
  return batch_;
}

}  // namespace sallyport::sim
