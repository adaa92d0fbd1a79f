// SimRing's verbs that act at once.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/limits.h"
#include "proxy/pipe_pool.h"
#include "tests/sim/arrival.h"
#include "tests/sim/failure.h"
#include "tests/sim/kernel_tx.h"
#include "tests/sim/sim_ring.h"
#include "tests/sim/tap.h"

namespace sallyport::sim {
namespace {

// What the proxy may hold of one direction of a session: a queue that stops the
// reading when it is full, what was under way by then (twice: a batch, and what a cancelled receive
// still brings), what came ahead of its turn, and a pipe.
constexpr int64_t kHeldMax =
    kQueueHighWater + 3 * kReceiveBytesMax + kHeldBytesMax + PipePool::kPipeSize;

}  // namespace

Wire* SimRing::Socket(int fd, const char* verb) {
  File& file = host_.net.file(fd, verb);
  if (file.kind != File::Kind::kSocket || !file.connected) {
    Fail(std::string(verb) + " on what is no connected socket");
  }
  return file.wire;
}

int SimRing::OpenSocket(const Address&) {
  if (host_.Lucky(traits_.open_fails)) return host_.dice.Of({-EMFILE, -ENFILE, -ENOBUFS});
  return host_.net.Add({});
}

void SimRing::Tune(int fd, const SocketTuning&) { host_.net.file(fd, "Tune"); }

Address SimRing::PeerAddress(int fd) {
  last_client_ = Socket(fd, "PeerAddress");
  return SocketAddress(last_client_->arrival->peer);
}

Address SimRing::OwnAddress(int fd) {
  const Arrival& arrival = *Socket(fd, "OwnAddress")->arrival;
  return SocketAddress(arrival.peer.has_value() ? std::optional(arrival.own) : std::nullopt);
}

// A connection that breaks under way: a router, a cable.
bool SimRing::BreaksNow(Wire* wire) { return !wire->reset_to_proxy && host_.Lucky(traits_.breaks); }

// The proxy has taken bytes from a socket.
void SimRing::Took(Wire* wire, size_t count) {
  const bool before = wire->to_proxy.read < wire->tls_from;
  wire->to_proxy.Consume(count);
  if (before && wire->to_proxy.read >= wire->tls_from) {
    TapTaken(wire);
    asked_for_tls_.push_back(wire);
  }
  host_.progress += 1;
  host_.coverage.bytes += count;
  host_.Trace(count);
  const Wire* const other = wire->other;
  // What TLS adds to a server's bytes only makes the bound wider; so does what it will add to those
  // of a client's that are still on their way.
  if (other == nullptr) return;
  const bool dropped = other->to_peer.ended || wire->to_peer.ended || other->reset_to_proxy ||
                       other->peer_gone || other->proxy_gone;
  const size_t header = wire->arrival == nullptr ? 0 : wire->arrival->header.size();
  auto held = static_cast<int64_t>(wire->to_proxy.read - header - wire->tls_overhead -
                                   other->to_peer.written);
  if (other->kernel_tls != nullptr) held -= static_cast<int64_t>(other->kernel_tls->held());
  Require(dropped || held <= kHeldMax, "the proxy holds more than its limits say");
}

int32_t SimRing::RecvNow(int fd, std::span<uint8_t> room) {
  Wire* const wire = Socket(fd, "RecvNow");
  Require(!room.empty(), "RecvNow into an empty room");
  for (const Op& op : ops_) {
    if (op.fd != fd || op.tag.verb != Verb::kRecv) continue;
    Require(DrainAllowed(fd), "RecvNow while the ring holds bytes of this stream");
    ++host_.coverage.drains;
  }
  for (const Ready& ready : waiting_) {
    Require(ready.fd != fd || ready.completion.data.empty(),
            "RecvNow overtakes bytes that a Recv has taken");
  }
  if (BreaksNow(wire)) wire->reset_to_proxy = true;
  if (host_.Lucky(traits_.busy)) return -EAGAIN;
  if (wire->to_proxy.size() == 0) {
    if (wire->reset_to_proxy) return -ECONNRESET;
    return wire->to_proxy.ended ? 0 : -EAGAIN;
  }
  const size_t size = host_.SomeOf(std::min(room.size(), wire->to_proxy.size()), traits_.short_io);
  std::memcpy(room.data(), wire->to_proxy.front().data(), size);
  Took(wire, size);
  return static_cast<int32_t>(size);
}

bool SimRing::DrainAllowed(int) { return !traits_.takes_early || waiting_.empty(); }

// Deliver puts as much of `bytes` on its way to the peer as fits.
int32_t SimRing::Deliver(Wire* wire, std::string_view bytes, bool spliced) {
  if (const int32_t failure = SendFailure(wire); failure < 0) return failure;
  if (bytes.empty()) return 0;
  if (wire->kernel_tls != nullptr) return DeliverRecords(wire, bytes, spliced);
  const size_t room = wire->peer_gone ? bytes.size() : wire->to_peer.room();
  if (room == 0) return -EAGAIN;
  const size_t size = host_.SomeOf(std::min(room, bytes.size()), traits_.short_io);
  Put(wire, bytes.substr(0, size));
  return static_cast<int32_t>(size);
}

int32_t SimRing::SendFailure(Wire* wire) {
  Require(!wire->to_peer.ended, "bytes behind a FIN");
  if (BreaksNow(wire)) wire->reset_to_proxy = true;
  if (wire->reset_to_proxy) return host_.dice.Of({-EPIPE, -ECONNRESET, -ENOMEM, -ENOBUFS});
  return host_.Lucky(traits_.busy) ? -EAGAIN : 0;
}

void SimRing::Put(Wire* wire, std::string_view bytes) {
  if (!wire->to_server) {
    TapToClient(wire, bytes);
  } else if (!wire->secure && !host_.options.allow_cleartext_password) {
    TapToServer(wire, bytes);
  }
  if (wire->peer_gone) {
    wire->reset_to_proxy = true;  // Nobody is there: the answer is a RST.
  } else {
    wire->to_peer.Write(bytes);
  }
  ++host_.progress;
  host_.Trace(bytes.size());
}

int32_t SimRing::SendNow(int fd, std::span<const iovec> parts) {
  Wire* const wire = Socket(fd, "SendNow");
  int32_t sent = 0;
  for (const iovec& part : parts) {
    const std::string_view bytes(static_cast<const char*>(part.iov_base), part.iov_len);
    const int32_t result = Deliver(wire, bytes);
    if (result < 0) return sent > 0 ? sent : result;
    sent += result;
    if (static_cast<size_t>(result) < bytes.size()) break;
  }
  return sent;
}

int32_t SimRing::SpliceNow(int from, int to, size_t size) {
  File& source = host_.net.file(from, "SpliceNow");
  File& sink = host_.net.file(to, "SpliceNow");
  if (source.kind == File::Kind::kPipeRead) {
    std::string& bytes = source.pipe->bytes;
    if (bytes.empty()) return -EAGAIN;
    const int32_t moved =
        Deliver(Socket(to, "SpliceNow"), std::string_view(bytes).substr(0, size), true);
    if (moved > 0) bytes.erase(0, static_cast<size_t>(moved));
    return moved;
  }
  Require(sink.kind == File::Kind::kPipeWrite, "SpliceNow without a pipe");
  const size_t room = sink.pipe->capacity - sink.pipe->bytes.size();
  if (room == 0) return -EAGAIN;
  std::string bytes(std::min({room, size, Socket(from, "SpliceNow")->to_proxy.size() + 1}), '\0');
  const int32_t moved = RecvNow(from, {reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  if (moved <= 0) return moved;
  sink.pipe->bytes.append(bytes, 0, static_cast<size_t>(moved));
  host_.coverage.spliced += static_cast<uint64_t>(moved);
  return moved;
}

int32_t SimRing::OpenPipe(size_t size, int* read_fd, int* write_fd) {
  if (host_.Lucky(traits_.open_fails)) return -EMFILE;
  auto pipe = std::make_shared<PipeBuffer>();
  // The kernel may give one page only.
  pipe->capacity = host_.dice.OneIn(4) ? host_.dice.Of<size_t>({4096, 65536}) : size;
  *read_fd = host_.net.Add({.kind = File::Kind::kPipeRead, .pipe = pipe});
  *write_fd = host_.net.Add({.kind = File::Kind::kPipeWrite, .pipe = pipe});
  return static_cast<int32_t>(pipe->capacity);
}

void SimRing::ShutdownSend(int fd) {
  File& file = host_.net.file(fd, "ShutdownSend");
  Require(file.connected, "ShutdownSend of what is no connected socket");
  Require(!file.wire->to_peer.ended, "a second FIN");
  if (KernelTx* const kernel = file.wire->kernel_tls.get(); kernel != nullptr) {
    Require(kernel->held() == 0, "a FIN overtakes a record");
  }
  file.wire->to_peer.ended = true;
  ++host_.progress;
}

void SimRing::Close(int fd, bool reset) {
  for (const Op& op : ops_) Require(op.fd != fd, "Close of an fd with an op in flight");
  if (Wire* const wire = host_.net.file(fd, "Close").wire; wire && wire->kernel_tls != nullptr) {
    PushRecords(wire);
    std::erase(encrypted_, wire);
  }
  host_.net.Close(fd, reset);
  ++host_.progress;
}

}  // namespace sallyport::sim
