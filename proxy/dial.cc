// Connection's way to a server: which one, and the next where that fails.
#include <algorithm>
#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "proxy/connection.h"
#include "proxy/limits.h"
#include "proxy/servers/server_log.h"

namespace sallyport {
namespace {

// What lies with this machine is not held against the server.
bool IsOurs(int error) {
  constexpr int kOurs[] = {EAGAIN, EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM};
  return std::find(std::begin(kOurs), std::end(kOurs), error) != std::end(kOurs);
}

ConnectOutcome OutcomeOf(int error) {
  if (error == ECONNREFUSED) return ConnectOutcome::kRefused;
  return error == ETIMEDOUT ? ConnectOutcome::kTimedOut : ConnectOutcome::kFailed;
}

}  // namespace

// The server's greeting comes first, or the proxy's own, for whose words one has to be known.
void Connection::Begin() {
  if (!service().session.greets) return ConnectToServer(0);
  look_again_ms_ = 0;
  const std::vector<ServerAddress>& servers = service().servers;
  const uint64_t now_ms = ring().now_ms();
  GreetingTraits traits;
  if (CommonTraits(servers, &traits)) {
    session_.Greet(MakeGreeting(traits, id_), &bench_->outboxes);
    return SendOutboxes(false);
  }
  const bool all_down = std::all_of(servers.begin(), servers.end(),
                                    [](const auto& server) { return server.state->down(); });
  if (all_down) return RefuseUnreachable(EHOSTDOWN);
  if (now_ms >= started_ms_ + service().connect_timeout_ms) return RefuseUnreachable(ETIMEDOUT);
  look_again_ms_ = now_ms + kGreetingLookMs;
}

// Connects to the next server, or tells the client of `error`, the last one's, where there is none
// that wasn't tried, or no time.
void Connection::ConnectToServer(int error) {
  if (!ChooseNextServer()) {
    return RefuseUnreachable(error == 0 ? ESHUTDOWN : error);  // All are drained.
  }
  Link& link = links_[Side::kServer];
  const ServerAddress& server = service().servers[server_index_];
  const int fd = ring().OpenSocket(server.address);
  if (fd < 0) return RefuseUnreachable(-fd);
  link.fd = fd;
  link.connect_in_flight = true;
  ring().Tune(fd, server.tuning);
  ring().Connect(fd, &server.address, Tag(Verb::kConnect, Side::kServer));
}

bool Connection::ChooseNextServer() {
  LeaveServer();
  const uint64_t now_ms = ring().now_ms();
  const ServerGroup& group = service().groups[service().sni_groups.Find(session_.summary().sni)];
  if (tried_.empty()) {
    dial_ms_ = now_ms;
    server_index_ = static_cast<uint16_t>(group.begin);  // The one to name where there is none.
  }
  const uint64_t end_ms = dial_ms_ + service().connect_timeout_ms;
  if (now_ms >= end_ms) return false;
  const auto servers = std::span(service().servers).subspan(group.begin, group.count);
  const bool takes_turns = servers.size() > 1 && service().balance != Balance::kFirstAvailable;
  const uint32_t turn = takes_turns ? group.turn->fetch_add(1, std::memory_order_relaxed) : 0;
  const size_t place = ChooseServer(service().balance, servers, tried_, turn, now_ms);
  if (place == kNoServer) return false;
  server_index_ = static_cast<uint16_t>(group.begin + place);
  server_counted_ = true;
  server_state().Open();
  const uint64_t share_ms = (end_ms - now_ms) / (servers.size() - tried_.size());
  attempt_ms_ = now_ms;
  attempt_deadline_ms_ = std::min(end_ms, now_ms + std::max(share_ms, kConnectAttemptMsMin));
  tried_.push_back(static_cast<uint16_t>(place));
  return true;
}

void Connection::OnConnect(int32_t result) {
  Link& link = links_[Side::kServer];
  link.connect_in_flight = false;
  if (closing_) return CloseIfQuiet();
  // It is cancelled when its time is over.
  if (result < 0) return OnConnectFailed(result == -ECANCELED ? ETIMEDOUT : -result);
  const uint64_t now_ms = ring().now_ms();
  server_state().CountConnect(ConnectOutcome::kConnected);
  server_state().CountConnectTime(now_ms - attempt_ms_);
  link.connected = true;
  dialled_ms_ = static_cast<uint32_t>(now_ms - dial_ms_);
  SendProxyHeader();
  session_.ServerConnected(service().servers[server_index_].address.is_unix());
  Settle();
}

void Connection::OnConnectFailed(int error) {
  Link& link = links_[Side::kServer];
  ServerState& state = server_state();
  state.CountConnect(OutcomeOf(error));
  if (!IsOurs(error) && state.Failed(ring().now_ms())) {
    LogServerDown(state, absl::StrCat("can't connect (", error, ")"));
  }
  ring().Close(link.fd, false);
  link.fd = -1;
  if (session_.client_finished()) return DeliverEnd(Side::kServer, true);
  ConnectToServer(error);
  Settle();
}

void Connection::RefuseUnreachable(int error) {
  if (error != ESHUTDOWN) bench_->stats->server_connect_failures.Add();  // No connect says that.
  const std::string message =
      absl::StrCat("Can't connect to MySQL server on '", service().servers[server_index_].text,
                   "' (", error, ")");
  session_.Refuse(CloseReason::kServerUnreachable, {2003, "HY000", message}, &bench_->outboxes);
  SendOutboxes(false);
}

// As logs name it. Where the proxy greets first, a client may leave before there is one.
std::string_view Connection::server_text() const {
  if (service().session.greets && tried_.empty()) return "none";
  return service().servers[server_index_].text;
}

// Its first bytes, not the connect: the kernel accepts connections for a server that hangs.
void Connection::NoteServerAnswered() {
  server_answered_ = true;
  if (server_state().Answered()) LogServerBack(server_state());
}

void Connection::NoteServerSilent() {
  const CloseReason reason = session_.reason();
  const bool waited =
      reason == CloseReason::kServerLostInLogin || reason == CloseReason::kHandshakeTimeout;
  if (!waited || server_answered_ || !links_[Side::kServer].connected) return;
  if (server_state().Failed(ring().now_ms())) LogServerDown(server_state(), "sent no greeting");
}

void Connection::LeaveServer() {
  if (!std::exchange(server_counted_, false)) return;
  server_state().Close();
}

}  // namespace sallyport
