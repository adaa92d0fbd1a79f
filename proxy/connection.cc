#include "proxy/connection.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "packet/check.h"
#include "proxy/limits.h"
#include "proxy/log/log.h"

namespace sallyport {

Connection::Connection(Workbench* bench, uint64_t id, uint32_t slot, uint16_t generation,
                       int client_fd)
    : bench_(bench),
      id_(id),
      slot_(slot),
      generation_(generation),
      session_(bench->service->session),
      started_ms_(bench->ring->now_ms()),
      active_ms_(started_ms_),
      stage_ms_(started_ms_) {
  timer_.owner = this;
  links_[Side::kClient].fd = client_fd;
  links_[Side::kClient].connected = true;
}

Connection::~Connection() {
  for (const Side side : kBothSides) SALLYPORT_CHECK(links_[side].fd < 0);
}

void Connection::Start() {
  const int fd = links_[Side::kClient].fd;
  client_text_ = ring().PeerAddress(fd).ToString();
  ring().Tune(fd, service().tuning);
  ConnectToServer();
  Settle();
}

// --- The server.

void Connection::ConnectToServer() {
  Link& link = links_[Side::kServer];
  const ServerAddress& server = service().servers[server_index_];
  const int fd = ring().OpenSocket(server.address);
  if (fd < 0) return RefuseUnreachable(-fd);
  link.fd = fd;
  link.connect_in_flight = true;
  ring().Tune(fd, service().tuning);
  ring().Connect(fd, &server.address, Tag(Verb::kConnect, Side::kServer));
}

void Connection::OnConnect(int32_t result) {
  Link& link = links_[Side::kServer];
  link.connect_in_flight = false;
  if (closing_) return CloseIfQuiet();
  if (result >= 0) {
    link.connected = true;
    session_.ServerConnected(service().servers[server_index_].address.is_unix());
    return Settle();
  }
  ring().Close(link.fd, false);
  link.fd = -1;
  if (session_.client_finished()) return DeliverEnd(Side::kServer, true);
  const bool timed_out = result == -ECANCELED;
  if (!timed_out && server_index_ + 1u < service().servers.size()) {
    ++server_index_;
    ConnectToServer();
  } else {
    RefuseUnreachable(timed_out ? ETIMEDOUT : -result);
  }
  Settle();
}

void Connection::RefuseUnreachable(int error) {
  bench_->stats->server_connect_failures.Add();
  const std::string message =
      absl::StrCat("Can't connect to MySQL server on '", service().servers[server_index_].text,
                   "' (", error, ")");
  session_.Refuse(CloseReason::kServerUnreachable, {2003, "HY000", message}, &bench_->outboxes);
  SendOutboxes(false);
}

// --- Completions.

void Connection::OnCompletion(const Completion& completion) {
  const Side side = static_cast<Side>(completion.tag.side);
  switch (completion.tag.verb) {
    case Verb::kConnect:
      return OnConnect(completion.result);
    case Verb::kRecv:
      return OnRecv(side, completion);
    case Verb::kPoll:
      links_[side].poll_in_flight = false;
      if (closing_) return CloseIfQuiet();
      FlushQueue(side);
      return Settle();
    case Verb::kAccept:
      break;
  }
  SALLYPORT_CHECK(false);  // No op of a connection.
}

void Connection::OnRecv(Side side, const Completion& completion) {
  Link& link = links_[side];
  if (!completion.more) link.recv_in_flight = link.recv_cancelled = false;
  if (closing_) return CloseIfQuiet();
  if (completion.result > 0) {
    if (completion.more_data && !link.drain_wanted) {
      link.drain_wanted = true;
      bench_->drains.push_back(this);
    }
    return Deliver(side, completion.data);
  }
  if (completion.result == 0) return DeliverEnd(side, false);
  if (completion.result == -ENOBUFS || completion.result == -ECANCELED) return Settle();
  DeliverEnd(side, true);
}

void Connection::Drain() {
  for (const Side side : kBothSides) {
    Link& link = links_[side];
    if (!std::exchange(link.drain_wanted, false) || closing_) continue;
    if (!link.recv_in_flight || link.recv_cancelled || !ring().DrainAllowed(link.fd)) continue;
    for (int i = 0; i < kDrainsPerTurnMax && !closing_ && WantsRead(side); ++i) {
      const int32_t received = ring().RecvNow(link.fd, bench_->receive_room);
      if (received <= 0) break;  // The Recv op reports the end and errors.
      const auto count = static_cast<size_t>(received);
      Deliver(side, bench_->receive_room.first(count));
      if (count < bench_->receive_room.size()) break;
    }
  }
}

void Connection::Deliver(Side from, std::span<uint8_t> bytes) {
  active_ms_ = ring().now_ms();
  links_[from].bytes_received += bytes.size();
  (from == Side::kClient ? bench_->stats->bytes_from_clients : bench_->stats->bytes_from_servers)
      .Add(bytes.size());
  if (!session_.accepts(from)) return Settle();
  const bool secret = session_.phase() != Phase::kCommand;
  session_.Receive(from, bytes, &bench_->outboxes);
  SendOutboxes(secret);
  Settle();
}

void Connection::DeliverEnd(Side from, bool reset) {
  Link& link = links_[from];
  link.ended = true;
  if (reset) Break(from);
  session_.End(from, reset, &bench_->outboxes);
  SendOutboxes(false);
  Settle();
}

void Connection::Settle() {
  while (session_.again()) {
    const bool secret = session_.phase() != Phase::kCommand;
    session_.Continue(&bench_->outboxes);
    SendOutboxes(secret);
  }
  // A client that said its last and then can't be sent to: nobody will tell us more.
  if (links_[Side::kClient].broken && !session_.accepts(Side::kClient) &&
      !session_.client_finished()) {
    session_.Close(CloseReason::kClientError, &bench_->outboxes);
    SendOutboxes(false);
  }
  Count();
  if (session_.client_finished() && !links_[Side::kClient].end_wanted) {
    links_[Side::kClient].end_wanted = true;
    AfterSend(Side::kClient);
  }
  UpdateReads();
  UpdateDeadline();
  if (session_.closed() && LinkIsDone(Side::kClient) && LinkIsDone(Side::kServer)) BeginClose();
}

void Connection::Count() {
  const SessionSummary& summary = session_.summary();
  if (summary.logged_in && !login_counted_) {
    login_counted_ = true;
    bench_->stats->logins.Add();
  }
  if (!summary.tls.version.empty() && !handshake_counted_) {
    handshake_counted_ = true;
    bench_->stats->tls_handshakes.Add();
    if (summary.tls.resumed) bench_->stats->tls_handshakes_resumed.Add();
  }
}

// --- Sending.

void Connection::SendOutboxes(bool secret) {
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
    size_t size = 0;
    for (const iovec& part : outbox.parts()) size += part.iov_len;
    // Queued bytes go first.
    const int32_t sent = link.queue.empty() ? ring().SendNow(link.fd, outbox.parts()) : -EAGAIN;
    if (sent < 0 && sent != -EAGAIN) return Break(to);
    const size_t skip = sent < 0 ? 0 : static_cast<size_t>(sent);
    if (skip < size) link.queue.Append(outbox.parts(), skip, secret);
  }
  AfterSend(to);
}

void Connection::FlushQueue(Side to) {
  Link& link = links_[to];
  while (!link.queue.empty() && !link.broken) {
    const std::span<const uint8_t> front = link.queue.front();
    const iovec part = {const_cast<uint8_t*>(front.data()), front.size()};
    const int32_t sent = ring().SendNow(link.fd, {&part, 1});
    if (sent == -EAGAIN) break;
    if (sent < 0) return Break(to);
    active_ms_ = ring().now_ms();
    link.queue.Consume(static_cast<size_t>(sent));
  }
  AfterSend(to);
}

void Connection::AfterSend(Side to) {
  Link& link = links_[to];
  if (link.broken || !link.connected) return;
  if (!link.queue.empty()) {
    if (link.poll_in_flight) return;
    link.poll_in_flight = true;
    ring().Poll(link.fd, POLLOUT, Tag(Verb::kPoll, to));
  } else if (link.end_wanted && !link.end_sent) {
    link.end_sent = true;
    ring().ShutdownSend(link.fd);
  }
}

// Nothing can be sent to `side` any more. What it sent before may still be there: Recv tells the end.
void Connection::Break(Side side) {
  Link& link = links_[side];
  link.broken = true;
  link.queue.Clear();
}

// --- Reading.

bool Connection::WantsRead(Side side) const {
  const Link& link = links_[side];
  if (!link.connected || link.ended) return false;
  // What a client sends after its close_notify, or once it was refused, is read and dropped until its
  // FIN: closing on unread bytes would send a RST, which can overtake the ERR_Packet.
  if (side == Side::kClient && !session_.accepts(side)) return true;
  return session_.wants_read(side) && links_[Other(side)].queue.size() <= kQueueHighWater;
}

void Connection::UpdateReads() {
  if (closing_) return;
  for (const Side side : kBothSides) {
    Link& link = links_[side];
    const bool wanted = WantsRead(side);
    if (wanted && !link.recv_in_flight) {
      link.recv_in_flight = true;
      ring().Recv(link.fd, Tag(Verb::kRecv, side));
    } else if (!wanted && link.recv_in_flight && !link.recv_cancelled) {
      link.recv_cancelled = true;
      ring().Cancel(Tag(Verb::kRecv, side));
    }
  }
}

// --- Deadlines.

Connection::Stage Connection::CurrentStage() const {
  if (session_.closed()) return Stage::kLinger;
  if (session_.client_finished()) return Stage::kExcuse;
  return session_.phase() == Phase::kCommand ? Stage::kCommand : Stage::kLogin;
}

uint64_t Connection::Deadline() const {
  switch (stage_) {
    case Stage::kLogin:
      return stage_ms_ + (links_[Side::kServer].connect_in_flight ? service().connect_timeout_ms
                                                                  : service().handshake_timeout_ms);
    case Stage::kCommand:
      if (links_[Side::kClient].ended || links_[Side::kServer].ended) {
        return active_ms_ + kHalfClosedMsMax;
      }
      return service().idle_timeout_ms == 0 ? 0 : active_ms_ + service().idle_timeout_ms;
    case Stage::kExcuse:
      return stage_ms_ + kExcuseMsMax;
    case Stage::kLinger:
      return stage_ms_ + kLingerMsMax;
  }
  return 0;
}

void Connection::UpdateDeadline() {
  if (closing_) return;
  const Stage stage = CurrentStage();
  if (stage != stage_) {
    stage_ = stage;
    stage_ms_ = ring().now_ms();
    bench_->timers->Clear(&timer_);
  }
  const uint64_t deadline = Deadline();
  // In the command phase a deadline only moves on; OnDeadline looks whether it really passed.
  if (deadline == 0) {
    bench_->timers->Clear(&timer_);
  } else if (!timer_.is_set() || deadline < timer_.deadline_ms || stage == Stage::kLogin) {
    if (!timer_.is_set() || timer_.deadline_ms != deadline) bench_->timers->Set(&timer_, deadline);
  }
}

void Connection::OnDeadline() {
  if (Deadline() > ring().now_ms()) return UpdateDeadline();
  switch (stage_) {
    case Stage::kLogin:
      if (links_[Side::kServer].connect_in_flight) {
        return ring().Cancel(Tag(Verb::kConnect, Side::kServer));
      }
      session_.Refuse(CloseReason::kHandshakeTimeout,
                      {1159, "08S01", "Got timeout reading communication packets during the log-in"},
                      &bench_->outboxes);
      break;
    case Stage::kCommand:
      session_.Close(CloseReason::kIdleTimeout, &bench_->outboxes);
      break;
    case Stage::kExcuse:
      session_.End(Side::kServer, true, &bench_->outboxes);
      break;
    case Stage::kLinger:
      return BeginClose();
  }
  SendOutboxes(false);
  Settle();
}

// --- The end.

void Connection::Shutdown() {
  if (closing_) return;
  if (session_.phase() == Phase::kCommand) {
    session_.Close(CloseReason::kShutdown, &bench_->outboxes);
  } else {
    session_.Refuse(CloseReason::kShutdown, {1053, "08S01", "Server shutdown in progress"},
                    &bench_->outboxes);
  }
  SendOutboxes(false);
  Settle();
}

bool Connection::LinkIsDone(Side side) const {
  const Link& link = links_[side];
  if (link.broken || !link.connected) return true;
  if (side == Side::kServer) return link.queue.empty();
  return link.end_sent && link.ended;
}

void Connection::BeginClose() {
  if (closing_) return;
  closing_ = true;
  bench_->timers->Clear(&timer_);
  for (const Side side : kBothSides) {
    const Link& link = links_[side];
    if (link.recv_in_flight && !link.recv_cancelled) ring().Cancel(Tag(Verb::kRecv, side));
    if (link.poll_in_flight) ring().Cancel(Tag(Verb::kPoll, side));
    if (link.connect_in_flight) ring().Cancel(Tag(Verb::kConnect, side));
  }
  CloseIfQuiet();
}

void Connection::CloseIfQuiet() {
  for (const Side side : kBothSides) {
    if (links_[side].in_flight()) return;
  }
  // Each side sees the kind of end that the other made.
  const CloseReason reason = session_.reason();
  for (const Side side : kBothSides) {
    Link& link = links_[side];
    const bool reset = reason == (side == Side::kClient ? CloseReason::kServerError
                                                        : CloseReason::kClientError);
    if (link.fd >= 0) ring().Close(link.fd, reset);
    link.fd = -1;
  }
  LogEnd();
  bench_->finished.push_back(this);
}

void Connection::LogEnd() const {
  const SessionSummary& summary = session_.summary();
  const CloseReason reason = session_.reason();
  Stats& stats = *bench_->stats;
  if (reason == CloseReason::kLoginFailed) stats.login_failures.Add();
  if (reason == CloseReason::kTlsFailed) stats.tls_handshake_failures.Add();
  if (reason == CloseReason::kSecretRefused) stats.secrets_refused.Add();
  if (summary.mediated) stats.passwords_mediated.Add();
  if (summary.throwaway_login) stats.throwaway_logins.Add();
  Line line("connection ended");
  line.Add("id", id_).Add("client", client_text_);
  line.Add("server", service().servers[server_index_].text);
  line.Add("server_thread", summary.thread_id).Add("user", summary.user);
  line.Add("tls", summary.tls_used ? summary.tls.version : "none");
  line.Add("cipher", summary.tls.cipher).Add("resumed", summary.tls.resumed);
  line.Add("plugin", summary.plugin).Add("mediated", summary.mediated ? "yes" : "no");
  line.Add("bytes_from_client", links_[Side::kClient].bytes_received);
  line.Add("bytes_from_server", links_[Side::kServer].bytes_received);
  line.Add("duration_ms", bench_->ring->now_ms() - started_ms_).Add("reason", ToText(reason));
  if (!summary.detail.empty()) line.Add("detail", summary.detail);
  LogInfo(line);
}

}  // namespace sallyport
