// Session's connection phase: one packet at a time.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "packet/asking_plugin.h"
#include "packet/auth.h"
#include "packet/capabilities.h"
#include "packet/change_user.h"
#include "packet/handshake_response.h"
#include "packet/header.h"
#include "proxy/session/login_state.h"
#include "proxy/session/session.h"

namespace sallyport {
namespace {

using packet::Bytes;
using packet::MutableBytes;

// A name in the log is cut here: MySQL's longest has 32 characters, MariaDB's 128.
constexpr size_t kLoggedNameMax = 128;

// The same bytes as `view`, editable, given the editable packet that they lie in.
MutableBytes EditableIn(MutableBytes packet, Bytes view) {
  if (view.empty()) return {};
  return packet.subspan(static_cast<size_t>(view.data() - packet.data()), view.size());
}

// ER_ACCESS_DENIED_ERROR and ER_ACCESS_DENIED_NO_PASSWORD_ERROR: a wrong name or password.
bool IsDenial(uint16_t code) { return code == 1045 || code == 1698; }

bool IsErr(Bytes payload) { return !payload.empty() && payload[0] == 0xFF; }

}  // namespace

void Session::OnPacket(Side from, MutableBytes packet, Outboxes* out) {
  const uint8_t sequence_id = packet[packet::kHeaderSize - 1];
  if (from == Side::kServer) {
    sequence_id_[from] = sequence_id;
    return OnServerPacket(packet, out);
  }
  const uint8_t expected =
      login_->awaits_change_user ? uint8_t{0} : static_cast<uint8_t>(sequence_id_[from] + 1);
  // Taken in any case: the client reads a refusal under the number behind its own only.
  sequence_id_[from] = sequence_id;
  if (sequence_id != expected) {
    return BadHandshake(
        absl::StrCat("sequence_id ", sequence_id, " where ", expected, " was expected"), out);
  }
  OnClientPacket(packet, out);
}

void Session::OnServerPacket(MutableBytes packet, Outboxes* out) {
  switch (phase_) {
    case Phase::kGreeting:
    case Phase::kServerGreeting:
      return OnGreeting(packet, out);
    case Phase::kAuth:
      return OnServerAuth(packet, out);
    case Phase::kExcuse:
      return OnServerPacketInExcuse(packet, out);
    case Phase::kClientReply:
    case Phase::kTlsHandshake:
    case Phase::kHandshakeResponse:
      // Nobody asked: an ERR (a time-out, a shutdown) is passed on if the client can be told.
      if (!IsErr(packet::Payload(Bytes(packet)))) return BadServer("a packet out of turn", out);
      if (phase_ != Phase::kTlsHandshake) Forward(Side::kClient, packet, out);
      EndClient(out);
      ended_[Side::kServer] = true;
      return LeaveClient(CloseReason::kServerRefused, out);
    case Phase::kCommand:
    case Phase::kClosed:
      return;
  }
}

void Session::OnClientPacket(MutableBytes packet, Outboxes* out) {
  switch (phase_) {
    case Phase::kClientReply:
      return OnClientReply(packet, out);
    case Phase::kHandshakeResponse:
      if (packet::ClassifyClientReply(packet::Payload(packet)) !=
          packet::ClientReply::kHandshakeResponse41) {
        return BadHandshake("no HandshakeResponse41 after the TLS handshake", out);
      }
      return OnHandshakeResponse(packet, out);
    case Phase::kAuth:
      if (login_->awaits_change_user) return OnChangeUser(packet, out);
      if (++login_->packets > kAuthPacketsMax) return BadHandshake("it does not end", out);
      return Perform(login_->auth->FromClient(packet::Payload(packet)), Side::kClient, packet, out);
    case Phase::kGreeting:
    case Phase::kTlsHandshake:
    case Phase::kServerGreeting:
    case Phase::kCommand:
    case Phase::kExcuse:
    case Phase::kClosed:
      return;
  }
}

// 1040, 1129, 1130, ... instead of a greeting: the client is to read it as it is.
void Session::OnServerRefusal(Bytes payload, MutableBytes packet, Outboxes* out) {
  packet::Error error;
  if (packet::ParseErrorPacket(payload, &error) == packet::Parse::kOk) {
    summary_.detail = std::string(error.message);
    summary_.server_error = error.code;
  }
  ended_[Side::kServer] = true;
  if (phase_ == Phase::kServerGreeting) {  // Behind a greeting an ERR_Packet has a SQLSTATE.
    if (error.code == 0) return BadServer("half an ERR_Packet", out);
    if (error.sqlstate.empty()) error.sqlstate = "HY000";
    return Refuse(CloseReason::kServerRefused, error, out);
  }
  if (phase_ == Phase::kGreeting) SendToClient(packet, out);
  (*out)[Side::kClient].end = true;
  LeaveClient(CloseReason::kServerRefused, out);
}

void Session::OnGreeting(MutableBytes packet, Outboxes* out) {
  const MutableBytes payload = packet::Payload(packet);
  if (IsErr(payload)) return OnServerRefusal(payload, packet, out);
  packet::Greeting greeting;
  if (packet::ParseGreeting(payload, &greeting) != packet::Parse::kOk) {
    return BadServer("no greeting of MySQL 4.1 or later", out);
  }
  server_flags_ = greeting.capability_flags;
  nonce_ = greeting.nonce;
  summary_.thread_id = greeting.thread_id;
  login_->greeting_plugin = std::string(greeting.auth_plugin_name);
  if (options_.keeps_greetings) login_->server_traits = GreetingTraits::Of(greeting);
  if (phase_ == Phase::kExcuse) return Excuse(out);
  if (phase_ == Phase::kServerGreeting) return OnLateGreeting(greeting, out);
  packet::SetClientSsl(payload, options_.tls != nullptr);
  if (options_.client_user != tls::UserRule::kNone) {
    // Behind compression COM_CHANGE_USER can't be seen, and the rule would end with the log-in.
    packet::ClearCompressionOffer(payload);
    server_flags_ &= ~packet::kCompressionFlags;
  }
  sequence_id_[Side::kClient] = sequence_id_[Side::kServer];
  SendToClient(packet, out);
  phase_ = Phase::kClientReply;
  again_ = !login_->held[Side::kClient].empty();
}

void Session::OnClientReply(MutableBytes packet, Outboxes* out) {
  switch (packet::ClassifyClientReply(packet::Payload(packet))) {
    case packet::ClientReply::kSslRequest:
      if (options_.tls == nullptr) return BadHandshake("TLS was not offered", out);
      if (tls_refused_) {
        summary_.detail = "too many TLS handshakes a second from this address";
        EndClient(out);
        return LeaveClient(CloseReason::kAddressRefused, out);
      }
      tls_ = std::make_unique<tls::Engine>(*options_.tls);
      summary_.tls_used = true;
      phase_ = Phase::kTlsHandshake;
      return;
    case packet::ClientReply::kHandshakeResponse41:
      if (options_.tls_required) {
        return Refuse(CloseReason::kTlsRequired,
                      {3159, "HY000",
                       "Connections using insecure transport are prohibited while "
                       "tls_mode=required."},
                      out);
      }
      return OnHandshakeResponse(packet, out);
    case packet::ClientReply::kPre41:
      return BadHandshake("clients from before MySQL 4.1 are not served", out);
    case packet::ClientReply::kMalformed:
      return BadHandshake("neither SSLRequest nor HandshakeResponse41", out);
  }
}

void Session::OnHandshakeResponse(MutableBytes packet, Outboxes* out) {
  const MutableBytes payload = packet::Payload(packet);
  packet::HandshakeResponse response;
  if (packet::ParseHandshakeResponse(payload, &response) != packet::Parse::kOk) {
    return BadHandshake("malformed HandshakeResponse41", out);
  }
  packet::ClearClientSsl(payload);
  client_flags_ = response.capability_flags;
  if (options_.client_user != tls::UserRule::kNone) {  // A client may set what it wasn't offered.
    packet::ClearCompression(payload);
    client_flags_ &= ~packet::kCompressionFlags;
  }
  login_->auth_response_begin = response.auth_response_field_begin;
  login_->auth_response_end = response.auth_response_field_end;
  summary_.user = std::string(response.username.substr(0, kLoggedNameMax));
  summary_.database = std::string(response.database.substr(0, kLoggedNameMax));
  if (!CertificateAllows(response.username, out)) return;
  if (options_.greets) return KeepLogin(packet, response, out);
  StartAuth(packet, response.auth_plugin_name, response.auth_response, out);
}

// COM_CHANGE_USER begins in the client's bytes; the watch may hold the first of its header.
void Session::BeginChangeUser() {
  auto login = std::make_unique<Login>();
  if (login_ != nullptr) {  // The bytes being worked on, and the other side's, may lie there.
    std::swap(login->held, login_->held);
    std::swap(login->working, login_->working);
  }
  login_ = std::move(login);
  sequence_id_[Side::kClient] = 0;
  login_->change_user = true;
  login_->awaits_change_user = true;
  std::array<uint8_t, packet::kHeaderSize> header;
  const Bytes held = watch_.held();
  std::copy(held.begin(), held.end(), header.begin());
  MutableBytes bytes = MutableBytes(header).first(held.size());
  watch_.ForgetHeld();
  MutableBytes packet;
  // A header without its command byte is no packet yet.
  (void)login_->client.Next(&bytes, &packet);
  phase_ = Phase::kAuth;
}

void Session::OnChangeUser(MutableBytes packet, Outboxes* out) {
  login_->awaits_change_user = false;
  sequence_id_[Side::kServer] = 0xFF;  // A command: it goes out with sequence_id 0.
  packet::ChangeUser change_user;
  if (packet::ParseChangeUser(packet::Payload(packet), client_flags_, &change_user) !=
      packet::Parse::kOk) {
    return BadHandshake("malformed COM_CHANGE_USER", out);
  }
  login_->auth_response_begin = change_user.auth_response_field_begin;
  login_->auth_response_end = change_user.auth_response_field_end;
  summary_.user = std::string(change_user.username.substr(0, kLoggedNameMax));
  summary_.database = std::string(change_user.database.substr(0, kLoggedNameMax));
  if (!CertificateAllows(change_user.username, out)) return;
  if (options_.greets && MakeAskingChangeUser(packet, change_user)) {
    const MutableBytes asking = login_->rewritten.bytes().first(login_->rewritten_size);
    return StartAuth(asking, packet::kAskingPlugin, {}, out);
  }
  StartAuth(packet, change_user.auth_plugin_name, change_user.auth_response, out);
}

// False: the client was told that it may not be this user.
bool Session::CertificateAllows(std::string_view user, Outboxes* out) {
  const tls::UserRule rule = options_.client_user;
  if (rule == tls::UserRule::kNone) return true;
  const auto& sent = summary_.tls.client_certificate;
  const tls::ClientCertificate* certificate = sent.has_value() ? &*sent : nullptr;
  if (tls::ClientCertificateAllows(certificate, rule, user)) return true;
  const std::string message = "Access denied for user '" + summary_.user +
                              "': " + tls::WhyRefused(certificate, rule) + " (tls_client_user)";
  Refuse(CloseReason::kUserNotCertified, {1045, "28000", message}, out);
  return false;
}

void Session::StartAuth(MutableBytes packet, std::string_view plugin, Bytes auth_response,
                        Outboxes* out) {
  compressed_ = (client_flags_ & server_flags_ & packet::kCompressionFlags) != 0;
  AuthPolicy policy = options_.auth;
  policy.client_secure = tls_ != nullptr;
  policy.server_secure = server_secure_;
  const bool multi_factor =
      (client_flags_ & server_flags_ & packet::MULTI_FACTOR_AUTHENTICATION) != 0;
  login_->auth.emplace(policy, nonce_, multi_factor);
  phase_ = Phase::kAuth;
  const AuthAction action = login_->auth->FromLogin(plugin, EditableIn(packet, auth_response));
  if (action.kind == AuthAction::Kind::kForward) login_forwarded_ = true;
  Perform(action, Side::kClient, packet, out);
}

void Session::OnServerAuth(MutableBytes packet, Outboxes* out) {
  if (++login_->packets > kAuthPacketsMax) return BadServer("a log-in that does not end", out);
  const MutableBytes payload = packet::Payload(packet);
  const packet::AuthPacket kind = packet::ClassifyAuthPacket(
      payload, (client_flags_ & server_flags_ & packet::MULTI_FACTOR_AUTHENTICATION) != 0);
  const AuthAction action = login_->auth->FromServer(payload);
  login_over_ = kind == packet::AuthPacket::kOk || kind == packet::AuthPacket::kErr;
  server_waits_ = !login_over_ && login_->auth->client_turn();
  Perform(action, Side::kServer, packet, out);
  if (client_finished()) return;
  if (kind == packet::AuthPacket::kOk) FinishAuth(true, out);
  if (kind == packet::AuthPacket::kErr) {
    packet::Error error;
    if (packet::ParseErrorPacket(payload, &error) == packet::Parse::kOk) {
      summary_.detail = absl::StrCat(error.code, " ") + std::string(error.message);
      summary_.server_error = error.code;
      if (IsDenial(error.code)) ++summary_.passwords_denied;
    }
    FinishAuth(false, out);
  }
}

void Session::Perform(const AuthAction& action, Side from, MutableBytes packet, Outboxes* out) {
  const bool to_server = action.kind == AuthAction::Kind::kSendToServer ||
                         (action.kind == AuthAction::Kind::kForward && from == Side::kClient);
  if (to_server) server_waits_ = false;
  summary_.plugin = login_->auth->plugin();
  switch (action.kind) {
    case AuthAction::Kind::kForward:
      return Forward(Other(from), packet, out);
    case AuthAction::Kind::kSendToServer:
      return SendPayload(Side::kServer, action.payload, out);
    case AuthAction::Kind::kSendToClient:
      return SendPayload(Side::kClient, action.payload, out);
    case AuthAction::Kind::kForwardWith:
      return ForwardLogin(packet, action.payload, out);
    case AuthAction::Kind::kRefuse:
      return Refuse(action.reason, action.error, out);
    case AuthAction::Kind::kBadServer:
      return BadServer("a malformed packet in the log-in", out);
  }
}

// Passes the log-in packet on with another auth_response.
void Session::ForwardLogin(Bytes login_packet, Bytes auth_response, Outboxes* out) {
  const Bytes payload = packet::Payload(login_packet);
  tls::Secret& made = login_->rewritten;
  constexpr size_t kLengthPrefixMax = 9;
  made = tls::Secret(login_packet.size() + auth_response.size() + kLengthPrefixMax);
  const MutableBytes room = made.bytes().subspan(packet::kHeaderSize);
  size_t size = 0;
  // Not parsed again: the password in it was wiped, and with it, perhaps, what ends the field.
  if (login_->change_user) {
    packet::ChangeUser change_user;
    change_user.auth_response_field_begin = login_->auth_response_begin;
    change_user.auth_response_field_end = login_->auth_response_end;
    size = ReplaceAuthResponse(payload, client_flags_, change_user, auth_response, room);
  } else {
    packet::HandshakeResponse response;
    response.capability_flags = client_flags_;
    response.auth_response_field_begin = login_->auth_response_begin;
    response.auth_response_field_end = login_->auth_response_end;
    size = ReplaceAuthResponse(payload, response, auth_response, room);
  }
  if (size == 0) {
    return Refuse(
        CloseReason::kPasswordUnusable,
        {1045, "28000", "Access denied: the password does not fit into the log-in packet"}, out);
  }
  const MutableBytes packet = made.bytes().first(packet::kHeaderSize + size);
  packet::WriteHeader({static_cast<uint32_t>(size), 0}, packet);
  login_forwarded_ = true;
  Forward(Side::kServer, packet, out);
}

void Session::FinishAuth(bool accepted, Outboxes* out) {
  summary_.mediated = summary_.mediated || login_->auth->mediated();
  nonce_ = login_->auth->nonce();
  if (accepted || login_->change_user) {
    // After a refused COM_CHANGE_USER the server closes or goes on: its choice is relayed.
    summary_.logged_in = true;
    phase_ = Phase::kCommand;
    command_due_ = true;
    again_ = !login_->held[Side::kClient].empty() || again_;
    return;
  }
  EndClient(out);
  LeaveClient(CloseReason::kLoginFailed, out);
}

// Passes `packet` on as it is, but for its sequence_id.
void Session::Forward(Side to, MutableBytes packet, Outboxes* out) {
  packet::SetSequenceId(packet, ++sequence_id_[to]);
  if (to == Side::kClient) {
    SendToClient(packet, out);
  } else {
    (*out)[to].AddView(packet);
  }
}

// Says to the server what lets it end the log-in: a throw-away one, or what proves nothing in
// answer to its question.
void Session::Excuse(Outboxes* out) {
  if (login_forwarded_) {
    if (!std::exchange(server_waits_, false)) return;
    const bool by_client = login_->excused_plugin.empty() && login_->auth.has_value();
    const std::string& plugin = by_client ? login_->auth->plugin() : login_->excused_plugin;
    return SendPayload(Side::kServer, packet::UselessAnswer(plugin), out);
  }
  std::array<uint8_t, packet::kThrowawayLoginSizeMax> packet;
  const size_t size = packet::WriteThrowawayLogin(server_flags_, login_->greeting_plugin,
                                                  ++sequence_id_[Side::kServer], packet);
  (*out)[Side::kServer].AddCopy(Bytes(packet).first(size));
  login_forwarded_ = true;
  summary_.throwaway_login = true;
}

void Session::OnServerPacketInExcuse(MutableBytes packet, Outboxes* out) {
  if (!login_forwarded_) return OnGreeting(packet, out);
  const Bytes payload = packet::Payload(Bytes(packet));
  const packet::AuthPacket kind = packet::ClassifyAuthPacket(
      payload, (client_flags_ & server_flags_ & packet::MULTI_FACTOR_AUTHENTICATION) != 0);
  const bool over = kind == packet::AuthPacket::kOk || kind == packet::AuthPacket::kErr;
  if (over || ++login_->packets > kAuthPacketsMax) {
    (*out)[Side::kServer].end = true;
    phase_ = Phase::kClosed;
    return;
  }
  const Bytes data = packet::PluginData(payload);
  const bool ok_follows = kind == packet::AuthPacket::kPluginData && data.size() == 1 &&
                          data[0] == packet::kCachingSha2FastAuthSuccess;
  if (ok_follows) return;  // An answer would come behind OK, out of order.
  packet::AuthSwitch request;
  const bool switches =
      kind == packet::AuthPacket::kAuthSwitchRequest || kind == packet::AuthPacket::kAuthNextFactor;
  if (switches && packet::ParseAuthSwitch(payload, &request) == packet::Parse::kOk) {
    login_->excused_plugin = std::string(request.auth_plugin_name);
  }
  server_waits_ = true;
  Excuse(out);
}

void Session::BadHandshake(std::string_view why, Outboxes* out) {
  const std::string message = "Bad handshake: " + std::string(why);
  Refuse(CloseReason::kBadHandshake, {1043, "08S01", message}, out);
}

// The server can't be talked to: the client is told, nobody excuses himself.
void Session::BadServer(std::string_view why, Outboxes* out) {
  ended_[Side::kServer] = true;
  if (client_finished()) {
    phase_ = Phase::kClosed;
    return;
  }
  const std::string message = "Malformed packet: the server sent " + std::string(why);
  Refuse(CloseReason::kServerMalformed, {2027, "HY000", message}, out);
}

}  // namespace sallyport
