#include "proxy/session/auth_relay.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace sallyport {
namespace {

using Kind = AuthAction::Kind;
using packet::AuthPacket;
using packet::PluginKind;

constexpr size_t kCachingSha2ScrambleSize = 32;
constexpr size_t kNativeScrambleSize = 20;
constexpr size_t kOldScrambleSizeMax = 9;  // 8, and a NUL.
constexpr size_t kEd25519SignatureSize = 64;
constexpr std::string_view kNative = "mysql_native_password";
constexpr std::string_view kOld = "mysql_old_password";
constexpr std::string_view kEd25519 = "client_ed25519";

AuthAction Forward() { return {}; }

AuthAction Act(Kind kind, packet::Bytes payload = {}) {
  AuthAction action;
  action.kind = kind;
  action.payload = payload;
  return action;
}

// Both sha2 plugins say "no password" with nothing or with a lone NUL.
bool IsEmptyPassword(packet::Bytes response) {
  return response.empty() || (response.size() == 1 && response[0] == 0);
}

bool IsByte(packet::Bytes payload, uint8_t byte) {
  return payload.size() == 1 && payload[0] == byte;
}

// A first answer under caching_sha2_password is a scramble, or nothing; some clients send a
// scramble of mysql_native_password under that name. Whatever else it is, it isn't known to be
// harmless.
bool IsScramble(packet::Bytes response) {
  return IsEmptyPassword(response) || response.size() == 1 ||
         response.size() == kCachingSha2ScrambleSize || response.size() == kNativeScrambleSize;
}

tls::Secret WithFinalNul(packet::Bytes password) {
  if (!password.empty() && password.back() == 0) return tls::Secret(password);
  tls::Secret terminated(password.size() + 1);
  std::copy(password.begin(), password.end(), terminated.bytes().begin());
  return terminated;
}

}  // namespace

AuthRelay::AuthRelay(const AuthPolicy& policy, const packet::Nonce& nonce, bool multi_factor)
    : policy_(policy), multi_factor_(multi_factor), nonce_(nonce) {}

AuthAction AuthRelay::FromLogin(std::string_view auth_plugin_name,
                                packet::MutableBytes auth_response) {
  Use(auth_plugin_name);
  if (SecretMustNotPass() && !IsEmptyPassword(auth_response)) {
    tls::Wipe(auth_response);
    return RefuseSecret();
  }
  if (mode() == Mode::kMediate) {
    if (kind_ == PluginKind::kCachingSha2 && !IsScramble(auth_response)) {
      tls::Wipe(auth_response);
      return BadHandshake("the auth_response of caching_sha2_password is no scramble");
    }
    // A client may do its own RSA exchange although its link is secure: then 01 asks for the key.
    if (kind_ == PluginKind::kSha256 && !IsEmptyPassword(auth_response)) {
      if (!IsByte(auth_response, packet::kSha256RequestPublicKey)) {
        return SendServerPublicKeyRequest(auth_response, Kind::kForwardWith);
      }
      kind_ = PluginKind::kChallengeResponse;
    }
  }
  return Forward();
}

AuthAction AuthRelay::FromServer(packet::MutableBytes payload) {
  client_turn_ = true;
  const AuthPacket packet = packet::ClassifyAuthPacket(payload, multi_factor_);
  if (mode() == Mode::kMediate && !MayFollow(packet, payload)) return Act(Kind::kBadServer);
  switch (packet) {
    case AuthPacket::kOk:
    case AuthPacket::kErr:
      password_.Clear();
      return Forward();
    case AuthPacket::kAuthSwitchRequest:
    case AuthPacket::kAuthNextFactor:
      return SwitchPlugin(payload);
    case AuthPacket::kOldAuthSwitch:
      password_.Clear();
      Use(kOld);
      step_ = Step::kRelay;
      switch_unanswered_ = true;
      return Forward();
    case AuthPacket::kPluginData:
      return PluginDataFromServer(payload);
  }
  return Act(Kind::kBadServer);
}

// The server's packet is one that servers send at this point.
bool AuthRelay::MayFollow(AuthPacket packet, packet::Bytes payload) const {
  if (packet == AuthPacket::kErr) return true;
  // The password may be under way already. Whatever the server says before it has come would make
  // it a packet to forward.
  if (step_ == Step::kPassword || switch_unanswered_) return false;
  if (packet != AuthPacket::kPluginData || step_ == Step::kServerKey) return true;
  if (AnswersOnce()) return false;
  const packet::Bytes data = packet::PluginData(payload);
  if (kind_ == PluginKind::kCachingSha2) {
    return IsByte(data, packet::kCachingSha2FastAuthSuccess) ||
           IsByte(data, packet::kCachingSha2PerformFullAuthentication);
  }
  // Where more than one factor was agreed on, this is AuthNextFactor, and no plugin data.
  const bool any = kind_ == PluginKind::kCleartext || kind_ == PluginKind::kUnknown;
  return any || payload.empty() || payload[0] != packet::kAuthNextFactorMarker;
}

// A client answers a nonce, and the server has no more questions.
bool AuthRelay::AnswersOnce() const {
  return plugin_ == kNative || plugin_ == kOld || plugin_ == kEd25519;
}

AuthAction AuthRelay::SwitchPlugin(packet::Bytes payload) {
  packet::AuthSwitch request;
  if (packet::ParseAuthSwitch(payload, &request) != packet::Parse::kOk ||
      (mode() == Mode::kMediate && request.auth_plugin_name.empty())) {
    return Act(Kind::kBadServer);
  }
  password_.Clear();
  Use(request.auth_plugin_name);
  packet::ReadNonce(request.auth_plugin_data, &nonce_);
  // The client would send the secret to us alone, but for nothing: say so at once.
  if (SecretMustNotPass()) return RefuseSecret();
  step_ = Step::kRelay;
  if (kind_ == PluginKind::kSha256 && mode() == Mode::kMediate) step_ = Step::kPassword;
  switch_unanswered_ = true;
  return Forward();
}

AuthAction AuthRelay::PluginDataFromServer(packet::Bytes payload) {
  const packet::Bytes data = packet::PluginData(payload);
  if (step_ == Step::kServerKey) return SendEncryptedPassword(data);
  if (kind_ != PluginKind::kCachingSha2) return Forward();
  if (IsByte(data, packet::kCachingSha2FastAuthSuccess)) client_turn_ = false;  // OK follows.
  if (mode() == Mode::kRelay) return Forward();
  if (IsByte(data, packet::kCachingSha2PerformFullAuthentication)) {
    step_ = mode() == Mode::kMediate ? Step::kPassword : Step::kKeyRequest;
  }
  return Forward();
}

AuthAction AuthRelay::FromClient(packet::MutableBytes payload) {
  const bool client_turn = std::exchange(client_turn_, false);
  switch_unanswered_ = false;
  if (SecretMustNotPass()) {
    tls::Wipe(payload);
    return RefuseSecret();
  }
  switch (step_) {
    case Step::kPassword:
      return PasswordFromClient(payload);
    case Step::kServerKey:
      return BadHandshake("a packet while the server's public key is awaited");
    case Step::kKeyRequest:
      return KeyRequestFromClient(payload);
    case Step::kCiphertext:
      return CiphertextFromClient(payload);
    case Step::kRelay:
      break;
  }
  if (mode() == Mode::kMediate && !IsHarmless(payload, client_turn)) {
    tls::Wipe(payload);
    return BadHandshake("an answer that is no scramble, or that nobody asked for");
  }
  return Forward();
}

// What a client says unasked under a plugin that can carry a password stays here, and so does what
// the plugin in effect has no such answer for: the client may believe in another.
bool AuthRelay::IsHarmless(packet::Bytes answer, bool client_turn) const {
  if (kind_ == PluginKind::kCachingSha2) return client_turn && IsScramble(answer);
  if (kind_ == PluginKind::kSha256) return IsEmptyPassword(answer);
  if (!AnswersOnce() || IsEmptyPassword(answer)) return true;
  if (plugin_ == kOld) return answer.size() <= kOldScrambleSizeMax;
  return answer.size() == (plugin_ == kNative ? kNativeScrambleSize : kEd25519SignatureSize);
}

AuthAction AuthRelay::PasswordFromClient(packet::MutableBytes payload) {
  const uint8_t request = kind_ == PluginKind::kSha256 ? packet::kSha256RequestPublicKey
                                                       : packet::kCachingSha2RequestPublicKey;
  if (IsByte(payload, request)) {  // The client does the RSA exchange itself: out of its way.
    step_ = Step::kRelay;
    kind_ = PluginKind::kChallengeResponse;
    return Forward();
  }
  if (kind_ == PluginKind::kSha256 && IsEmptyPassword(payload)) {
    step_ = Step::kRelay;
    return Forward();
  }
  return SendServerPublicKeyRequest(payload, Kind::kSendToServer);
}

AuthAction AuthRelay::SendServerPublicKeyRequest(packet::MutableBytes password, Kind kind) {
  password_ = WithFinalNul(password);
  tls::Wipe(password);
  step_ = Step::kServerKey;
  const uint8_t request = kind_ == PluginKind::kSha256 ? packet::kSha256RequestPublicKey
                                                       : packet::kCachingSha2RequestPublicKey;
  made_ = tls::Secret(packet::Bytes(&request, 1));
  return Act(kind, made_.bytes());
}

AuthAction AuthRelay::SendEncryptedPassword(packet::Bytes public_key_pem) {
  step_ = Step::kRelay;
  made_ = tls::Secret(tls::kRsaCiphertextSizeMax);
  size_t size = 0;
  const tls::EncryptResult result =
      tls::EncryptPassword(packet::AsText(public_key_pem), password_.bytes(), nonce_, made_.bytes(),
                           &size, policy_.server_key);
  password_.Clear();
  switch (result) {
    case tls::EncryptResult::kOk:
      break;
    case tls::EncryptResult::kBadKey:
      return Refuse(CloseReason::kPasswordUnusable, 1045, "28000",
                    "Access denied: the server's RSA public key is unusable (it must be a PEM "
                    "public key of 1024 to 8192 bits)");
    case tls::EncryptResult::kOtherKey:
      return Refuse(CloseReason::kServerKeyDiffers, 1045, "28000",
                    "Access denied: the server's RSA public key is not the one that the option "
                    "server_public_key of the proxy names");
    case tls::EncryptResult::kPasswordTooLong:
      return Refuse(CloseReason::kPasswordUnusable, 1045, "28000",
                    "Access denied: the password is too long for the server's RSA public key (213 "
                    "bytes fit into one of 2048 bits)");
  }
  mediated_ = true;
  return Act(Kind::kSendToServer, made_.bytes().first(size));
}

AuthAction AuthRelay::KeyRequestFromClient(packet::Bytes payload) {
  // A client that brought a key along doesn't ask: its ciphertext comes at once.
  if (!IsByte(payload, packet::kCachingSha2RequestPublicKey)) return CiphertextFromClient(payload);
  step_ = Step::kCiphertext;
  return SendOwnKey();
}

AuthAction AuthRelay::SendOwnKey() {
  if (policy_.password_key == nullptr) {
    return Refuse(CloseReason::kPasswordUnusable, 1045, "28000",
                  "Access denied: the server is on a unix socket and hands out no RSA public key; "
                  "use TLS");
  }
  const std::string& pem = policy_.password_key->public_key_pem();
  made_ = tls::Secret(pem.size() + 1);
  made_.bytes()[0] = 0x01;  // AuthMoreData.
  std::copy(pem.begin(), pem.end(), made_.bytes().begin() + 1);
  return Act(Kind::kSendToClient, made_.bytes());
}

AuthAction AuthRelay::CiphertextFromClient(packet::Bytes payload) {
  step_ = Step::kRelay;
  if (policy_.password_key != nullptr) made_ = policy_.password_key->Decrypt(payload, nonce_);
  if (policy_.password_key == nullptr || made_.empty()) {
    return Refuse(
        CloseReason::kPasswordUnusable, 1045, "28000",
        "Access denied: the password isn't encrypted for this proxy's RSA public key; ask "
        "for the key (get_server_public_key), or use TLS");
  }
  mediated_ = true;
  return Act(Kind::kSendToServer, made_.bytes());
}

AuthRelay::Mode AuthRelay::mode() const {
  const bool server_secure = policy_.server_secure && kind_ != PluginKind::kSha256;
  if (policy_.client_secure && !server_secure) return Mode::kMediate;
  return !policy_.client_secure && server_secure ? Mode::kOwnKey : Mode::kRelay;
}

bool AuthRelay::SecretMustNotPass() const {
  if (policy_.server_secure || policy_.allow_cleartext_password) return false;
  // An unknown plugin's client may send anything where it believes the link secure. On plaintext it
  // has made its own choice.
  return kind_ == PluginKind::kCleartext ||
         (kind_ == PluginKind::kUnknown && policy_.client_secure);
}

void AuthRelay::Use(std::string_view plugin) {
  kind_ = packet::PluginKindOf(plugin);
  plugin_ = std::string(plugin.empty() ? kNative : plugin.substr(0, 64));
}

AuthAction AuthRelay::RefuseSecret() {
  return Refuse(
      CloseReason::kSecretRefused, 1045, "28000",
      absl::StrCat("Access denied: the plugin '", absl::CHexEscape(plugin_),
                   "' may send a secret in clear, and the link to the server is plaintext; "
                   "the option allow_cleartext_password of the proxy permits it"));
}

AuthAction AuthRelay::BadHandshake(std::string_view why) {
  return Refuse(CloseReason::kBadHandshake, 1043, "08S01", "Bad handshake: " + std::string(why));
}

AuthAction AuthRelay::Refuse(CloseReason reason, uint16_t code, std::string_view sqlstate,
                             std::string message) {
  password_.Clear();
  message_ = std::move(message);
  AuthAction action = Act(Kind::kRefuse);
  action.error = {code, sqlstate, message_};
  action.reason = reason;
  return action;
}

}  // namespace sallyport
