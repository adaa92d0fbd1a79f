// AuthRelay: one authentication, seen from between client and server. It decides for each packet
// whether it passes, and keeps the rule: a client's cleartext secret never travels to a server over
// plaintext TCP. Pure: payloads in, decisions out; sequence_ids are the Session's.
//
// What a client makes of a packet is its own affair, and clients differ where servers never go:
// some keep their plugin where a switch names none, take 02 for a switch that was not agreed on,
// look only at the byte behind 01, or miss a switch between two others. So where a secret is at
// stake (kMediate) a server may say what servers do say, and nothing else.
//
// A client sends its secret in clear when *its* link is secure (TLS). What that takes here:
//
//   client link  server link    caching_sha2_password, full authentication
//   TLS          plaintext TCP  kMediate: take the password, get the server's RSA key, send RSA
//   TLS          unix socket    kRelay: mysqld counts a unix socket as secure
//   plaintext    plaintext TCP  kRelay: the client does its own RSA exchange
//   plaintext    unix socket    kOwnKey: mysqld would read a request for its key as the password;
//                               the proxy answers with a key of its own, and hands the decrypted
//                               password on
//
// sha256_password counts TLS alone as secure, at either end: kMediate for a client on TLS, else
// kRelay.
#ifndef PROXY_SESSION_AUTH_RELAY_H_
#define PROXY_SESSION_AUTH_RELAY_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "packet/auth.h"
#include "packet/error_packet.h"
#include "packet/greeting.h"
#include "packet/wire.h"
#include "proxy/session/close_reason.h"
#include "tls/rsa_password.h"
#include "tls/secret.h"

namespace sallyport {

// What the links are and what the operator allowed.
struct AuthPolicy {
  bool client_secure = false;  // TLS.
  bool server_secure = false;  // A unix socket.
  bool allow_cleartext_password = false;
  // The proxy's own RSA key; null where no listener needs one. Outlives the AuthRelay.
  const tls::PasswordKey* password_key = nullptr;
  // The only RSA key of a server that a password is encrypted for; null: any. Outlives it, too.
  const tls::ServerKey* server_key = nullptr;
};

// What to do with the packet that was just shown.
struct AuthAction {
  enum class Kind {
    kForward,       // Pass it on to the other side as it is.
    kSendToServer,  // Drop it, send `payload` to the server.
    kSendToClient,  // Drop it, send `payload` to the client.
    kForwardWith,   // The log-in packet: pass it on with `payload` as its auth_response.
    kRefuse,        // Drop it, tell the client `error`, end with `reason`.
    kBadServer,     // The server broke the protocol.
  };
  Kind kind = Kind::kForward;
  packet::Bytes payload;  // In the AuthRelay's memory; valid until its next call.
  packet::Error error;    // Likewise.
  CloseReason reason = CloseReason::kNone;
};

class AuthRelay {
 public:
  // nonce: of the greeting, or the last that this connection saw (COM_CHANGE_USER).
  // multi_factor: both ends set MULTI_FACTOR_AUTHENTICATION.
  AuthRelay(const AuthPolicy& policy, const packet::Nonce& nonce, bool multi_factor);

  // FromLogin is shown the log-in packet first: HandshakeResponse41 or COM_CHANGE_USER.
  AuthAction FromLogin(std::string_view auth_plugin_name, packet::MutableBytes auth_response);
  // Then every packet of either side until the server's OK or ERR.
  AuthAction FromServer(packet::MutableBytes payload);
  AuthAction FromClient(packet::MutableBytes payload);

  // The plugin in effect, for the log; the last nonce; whether a password was RSA-encrypted here.
  const std::string& plugin() const { return plugin_; }
  const packet::Nonce& nonce() const { return nonce_; }
  bool mediated() const { return mediated_; }
  // client_turn: the server's last packet asks something that nobody has answered.
  bool client_turn() const { return client_turn_; }

 private:
  enum class Mode { kRelay, kMediate, kOwnKey };
  // What the next packet of a sha2 plugin is.
  enum class Step {
    kRelay,       // Nothing of ours: passes.
    kPassword,    // kMediate: the client's next packet is its password.
    kServerKey,   // kMediate: the server's next packet is its public key.
    kKeyRequest,  // kOwnKey: the client's next packet asks for the key.
    kCiphertext,  // kOwnKey: the client's next packet is the password under our key.
  };

  AuthAction SwitchPlugin(packet::Bytes payload);
  AuthAction PluginDataFromServer(packet::Bytes payload);
  AuthAction PasswordFromClient(packet::MutableBytes payload);
  AuthAction KeyRequestFromClient(packet::Bytes payload);
  AuthAction CiphertextFromClient(packet::Bytes payload);
  AuthAction SendServerPublicKeyRequest(packet::MutableBytes password, AuthAction::Kind kind);
  AuthAction SendEncryptedPassword(packet::Bytes public_key_pem);
  AuthAction SendOwnKey();
  AuthAction Refuse(CloseReason reason, uint16_t code, std::string_view sqlstate,
                    std::string message);
  AuthAction RefuseSecret();
  AuthAction BadHandshake(std::string_view why);

  Mode mode() const;  // For the plugin in effect.
  bool MayFollow(packet::AuthPacket packet, packet::Bytes payload) const;
  bool AnswersOnce() const;
  bool IsHarmless(packet::Bytes answer, bool client_turn) const;
  bool SecretMustNotPass() const;
  void Use(std::string_view plugin);

  const AuthPolicy policy_;
  const bool multi_factor_;
  packet::Nonce nonce_;
  std::string plugin_;
  packet::PluginKind kind_ = packet::PluginKind::kChallengeResponse;
  Step step_ = Step::kRelay;
  bool client_turn_ = false;
  bool switch_unanswered_ = false;
  bool mediated_ = false;
  tls::Secret password_;
  tls::Secret made_;     // Payloads that are made here; may hold the password.
  std::string message_;  // Text of a refusal.
};

}  // namespace sallyport

#endif  // PROXY_SESSION_AUTH_RELAY_H_
