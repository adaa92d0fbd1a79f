// Client's log-in and COM_CHANGE_USER.
#include <openssl/ssl.h>

#include <utility>

#include "packet/asking_plugin.h"
#include "packet/auth.h"
#include "packet/greeting.h"
#include "tests/session/rsa.h"
#include "tests/sim/client.h"
#include "tests/sim/failure.h"
#include "tests/sim/server.h"

namespace sallyport::sim {
namespace {

using packet::PluginKind;

const std::string kSha256KeyRequest = "\x01";
const std::string kCachingSha2KeyRequest = "\x02";

bool IsCleartext(std::string_view plugin) {
  const PluginKind kind = packet::PluginKindOf(plugin);
  return kind == PluginKind::kCleartext || kind == PluginKind::kUnknown;
}

}  // namespace

std::string Client::password() const {
  const Account& mine = account();
  return mine.wrong ? mine.password + "x" : mine.password;
}

void Client::OnGreeting(const std::string& payload) {
  if (payload.substr(0, 1) == "\xFF") return OnError(payload);
  if (!plan_.arrival.welcome()) return Wrong("greeted without a PROXY header");
  if (!plan_.arrival.header.empty()) ++host_.coverage.headers;
  if (host_.options.greets) return OnProxyGreeting(payload);
  constexpr size_t kNonceAt = 1 + sizeof("9.7.4-test") + 4;
  nonce_ = payload.size() < kNonceAt + 8 ? "" : payload.substr(kNonceAt, 8);
  server_ = host_.FindServer(nonce_);
  if (server_ == nullptr) return Wrong("a greeting of no server");
  nonce_ = server_->nonce();
  if (payload != server_->GreetingPayload(host_.options.tls_offered)) Wrong("another greeting");
  if (!plan_.tls) return LogIn();
  StartTls();
}

// Of the words that all servers have, with a nonce and a thread of the proxy's.
void Client::OnProxyGreeting(const std::string& payload) {
  packet::Greeting greeting;
  if (packet::ParseGreeting(packet::AsBytes(payload), &greeting) != packet::Parse::kOk) {
    return Wrong("another greeting");
  }
  const uint32_t ssl = host_.options.tls_offered ? packet::CLIENT_SSL : 0;
  GreetingTraits expected = Server::Traits();
  expected.capability_flags |= ssl;
  if (GreetingTraits::Of(greeting) != expected || greeting.thread_id < 1u << 31) {
    Wrong("another greeting");
  }
  nonce_ = std::string(packet::AsText(greeting.nonce));
  if (!plan_.tls) return LogIn();
  StartTls();
}

// Makes SSLRequest, which it returns, and ClientHello.
std::string Client::PrepareTls(std::string* hello) {
  tests::TlsClientOptions options;
  options.version_max = plan_.tls12 ? tests::kTls12 : tests::kTls13;
  if (plan_.resume && !host_.tickets.empty()) {
    options.session = host_.tickets[host_.dice.Below(host_.tickets.size())];
  } else {
    options.ciphers = plan_.cipher;
  }
  const std::string request = tests::Packet(1, tests::SslRequest(plan_.flags));
  std::vector<uint8_t> out;
  std::span<const uint8_t> nothing;
  tls_to_be_ = std::make_unique<tests::TlsClient>(options);
  (void)tls_to_be_->Handshake(&nothing, &out);
  hello->assign(out.begin(), out.end());
  wire_->tls_overhead += hello->size();
  const size_t ahead = plan_.glued_request ? plan_.arrival.header.size() : 0;
  wire_->tls_from = wire_->to_proxy.written + ahead + request.size();
  return request;
}

void Client::StartTls() {
  state_ = State::kTls;
  ++host_.coverage.on_tls;
  std::string hello;
  const std::string request = plan_.glued_request ? "" : PrepareTls(&hello);
  tls_ = std::move(tls_to_be_);
  id_ = static_cast<uint8_t>(id_ + 1);
  if (plan_.glued_request) return;  // They went ahead.
  if (plan_.clear_login) {
    return Send(
        request +
        tests::Packet(id_, tests::Login{.auth_response = "", .user = plan_.user}.payload()));
  }
  if (plan_.glued_hello) return Send(request + hello);
  Send(request);
  Send(hello);
}

TlsWords Client::tls_words() const {
  if (!tls_done_) return {};
  return {SSL_get_version(tls_->ssl()),
          SSL_CIPHER_standard_name(SSL_get_current_cipher(tls_->ssl()))};
}

void Client::LogIn() {
  state_ = State::kAuth;
  plugin_ = account().first_plugin;
  login_ = {.auth_response = FirstAnswer(plugin_),
            .plugin = account().first_plugin,
            .flags = plan_.flags,
            .user = plan_.user};
  const bool flagged = secure() && plan_.ssl_flag_again;
  SayPacket((flagged ? login_.WithSsl() : login_).payload());
}

void Client::ChangeUser() {
  ++authentication_;
  ++host_.coverage.changed_users;
  state_ = State::kAuth;
  plugin_ = account().first_plugin;
  change_user_ = {
      .auth_response = FirstAnswer(plugin_), .plugin = account().first_plugin, .user = plan_.user};
  id_ = 0;
  SayPacket(change_user_.payload());
}

std::string Client::login_payload(const std::string* auth_response) const {
  return (auth_response == nullptr ? login_ : login_.With(*auth_response)).payload();
}

std::string Client::change_user_payload(const std::string* auth_response) const {
  return (auth_response == nullptr ? change_user_ : change_user_.With(*auth_response)).payload();
}

std::string Client::asking_login_payload() const {
  tests::Login asking = login_.With("");
  asking.plugin = packet::kAskingPlugin;
  return asking.payload();
}

std::string Client::FirstAnswer(std::string_view plugin) {
  awaits_key_ = false;
  if (plugin == tests::kSha256) {
    if (password().empty()) return "";
    if (secure() && !account().own_rsa) return clear_password();
    awaits_key_ = true;
    return kSha256KeyRequest;
  }
  // On plaintext no client sends a secret in clear because a plugin that nobody knows wants it.
  if (IsCleartext(plugin) && secure()) return clear_password();
  return Scrambled(plugin, password(), nonce_);
}

void Client::OnAuthPacket(const std::string& payload) {
  switch (payload.empty() ? 1 : static_cast<uint8_t>(payload[0])) {
    case 0x00:
      if (authentication_ == 0 && plan_.compressed()) {
        compression_on_ = true;
        ++host_.coverage.compressed;
      }
      state_ = State::kCommands;
      return Issue();
    case 0xFF:
      return OnError(payload);
    case 0xFE:
    case 0x02:
      return OnSwitch(payload);
    default:
      return OnPluginData(payload.substr(0, 1) == "\x01" ? payload.substr(1) : payload);
  }
}

void Client::OnPluginData(const std::string& data) {
  if (std::exchange(awaits_key_, false)) return SayPacket(RsaPassword(data));
  if (plugin_ != tests::kCachingSha2) {
    return SayPacket(Scrambled(plugin_, password() + "?", data));
  }
  if (data == "\x03") return;  // OK follows.
  if (data != "\x04") return Wrong("unknown data of caching_sha2_password");
  if (secure() && !account().own_rsa) return SayPacket(clear_password());
  if (secure() && host_.options.unix_server) return SayPacket(clear_password());
  awaits_key_ = true;
  SayPacket(kCachingSha2KeyRequest);
}

void Client::OnSwitch(const std::string& payload) {
  if (payload == "\xFE") {
    plugin_ = "mysql_old_password";
    return SayPacket(FirstAnswer(plugin_));
  }
  const size_t end = payload.find('\0', 1);
  if (end == payload.npos) return Wrong("a malformed AuthSwitchRequest");
  plugin_ = payload.substr(1, end - 1);
  nonce_ = payload.substr(end + 1, packet::kNonceSize);
  SayPacket(FirstAnswer(plugin_));
}

std::string Client::RsaPassword(std::string_view pem) const {
  return tests::ClientEncrypts(pem, password(), nonce_);
}

// An ERR_Packet that ends the log-in: was it to be expected?
void Client::OnError(const std::string& payload) {
  if (payload.size() < 3) return Wrong("a malformed ERR_Packet");
  const int code = static_cast<uint8_t>(payload[1]) + 256 * static_cast<uint8_t>(payload[2]);
  error_ = std::to_string(code) + " " + payload.substr(3);
  const Options& options = host_.options;
  const bool ours = payload.find("may send a secret") != payload.npos;
  const bool forbidden =
      account().MaySendSecret() && !options.unix_server && !options.allow_cleartext_password;
  const bool expected = (code == 1045 && account().wrong) || (code == 1045 && ours && forbidden) ||
                        (code == 3159 && options.tls_required && !plan_.tls) ||
                        (code == 1159 && plan_.arrival.kind == Arrival::Kind::kNoHeader);
  if (!plan_.arrival.welcome()) ++host_.coverage.unwelcome;
  if (!expected && (options.calm() || code == 1043 || (code == 2027 && !options.hostile))) {
    Wrong("was refused: " + error_);
  }
  ++host_.coverage.refused;
  completed_ = expected;
  state_ = State::kRefused;
  if (host_.dice.OneIn(2)) End();
}

}  // namespace sallyport::sim
