#include "proxy/connection.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "packet/check.h"
#include "proxy/limits.h"
#include "proxy/log/log.h"

namespace sallyport {
namespace {

// Of a log-in that the server did not accept.
LoginOutcome OutcomeOf(CloseReason reason) {
  if (reason == CloseReason::kLoginFailed) return LoginOutcome::kRefusedByServer;
  const bool here =
      reason == CloseReason::kSecretRefused || reason == CloseReason::kPasswordUnusable;
  return here ? LoginOutcome::kRefusedHere : LoginOutcome::kUnfinished;
}

}  // namespace

Connection::Connection(Workbench* bench, std::shared_ptr<const Service> service, uint64_t id,
                       uint32_t slot, uint16_t generation, int client_fd, const Visitor& visitor)
    : bench_(bench),
      service_(std::move(service)),
      id_(id),
      slot_(slot),
      generation_(generation),
      session_(service_->session),
      visitor_(visitor),
      started_ms_(bench->ring->now_ms()),
      started_us_(bench->ring->now_us()),
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
  client_text_ = (visitor_.met ? visitor_.address : ring().PeerAddress(fd)).ToString();
  // Now: once the client has left, its socket doesn't know any more.
  if (service().proxy_protocol_out != 0) visitor_.destination = ToEndpoint(ring().OwnAddress(fd));
  if (!visitor_.header_due) Begin();
  Settle();
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
      if (completion.tag.side >= kFailurePoll) return OnFailurePoll(completion.result);
      return completion.tag.side >= kReadPoll
                 ? OnReadPoll(static_cast<Side>(completion.tag.side - kReadPoll))
                 : OnSendPoll(side);
    case Verb::kAccept:
      break;
  }
  SALLYPORT_CHECK(false);  // No op of a connection.
}

void Connection::Count() {
  if (session_.phase() != noted_phase_) NotePhase();
  if (!server_answered_ && links_[Side::kServer].bytes_received > 0) NoteServerAnswered();
  if (!greeting_learned_ && session_.server_traits() != nullptr) {
    greeting_learned_ = true;
    server_state().greeting().Learn(*session_.server_traits());
  }
  const SessionSummary& summary = session_.summary();
  if (summary.logged_in && !login_counted_) {
    login_counted_ = true;
    bench_->stats->logins.At(summary.plugin, LoginOutcome::kAccepted).Add();
    bench_->stats->login_time.Observe(ring().now_us() - started_us_);
  }
  if (!summary.tls.version.empty() && !handshake_counted_) {
    handshake_counted_ = true;
    bench_->stats->tls_handshakes.At(summary.tls.cipher, summary.tls.resumed).Add();
    bench_->stats->tls_handshake_time.Observe(
        DurationUs(Phase::kTlsHandshake, Phase::kHandshakeResponse));
    if (summary.tls.client_certificate.has_value()) bench_->stats->client_certificates.Add();
  }
}

// Phases that were passed over are reached with the one that was found.
void Connection::NotePhase() {
  const Phase phase = session_.phase();
  if (phase <= noted_phase_ || phase > Phase::kCommand) return;
  const uint64_t now_us = ring().now_us() - started_us_;
  for (auto p = static_cast<size_t>(noted_phase_) + 1; p <= static_cast<size_t>(phase); ++p) {
    reached_us_[p] = now_us;
  }
  noted_phase_ = phase;
}

// From reaching one phase to reaching another, or to the end; 0 where it was never reached.
uint64_t Connection::DurationUs(Phase from, Phase to) const {
  if (noted_phase_ < from) return 0;
  const uint64_t end_us = noted_phase_ >= to ? reached_us_[static_cast<size_t>(to)]
                                             : bench_->ring->now_us() - started_us_;
  return end_us - reached_us_[static_cast<size_t>(from)];
}

// --- Deadlines.

Connection::Stage Connection::CurrentStage() const {
  if (session_.closed()) return Stage::kLinger;
  if (session_.client_finished()) return Stage::kExcuse;
  if (visitor_.header_due) return Stage::kHeader;
  return session_.phase() == Phase::kCommand ? Stage::kCommand : Stage::kLogin;
}

uint64_t Connection::Deadline() const {
  switch (stage_) {
    case Stage::kHeader:
      return stage_ms_ + kProxyHeaderMsMax;
    case Stage::kLogin:
      if (look_again_ms_ != 0) return look_again_ms_;
      return links_[Side::kServer].connect_in_flight ? attempt_deadline_ms_
                                                     : stage_ms_ + service().handshake_timeout_ms;
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
  constexpr packet::Error kNoHeader = {
      1159, "08S01", "Got timeout reading the PROXY header that has to come from this address"};
  switch (stage_) {
    case Stage::kHeader:
      return RefuseArrival(CloseReason::kBadProxyHeader, &kNoHeader);
    case Stage::kLogin:
      if (look_again_ms_ != 0) {
        Begin();
        return Settle();
      }
      if (links_[Side::kServer].connect_in_flight) {
        return ring().Cancel(Tag(Verb::kConnect, Side::kServer));
      }
      session_.Refuse(
          CloseReason::kHandshakeTimeout,
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

void Connection::Shutdown(CloseReason reason) {
  if (closing_) return;
  if (visitor_.header_due) session_.ServerAbsent();
  if (session_.phase() == Phase::kCommand) {
    session_.Close(reason, &bench_->outboxes);
  } else {
    session_.Refuse(reason, {1053, "08S01", "Server shutdown in progress"}, &bench_->outboxes);
  }
  SendOutboxes(false);
  Settle();
}

bool Connection::LinkIsDone(Side side) const {
  const Link& link = links_[side];
  if (link.broken || !link.connected) return true;
  if (side == Side::kServer) return !HasUnsent(side);
  return link.end_sent && link.ended;
}

void Connection::BeginClose() {
  if (closing_) return;
  closing_ = true;
  bench_->timers->Clear(&timer_);
  for (const Side side : kBothSides) {
    const Link& link = links_[side];
    if (link.recv_in_flight && !link.recv_cancelled) ring().Cancel(Tag(Verb::kRecv, side));
    if (link.send_poll_in_flight) ring().Cancel(Tag(Verb::kPoll, side));
    if (link.read_poll_in_flight) ring().Cancel(Tag(Verb::kPoll, side, kReadPoll));
    if (link.failure_poll_in_flight) ring().Cancel(Tag(Verb::kPoll, side, kFailurePoll));
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
    const bool reset =
        reason == (side == Side::kClient ? CloseReason::kServerError : CloseReason::kClientError);
    DropPipe(side);
    link.queue.Clear();
    if (link.fd >= 0) ring().Close(link.fd, reset);
    link.fd = -1;
  }
  NoteServerSilent();
  LeaveServer();
  for (const Side side : kBothSides) CountWaiting(side);
  CountEnd();
  LogEnd();
  bench_->finished.push_back(this);
}

void Connection::CountEnd() const {
  const SessionSummary& summary = session_.summary();
  const CloseReason reason = session_.reason();
  Stats& stats = *bench_->stats;
  stats.connections_ended.At(reason).Add();
  if (summary.logged_in) {
    stats.session_time.Observe(DurationUs(Phase::kCommand, Phase::kClosed));
  } else if (noted_phase_ >= Phase::kAuth || !summary.plugin.empty()) {
    stats.logins.At(summary.plugin, OutcomeOf(reason)).Add();
  }
  if (reason == CloseReason::kTlsFailed) stats.tls_handshake_failures.At(summary.detail).Add();
  if (reason == CloseReason::kUserNotCertified) stats.users_not_certified.Add();
  if (reason == CloseReason::kSecretRefused) stats.secrets_refused.Add();
  if (summary.mediated) stats.passwords_mediated.Add();
  if (summary.throwaway_login) stats.throwaway_logins.Add();
}

void Connection::LogEnd() const {
  const SessionSummary& summary = session_.summary();
  const uint64_t now_ms = bench_->ring->now_ms();
  if (!summary.logged_in && !bench_->failed_lines.Allow(now_ms)) return;
  const uint64_t duration_ms = now_ms - started_ms_;
  Line line("connection ended");
  line.Add("id", id_);
  if (!service_->name.empty()) line.Add("listener", service_->name);
  line.Add("client", client_text_);
  if (visitor_.via.family() != AF_UNSPEC) line.Add("via", visitor_.via.ToString());
  line.Add("server", server_text());
  line.Add("server_thread", summary.thread_id).Add("user", summary.user);
  line.Add("db", summary.database);
  line.Add("tls", summary.tls_used ? summary.tls.version : "none");
  line.Add("cipher", summary.tls.cipher).Add("group", summary.tls.group);
  line.Add("sni", summary.sni).Add("resumed", summary.tls.resumed);
  if (summary.tls.client_certificate.has_value()) {  // In a refused handshake: the refused one.
    line.Add("client_certificate", summary.tls.client_certificate->subject);
  }
  line.Add("kernel_tls", summary.kernel_tls);
  line.Add("plugin", summary.plugin).Add("mediated", summary.mediated ? "yes" : "no");
  line.Add("login", summary.logged_in ? "ok" : summary.server_error > 0 ? "refused" : "none");
  line.Add("server_errno", summary.server_error);
  line.Add("bytes_from_client", links_[Side::kClient].bytes_received);
  line.Add("bytes_from_server", links_[Side::kServer].bytes_received);
  line.Add("dial_ms", links_[Side::kServer].connected ? dialled_ms_
                      : tried_.empty()                ? 0
                                                      : now_ms - dial_ms_);
  line.Add("tls_ms", Duration(Phase::kTlsHandshake, Phase::kHandshakeResponse));
  line.Add("auth_ms", Duration(Phase::kAuth, Phase::kCommand));
  line.Add("session_ms", Duration(Phase::kCommand, Phase::kClosed));
  line.Add("duration_ms", duration_ms).Add("reason", ToText(session_.reason()));
  if (!summary.detail.empty()) line.Add("detail", summary.detail);
  // Somebody may be in the middle.
  if (session_.reason() == CloseReason::kServerKeyDiffers) return LogWarning(line);
  LogInfo(line);
}

}  // namespace sallyport
