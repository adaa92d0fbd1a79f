// Connection's moving of bytes: reading the three ways, sending, back-pressure.
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "proxy/connection.h"
#include "proxy/kernel_tls.h"
#include "proxy/limits.h"

namespace sallyport {

// --- Reading.

void Connection::OnRecv(Side side, const Completion& completion) {
  Link& link = links_[side];
  if (!completion.more) link.recv_in_flight = link.recv_cancelled = false;
  if (closing_) return CloseIfQuiet();
  if (completion.result > 0) {
    bench_->turn_ring_bytes += completion.data.size();
    if (completion.more_data) WantDrain(side);
    return Take(side, completion.data);
  }
  if (completion.result == 0) return DeliverEnd(side, false);
  if (completion.result == -ENOBUFS) {
    bench_->stats->receive_ring_exhausted.Add();
    // Not armed again at once: where thousands want a buffer, most would only be told so again, and
    // again, before their turn came.
    return WantDrain(side);
  }
  if (completion.result == -ECANCELED) return Settle();
  DeliverEnd(side, true);
}

void Connection::WantDrain(Side side) {
  if (!std::exchange(links_[side].drain_wanted, true)) bench_->drains.push_back(this);
}

void Connection::Drain() {
  for (const Side side : kBothSides) {
    Link& link = links_[side];
    if (!std::exchange(link.drain_wanted, false) || closing_) continue;
    for (int i = 0; i < kDrainsPerTurnMax && WantsRead(side) && !link.bulk; ++i) {
      // Asked anew each time: what Take submits may make the kernel receive for the Recv op. One
      // that ended (ENOBUFS) has handed out all that it took.
      const bool in_order =
          !link.recv_in_flight || (!link.recv_cancelled && ring().DrainAllowed(link.fd));
      if (!in_order) break;
      // The end is left to the Recv op. An error is told only once: remembered, for that op.
      const int32_t received = ring().RecvNow(link.fd, bench_->receive_room);
      if (received < 0 && received != -EAGAIN) Break(side);
      if (received <= 0) break;
      const auto count = static_cast<size_t>(received);
      Take(side, bench_->receive_room.first(count));
      if (closing_) return;
      if (count < bench_->receive_room.size()) break;
    }
    if (link.turn_bytes >= kBulkBytesMin && session_.phase() == Phase::kCommand) link.bulk = true;
    UpdateReads();
  }
}

void Connection::OnReadPoll(Side side) {
  Link& link = links_[side];
  link.read_poll_in_flight = false;
  if (closing_) return CloseIfQuiet();
  if (!WantsRead(side)) return Settle();
  size_t moved = 0;
  int32_t last = -EAGAIN;
  for (int i = 0; i < kDrainsPerTurnMax && WantsRead(side); ++i) {
    // Take arms it where bulk was over before this Poll completed; what it takes comes first.
    if (link.recv_in_flight) break;
    last = ReadBulkOnce(side);
    if (closing_) return;
    if (last <= 0) break;
    moved += static_cast<size_t>(last);
  }
  if (link.piped == 0) DropPipe(side);
  if (last == 0 || (last < 0 && last != -EAGAIN)) return DeliverEnd(side, last < 0);
  if (moved < kBulkBytesMin) link.bulk = false;
  Settle();
}

int32_t Connection::ReadBulkOnce(Side from) {
  if (session_.passes_through(from) && !HasUnsent(Other(from))) {
    Link& link = links_[from];
    if (!link.pipe) link.pipe = bench_->pipes.Borrow(&ring());
    if (link.pipe) return SpliceOnce(from);
    bench_->stats->pipes_refused.Add();
  }
  const int32_t received = ring().RecvNow(links_[from].fd, bench_->receive_room);
  if (received > 0) Take(from, bench_->receive_room.first(static_cast<size_t>(received)));
  return received;
}

int32_t Connection::SpliceOnce(Side from) {
  Link& link = links_[from];
  const int32_t moved = ring().SpliceNow(link.fd, link.pipe.write_fd, link.pipe.capacity);
  if (moved > 0) {
    const auto count = static_cast<size_t>(moved);
    CountReceived(from, count, Way::kSpliced);
    link.piped += count;
    PushPipe(from);
  }
  return moved;
}

// Sends what is in `from`'s pipe. What doesn't go now waits there for OnSendPoll.
void Connection::PushPipe(Side from) {
  Link& link = links_[from];
  Link& to = links_[Other(from)];
  while (link.piped > 0) {
    const int32_t moved =
        to.broken ? -EPIPE : ring().SpliceNow(link.pipe.read_fd, to.fd, link.piped);
    if (moved == -EAGAIN) break;
    if (moved <= 0) {
      Break(Other(from));
      return DropPipe(from);
    }
    link.piped -= static_cast<size_t>(moved);
  }
  AfterSend(Other(from));
}

// Gives the pipe back, with whatever is in it.
void Connection::DropPipe(Side from) {
  Link& link = links_[from];
  if (!link.pipe) return;
  bench_->pipes.Return(&ring(), std::exchange(link.pipe, {}), link.piped == 0);
  link.piped = 0;
}

void Connection::CountReceived(Side from, size_t count, Way way) {
  Link& link = links_[from];
  active_ms_ = ring().now_ms();
  link.bytes_received += count;
  bench_->stats->bytes_received.At(from, way).Add(count);
  if (link.turn != bench_->turn) {
    link.turn = bench_->turn;
    link.turn_bytes = 0;
  }
  link.turn_bytes += count;
}

// Brings the worker's gauges up to what waits for `to`, and in the pipe towards it. Unsigned: what
// became less is added modulo 2^64.
void Connection::CountWaiting(Side to) {
  Link& link = links_[to];
  const size_t queued = link.queue.size();
  if (queued != link.queue_counted) {
    bench_->stats->send_queue_bytes.Add(queued - std::exchange(link.queue_counted, queued));
  }
  Link& from = links_[Other(to)];
  if (from.piped != from.piped_counted) {
    bench_->stats->pipe_bytes.Add(from.piped - std::exchange(from.piped_counted, from.piped));
  }
}

// --- To the session.

void Connection::Take(Side from, std::span<uint8_t> bytes) {
  CountReceived(from, bytes.size(), session_.summary().tls_used ? Way::kTls : Way::kCopied);
  if (from == Side::kClient && visitor_.header_due) return TakeHeader(bytes);
  if (!DeferHandshake(from, bytes)) return Deliver(from, bytes);
  Settle();
}

// A storm of TLS handshakes must not keep established sessions waiting: their steps are set aside,
// and the worker does some after everything else of a turn.
bool Connection::DeferHandshake(Side from, std::span<const uint8_t> bytes) {
  if (from != Side::kClient || service().session.tls == nullptr) return false;
  const Phase phase = session_.phase();
  if (phase != Phase::kTlsHandshake && phase != Phase::kClientReply) return false;
  if (deferred_.size() + bytes.size() > kDeferredBytesMax) {
    StepHandshake();
    return false;
  }
  if (deferred_.empty()) bench_->handshakes.push_back({slot_, generation_});
  deferred_.insert(deferred_.end(), bytes.begin(), bytes.end());
  return true;
}

void Connection::StepHandshake() {
  if (closing_ || deferred_.empty()) return;
  std::vector<uint8_t> bytes = std::exchange(deferred_, {});
  Deliver(Side::kClient, bytes);
}

void Connection::Deliver(Side from, std::span<uint8_t> bytes) {
  if (!session_.accepts(from)) return Settle();
  const bool secret = session_.phase() != Phase::kCommand;
  AskForHandshake();
  session_.Receive(from, bytes, &bench_->outboxes);
  // Or it came in this call: COM_CHANGE_USER begins in the command phase.
  SendOutboxes(secret || session_.phase() != Phase::kCommand);
  Settle();
}

void Connection::DeliverEnd(Side from, bool reset) {
  // What came before the end is worked on before the end; half a header is nothing.
  if (visitor_.header_due) {
    deferred_ = {};
    session_.ServerAbsent();
  }
  if (from == Side::kClient) StepHandshake();
  if (closing_) return;
  Link& link = links_[from];
  link.ended = true;
  // A send that failed took the error of a reset with it: reading then finds a mere end.
  reset = reset || link.broken;
  if (reset) Break(from);
  session_.End(from, reset, &bench_->outboxes);
  SendOutboxes(false);
  Settle();
}

void Connection::Settle() {
  do {
    while (session_.again()) {
      const bool secret = session_.phase() != Phase::kCommand;
      AskForHandshake();
      session_.Continue(&bench_->outboxes);
      SendOutboxes(secret || session_.phase() != Phase::kCommand);
    }
  } while (SignHere());
  if (session_.wants_server()) {
    session_.ServerDialled();
    ConnectToServer(0);
  }
  // A client that said its last and then can't be sent to: nobody will tell us more.
  if (links_[Side::kClient].broken && !session_.accepts(Side::kClient) &&
      !session_.client_finished()) {
    session_.Close(CloseReason::kClientError, &bench_->outboxes);
    SendOutboxes(false);
  }
  HandOver();
  Count();
  if (session_.client_finished() && !links_[Side::kClient].end_wanted) {
    links_[Side::kClient].end_wanted = true;
    AfterSend(Side::kClient);
  }
  UpdateReads();
  UpdateDeadline();
  if (session_.closed() && LinkIsDone(Side::kClient) && LinkIsDone(Side::kServer)) BeginClose();
}

// Kernel TLS: from the first moment after the log-in at which the socket has all that the session
// encrypted, the kernel does that.
void Connection::HandOver() {
  if (hand_over_tried_ || !service().kernel_tls.any() || !session_.can_hand_over()) return;
  const Link& client = links_[Side::kClient];
  if (HasUnsent(Side::kClient) || client.broken || client.end_wanted) return;
  hand_over_tried_ = true;
  const std::optional<tls::WriteKeys> keys = session_.write_keys();
  if (!keys.has_value() || !service().kernel_tls.Takes(*keys)) return;
  if (ring().EncryptSends(client.fd, CryptoInfo(*keys).bytes()) < 0) {
    bench_->stats->kernel_tls_failures.Add();  // Goes on as before.
    return;
  }
  session_.HandOver(service().kernel_tls.ChangesKeys(*keys));
  bench_->stats->kernel_tls_sessions.Add();
}

// What the session wants signed goes to the signers; where they won't, it is signed here: true.
bool Connection::SignHere() {
  if (!session_.signature_wanted()) return false;
  SignatureJob job{bench_->signature_inbox, {slot_, generation_}, session_.TakeSignatureRequest()};
  SignerPool* signers = service().signers;
  if (signers != nullptr) {
    if (signers->Add(&job)) return false;
    bench_->stats->signatures_queue_full.Add();
    bench_->handshake_steps = 0;  // One costs as much as several other steps.
  }
  GiveSignature(job.request.Sign());
  return true;
}

void Connection::GiveSignature(std::span<const uint8_t> signature) {
  session_.Signed(signature, &bench_->outboxes);
  SendOutboxes(true);
}

void Connection::OnSignature(std::span<const uint8_t> signature) {
  if (closing_ || !session_.awaits_signature()) return;  // The client left meanwhile.
  GiveSignature(signature);
  Settle();
}

// --- Sending.

void Connection::SendOutboxes(bool secret) {
  CountForAddress();  // Before a client can know that it failed, and try again.
  for (const Side side : kBothSides) {
    Outbox& outbox = bench_->outboxes[side];
    if (!outbox.empty() || outbox.end) Send(side, outbox, secret);
    outbox.Clear(secret);
  }
}

void Connection::Send(Side to, const Outbox& outbox, bool secret) {
  Link& link = links_[to];
  if (outbox.end) link.end_wanted = true;
  if (!outbox.empty() && link.connected && !link.broken) {
    const size_t size = outbox.size();
    // What waits goes first; and records wait for the poll: SendRecordNow says why.
    const bool waits = HasUnsent(to) || !outbox.controls().empty();
    const int32_t sent = waits ? -EAGAIN : ring().SendNow(link.fd, outbox.parts());
    if (sent < 0 && sent != -EAGAIN) return Break(to);
    const size_t skip = sent < 0 ? 0 : static_cast<size_t>(sent);
    if (skip < size) link.queue.Append(outbox.parts(), skip, secret);
    for (const Outbox::Control& control : outbox.controls()) {
      link.queue.AppendRecord(control.record, size - control.offset);
    }
  }
  AfterSend(to);
}

// The socket takes bytes again: those in the pipe came before those in the queue.
void Connection::OnSendPoll(Side to) {
  Link& link = links_[to];
  link.send_poll_in_flight = false;
  if (closing_) return CloseIfQuiet();
  active_ms_ = ring().now_ms();
  const Side from = Other(to);
  const bool pushes = links_[from].piped > 0;
  if (pushes) PushPipe(from);
  if (links_[from].piped == 0) {
    SendQueued(to, !pushes);
    DropPipe(from);
  }
  AfterSend(to);
  Settle();
}

// Sends what waits in the queue, as far as the socket takes it. `polled`: nothing was sent since
// the Poll. What is sent may use up the room that it told of, so a record behind that needs
// another.
void Connection::SendQueued(Side to, bool polled) {
  Link& link = links_[to];
  while (!link.queue.empty() && !link.broken) {
    int32_t sent;
    if (link.queue.record_next()) {
      if (!polled) return;
      sent = SendRecord(to);
    } else {
      polled = false;
      const std::span<const uint8_t> front = link.queue.front();
      const iovec part = {const_cast<uint8_t*>(front.data()), front.size()};
      sent = ring().SendNow(link.fd, {&part, 1});
      if (sent >= 0) link.queue.Consume(static_cast<size_t>(sent));
    }
    if (sent == -EAGAIN) return;
    if (sent < 0) Break(to);
  }
}

// Sends the record that is next, and changes the keys behind a KeyUpdate.
int32_t Connection::SendRecord(Side to) {
  Link& link = links_[to];
  const tls::ControlRecord& next = link.queue.next_record();
  const int32_t result = ring().SendRecordNow(link.fd, next.type, next.bytes());
  if (result < 0) return result;
  const tls::ControlRecord sent = link.queue.TakeRecord();
  if (!sent.next_keys.has_value()) return 0;
  const int32_t changed = ring().ChangeKeys(link.fd, CryptoInfo(*sent.next_keys).bytes());
  if (changed == 0) {
    session_.KeysChanged();
    return 0;
  }
  Break(to);
  session_.KeysRefused(strerrordesc_np(-changed), &bench_->outboxes);
  SendOutboxes(false);
  return changed;
}

bool Connection::HasUnsent(Side to) const {
  return !links_[to].queue.empty() || links_[Other(to)].piped > 0;
}

void Connection::AfterSend(Side to) {
  Link& link = links_[to];
  CountWaiting(to);
  if (link.broken || !link.connected) return;
  if (HasUnsent(to)) {
    if (link.send_poll_in_flight) return;
    link.send_poll_in_flight = true;
    ring().Poll(link.fd, POLLOUT, Tag(Verb::kPoll, to));
  } else if (link.end_wanted && !link.end_sent) {
    link.end_sent = true;
    ring().ShutdownSend(link.fd);
  }
}

// Nothing can be sent to `side` any more. What it sent before may still be there: reading tells
// the end.
void Connection::Break(Side side) {
  Link& link = links_[side];
  link.broken = true;
  link.queue.Clear();
}

// --- Which sides to read.

bool Connection::WantsRead(Side side) const {
  const Link& link = links_[side];
  if (!link.connected || link.ended || link.piped > 0) return false;
  // What a client sends after its close_notify, or once it was refused, is read and dropped until
  // its FIN: closing on unread bytes would send a RST, which can overtake the ERR_Packet.
  if (side == Side::kClient && !session_.accepts(side)) return true;
  if (side == Side::kClient && link.queue.size() > kClientQueueMax) return false;
  return session_.wants_read(side) && links_[Other(side)].queue.size() <= kQueueHighWater;
}

void Connection::UpdateReads() {
  if (closing_) return;
  for (const Side side : kBothSides) {
    Link& link = links_[side];
    const bool wanted = WantsRead(side);
    if (link.recv_in_flight) {
      // The Recv op's last completion comes before bulk reading begins: byte order.
      if ((wanted && !link.bulk) || link.recv_cancelled) continue;
      link.recv_cancelled = true;
      ring().Cancel(Tag(Verb::kRecv, side));
    } else if (wanted && link.bulk && !link.read_poll_in_flight) {
      link.read_poll_in_flight = true;
      ring().Poll(link.fd, POLLIN, Tag(Verb::kPoll, side, kReadPoll));
    } else if (wanted && !link.bulk && !link.read_poll_in_flight) {
      link.recv_in_flight = true;
      ring().Recv(link.fd, Tag(Verb::kRecv, side));
    }
  }
  WatchForReset();
}

// A client that isn't read, because the server reads nothing, could vanish unseen, and its session
// would last as long as the server does that. (In a log-in handshake_timeout is the bound.) Once
// asked for, the Poll stays, whether reading goes on or not. Nobody watches a server so: what it
// sent before its reset is the client's, however late that reads it.
void Connection::WatchForReset() {
  Link& link = links_[Side::kClient];
  const bool stopped = link.connected && !link.ended && session_.phase() == Phase::kCommand &&
                       !WantsRead(Side::kClient);
  if (!stopped || link.failure_poll_in_flight || link.failure_poll_over) return;
  link.failure_poll_in_flight = true;
  ring().Poll(link.fd, 0, Tag(Verb::kPoll, Side::kClient, kFailurePoll));
}

void Connection::OnFailurePoll(int32_t revents) {
  Link& link = links_[Side::kClient];
  link.failure_poll_in_flight = false;
  link.failure_poll_over = true;
  if (closing_) return CloseIfQuiet();
  // POLLHUP alone is an end in order, and bytes may stand before it; unless a send met the error.
  const bool reset = revents < 0 || (revents & POLLERR) != 0 || link.broken;
  // Where it is read, that tells.
  if (!reset || link.ended || WantsRead(Side::kClient)) return Settle();
  DeliverEnd(Side::kClient, true);
}

}  // namespace sallyport
