// Session's connection phase where it greets the client itself, and learns the server late.
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "packet/asking_plugin.h"
#include "packet/capabilities.h"
#include "packet/check.h"
#include "packet/header.h"
#include "proxy/session/login_state.h"
#include "proxy/session/session.h"

namespace sallyport {

using packet::Bytes;
using packet::MutableBytes;

namespace {

// A client that set this one, told so by MySQL, gets along with MariaDB, which lacks it by design.
constexpr uint32_t kOfNoConsequence = packet::CLIENT_LONG_PASSWORD | packet::CLIENT_SSL;

// These say how the log-in packet itself is written.
constexpr uint32_t kOfTheLogin = packet::CLIENT_LONG_PASSWORD | packet::CLIENT_CONNECT_WITH_DB |
                                 packet::CLIENT_PROTOCOL_41 | packet::CLIENT_SECURE_CONNECTION |
                                 packet::CLIENT_PLUGIN_AUTH | packet::CLIENT_CONNECT_ATTRS |
                                 packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;

// `packet` less its auth_response, which went to nobody.
void WipeAuthResponse(MutableBytes packet, Bytes auth_response) {
  if (auth_response.empty()) return;
  const auto begin = static_cast<size_t>(auth_response.data() - packet.data());
  tls::Wipe(packet.subspan(begin, auth_response.size()));
}

}  // namespace

const GreetingTraits* Session::server_traits() const {
  return login_ != nullptr && login_->server_traits.has_value() ? &*login_->server_traits : nullptr;
}

void Session::Greet(packet::Greeting greeting, Outboxes* out) {
  SALLYPORT_CHECK(options_.greets && phase_ == Phase::kGreeting);
  uint32_t& flags = greeting.capability_flags;
  flags &= ~packet::CLIENT_SSL;
  if (options_.tls != nullptr) flags |= packet::CLIENT_SSL;
  // Behind compression COM_CHANGE_USER can't be seen, and the rule would end with the log-in.
  if (options_.client_user != tls::UserRule::kNone) flags &= ~packet::kCompressionFlags;
  login_->offered_flags = flags;
  login_->offered_extended_flags = greeting.extended_flags;
  std::array<uint8_t, packet::kGreetingSizeMax> payload;
  const size_t size = packet::WriteGreeting(greeting, payload);
  sequence_id_[Side::kClient] = 0xFF;  // The first packet has sequence_id 0.
  SendPayload(Side::kClient, Bytes(payload).first(size), out);
  phase_ = Phase::kClientReply;
  again_ = !login_->held[Side::kClient].empty();
}

// Its auth_response was made with a nonce that no server gave out: it is of no use to anybody.
void Session::KeepLogin(MutableBytes packet, const packet::HandshakeResponse& response,
                        Outboxes* out) {
  if ((response.capability_flags & packet::CLIENT_PLUGIN_AUTH) == 0) {
    return Refuse(CloseReason::kBadHandshake,
                  {1251, "08004",
                   "Client does not support authentication protocol requested by server: where the "
                   "server is chosen by SNI (sni_server) it has to know CLIENT_PLUGIN_AUTH"},
                  out);
  }
  login_->client_extended_flags = response.extended_flags;
  login_->rewritten = tls::Secret(packet.size() + packet::kAskingPluginRoom);
  const MutableBytes made = login_->rewritten.bytes();
  const size_t size =
      WriteAskingLogin(packet::Payload(Bytes(packet)), response, made.subspan(packet::kHeaderSize));
  SALLYPORT_CHECK(size > 0);
  packet::WriteHeader({static_cast<uint32_t>(size), 0}, made);
  login_->rewritten_size = packet::kHeaderSize + size;
  WipeAuthResponse(packet, response.auth_response);
  phase_ = Phase::kServerGreeting;
}

// What was offered and set is agreed upon, as far as the client knows.
void Session::OnLateGreeting(const packet::Greeting& greeting, Outboxes* out) {
  const uint32_t lacks = client_flags_ & login_->offered_flags & ~greeting.capability_flags;
  const uint32_t lacks_extended =
      login_->client_extended_flags & login_->offered_extended_flags & ~greeting.extended_flags;
  phase_ = Phase::kAuth;
  if ((lacks & ~kOfNoConsequence) != 0 || lacks_extended != 0) {
    const std::string message = absl::StrCat(
        "Error in server handshake: this server lacks what others of the listener offer "
        "(capability flags ",
        absl::Hex(lacks & ~kOfNoConsequence), ", extended ", absl::Hex(lacks_extended),
        "); the next greeting will not offer it");
    return Refuse(CloseReason::kServerLacksFlags, {2012, "HY000", message}, out);
  }
  const MutableBytes made = login_->rewritten.bytes().first(login_->rewritten_size);
  // Clients set what they have, and use what was offered: a server that has more must not take them
  // at their word.
  const uint32_t not_offered = greeting.capability_flags & ~login_->offered_flags & ~kOfTheLogin;
  packet::ClearFlags(packet::Payload(made), not_offered,
                     greeting.extended_flags & ~login_->offered_extended_flags);
  client_flags_ &= ~not_offered;
  StartAuth(made, packet::kAskingPlugin, {}, out);
  again_ = again_ || !login_->held[Side::kClient].empty();
}

// False: it names no plugin, and travels as it is.
bool Session::MakeAskingChangeUser(MutableBytes packet, const packet::ChangeUser& change_user) {
  if (change_user.auth_plugin_name_begin == 0) return false;
  login_->rewritten = tls::Secret(packet.size() + packet::kAskingPluginRoom);
  const MutableBytes made = login_->rewritten.bytes();
  const size_t size = WriteAskingChangeUser(packet::Payload(Bytes(packet)), change_user,
                                            made.subspan(packet::kHeaderSize));
  SALLYPORT_CHECK(size > 0);
  packet::WriteHeader({static_cast<uint32_t>(size), 0}, made);
  login_->rewritten_size = packet::kHeaderSize + size;
  WipeAuthResponse(packet, change_user.auth_response);
  return true;
}

}  // namespace sallyport
