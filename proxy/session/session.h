// Session: one client's conversation with one server, from the greeting to the end, as a function
// over spans. PURE: it knows packets and TLS, and no socket, clock or log.
//
//   client                    Session                      server
//     | <----- greeting ------- kGreeting <---- greeting ---- |  CLIENT_SSL set or cleared
//     | ----- SSLRequest -----> kClientReply                  |  consumed; the rest is TLS's
//     | <======= TLS =========> kTlsHandshake                 |
//     | - HandshakeResponse41 > kHandshakeResponse ---------> |  CLIENT_SSL cleared
//     | <------- auth --------> kAuth <-------- auth -------> |  AuthRelay decides
//     | <----- commands ------> kCommand <---- commands ----> |  COM_CHANGE_USER is watched for
//
//   kGreeting          -> kClientReply         on HandshakeV10
//   kClientReply       -> kTlsHandshake        on SSLRequest
//                      -> kAuth                on HandshakeResponse41 (plaintext)
//   kTlsHandshake      -> kHandshakeResponse   on Finished
//   kHandshakeResponse -> kAuth                on HandshakeResponse41
//   kAuth              -> kCommand             on OK_Packet
//   kCommand           -> kAuth                on COM_CHANGE_USER, the one step back
//   any before OK      -> kExcuse              the client is gone or refused; its log-in is
//                                              finished in its place, so that the server doesn't
//                                              count it against the proxy (max_connect_errors)
//   any                -> kClosed
//
// With SessionOptions::greets the server is chosen late (own_greeting.cc): Greet makes the greeting
// and leads to kClientReply, and between kHandshakeResponse and kAuth stands
//
//   client                    Session                      server
//     |                       kServerGreeting                |  wants_server(): dialled now
//     |                       kServerGreeting <- greeting -- |  consumed
//     |                       kAuth ---- the kept log-in --> |  under a plugin that nobody has:
//     | <-- AuthSwitchRequest kAuth <---- the same --------- |  the server asks with its own nonce
//
// There kExcuse is only for those whom a server was dialled for.
//
// sequence_ids: what goes to a side has the last sequence_id seen or sent there, plus one. That
// holds through consumed and added packets alike:
//   client  0 greeting   1 SSLRequest   2 HandshakeResponse41   3 ...
//   server  0 greeting                  1 HandshakeResponse41   2 ...
#ifndef PROXY_SESSION_SESSION_H_
#define PROXY_SESSION_SESSION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "packet/assembler.h"
#include "packet/command_watch.h"
#include "packet/error_packet.h"
#include "packet/greeting.h"
#include "packet/handshake_response.h"
#include "packet/wire.h"
#include "proxy/session/auth_relay.h"
#include "proxy/session/close_reason.h"
#include "proxy/session/greeting_traits.h"
#include "proxy/session/outbox.h"
#include "proxy/side.h"
#include "tls/engine.h"

namespace sallyport {

enum class Phase : uint8_t {
  kGreeting,
  kClientReply,
  kTlsHandshake,
  kHandshakeResponse,
  kServerGreeting,
  kAuth,
  kCommand,
  kExcuse,
  kClosed,
};

// What a listener offers its clients; shared by its sessions, which it outlives.
struct SessionOptions {
  const tls::Context* tls = nullptr;  // Null: TLS is disabled.
  bool tls_required = false;
  bool greets = false;                               // The session greets the client itself.
  bool keeps_greetings = false;                      // server_traits() are wanted.
  tls::UserRule client_user = tls::UserRule::kNone;  // What a client must be to log in as somebody.
  AuthPolicy auth{};  // client_secure and server_secure are the session's to set.
};

// What a session was, for the log line at its end.
struct SessionSummary {
  std::string user;
  std::string database;
  std::string sni;  // The name that the client asked for.
  std::string plugin;
  std::string detail;  // More words on the reason: a TLS library's error, a refusal's text.
  tls::Parameters tls;
  uint32_t thread_id = 0;     // The server's connection id.
  uint16_t server_error = 0;  // Of the server's last ERR_Packet in a log-in.
  bool tls_used = false;
  bool kernel_tls = false;  // The kernel makes the records for the client.
  bool mediated = false;
  bool logged_in = false;
  bool throwaway_login = false;
  uint32_t passwords_denied = 0;  // ERR 1045 and the like, of the client's own log-ins.
};

class Session {
 public:
  explicit Session(const SessionOptions& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Greet greets the client, where options.greets: with `greeting`, but for what the listener
  // decides of its flags. REQUIRES: phase() is kGreeting; empty outboxes; of WriteGreeting. The
  // server is not there before wants_server() and ServerDialled.
  void Greet(packet::Greeting greeting, Outboxes* out);
  // wants_server: the client's log-in is complete, and the server that it is for (by
  // summary().sni) has to be connected to, or the client refused.
  bool wants_server() const { return phase_ == Phase::kServerGreeting && ended_[Side::kServer]; }
  // ServerDialled: it may be there any moment, and then needs its log-in finished.
  void ServerDialled() { ended_[Side::kServer] = false; }

  // ServerConnected tells, before the first bytes of the server, whether mysqld counts the link as
  // secure (a unix socket).
  void ServerConnected(bool server_secure) { server_secure_ = server_secure; }
  // server_traits: of the server's greeting, where options.keeps_greetings; null: none came, or the
  // command phase has long begun. Valid until the next call.
  const GreetingTraits* server_traits() const;

  // ServerAbsent: none was dialled and none will be, so none needs its log-in finished.
  void ServerAbsent() { ended_[Side::kServer] = true; }
  // set_tls_refused: whether an SSLRequest that comes from now on ends the session
  // (kAddressRefused). Without a word: what a client reads next is TLS to it.
  void set_tls_refused(bool refused) { tls_refused_ = refused; }

  // Receive takes all of `bytes`, which may be edited and must stay until the outboxes were sent,
  // and adds what is to be sent. REQUIRES: accepts(from); !again(); bytes.size() <=
  // kReceiveBytesMax; empty outboxes.
  void Receive(Side from, packet::MutableBytes bytes, Outboxes* out);
  // again: there is more to do with bytes taken before. Send and clear the outboxes, then Continue.
  bool again() const { return again_ && !closed(); }
  void Continue(Outboxes* out);

  // signature_wanted: the TLS handshake stands still until somebody, on whatever thread, has made
  // the signature of TakeSignatureRequest, and gives it to Signed (empty: he failed, and so does
  // the handshake). awaits_signature: it was taken and is still of use; both are false once the
  // client is done with. What arrives meanwhile is held. Other calls may come between.
  // REQUIRES: TakeSignatureRequest: signature_wanted(). Signed: awaits_signature(); !again(); empty
  // outboxes.
  bool signature_wanted() const { return signs() && signature_ == Signature::kWanted; }
  bool awaits_signature() const { return signs() && signature_ == Signature::kAwaited; }
  tls::SignatureRequest TakeSignatureRequest();
  void Signed(packet::Bytes signature, Outboxes* out);

  // accepts: whether Receive may still be called for that side; if not, its bytes are nobody's.
  bool accepts(Side side) const {
    return !closed() && !ended_[side] && !(side == Side::kClient && client_finished());
  }
  // wants_read: whether bytes of that side are of use now. While false, stop reading there.
  bool wants_read(Side side) const;

  // passes_through: bytes that come from that side go on as they are, and nobody looks at them.
  // Whoever owns the sockets may move them (splice) without Receive; End still has to be told.
  bool passes_through(Side from) const {
    if (phase_ != Phase::kCommand || login_ != nullptr) return false;
    if (tls_ != nullptr) return from == Side::kServer && tls_->handed_over();
    return !watches_commands();
  }

  // Kernel TLS. can_hand_over: the session is past its log-in, so that whoever owns the client's
  // socket may encrypt in its place, beginning with the next byte that it has for the client, once
  // all that it made before was taken by the socket. write_keys are for that; none: it can't be.
  // HandOver says that it is so: from then on what is for the client is plaintext, but for the
  // outbox's controls. `changes_keys`: whether a KeyUpdate may be among those; if not, a client
  // that asks for one ends the session. REQUIRES: can_hand_over(); empty outboxes.
  bool can_hand_over() const {
    return phase_ == Phase::kCommand && tls_ != nullptr && !tls_->handed_over() && !client_ended_ &&
           !ended_[Side::kClient];
  }
  std::optional<tls::WriteKeys> write_keys() { return tls_->write_keys(); }
  void HandOver(bool changes_keys) {
    tls_->HandOver();
    changes_keys_ = changes_keys;
    summary_.kernel_tls = true;
  }
  // A KeyUpdate went out, and what follows it is under its next_keys (KeysChanged); or can't be,
  // for that reason, so that nothing can be said to the client any more (KeysRefused).
  void KeysChanged() { tls_->KeysChanged(); }
  void KeysRefused(std::string_view why, Outboxes* out);

  // End tells that `from` sent FIN. The other side is told, where that makes sense. `reset`: the
  // connection broke instead; nothing more can be sent there.
  void End(Side from, bool reset, Outboxes* out);

  // Refuse tells the client `error`, if it can still be told, and ends the session with `reason`.
  // For whoever owns the sockets: server unreachable, time-outs, limits, shutdown.
  void Refuse(CloseReason reason, const packet::Error& error, Outboxes* out);
  // Close ends the session in the command phase, where an ERR_Packet would be read as an answer.
  void Close(CloseReason reason, Outboxes* out);

  Phase phase() const { return phase_; }
  CloseReason reason() const { return reason_; }
  // client_finished: nothing more will be read from or made for the client. Flush and close it.
  bool client_finished() const { return phase_ == Phase::kExcuse || phase_ == Phase::kClosed; }
  bool closed() const { return phase_ == Phase::kClosed; }
  const SessionSummary& summary() const { return summary_; }

 private:
  enum class Signature : uint8_t { kNone, kWanted, kAwaited };
  struct Login;  // What only the connection phase needs; gone in the command phase.

  // --- Bytes (session.cc).
  packet::MutableBytes Decrypt(packet::MutableBytes bytes, Outboxes* out);
  void RefuseKeyUpdate(Outboxes* out);
  packet::MutableBytes ContinueTlsHandshake(packet::MutableBytes bytes, Outboxes* out);
  void Process(Side from, packet::MutableBytes bytes, Outboxes* out);
  bool ProcessSome(Side from, packet::MutableBytes* bytes, Outboxes* out);
  bool RelayCommands(packet::MutableBytes* bytes, Outboxes* out);
  void Finish(Outboxes* out);
  void SendToClient(packet::Bytes plaintext, Outboxes* out);
  void SendPayload(Side to, packet::Bytes payload, Outboxes* out);
  void EndClient(Outboxes* out, tls::Engine::Ending ending = tls::Engine::Ending::kCloseNotify);
  void LeaveClient(CloseReason reason, Outboxes* out);
  void SetReason(CloseReason reason);
  bool watches_commands() const;
  bool GoesOnWithLogIn(packet::Bytes bytes);
  // What is for the client goes through Seal.
  bool encrypts() const { return tls_ != nullptr && !tls_->handed_over(); }
  bool signs() const { return phase_ == Phase::kTlsHandshake && signature_ != Signature::kNone; }

  // --- Packets of the connection phase (login.cc).
  void OnPacket(Side from, packet::MutableBytes packet, Outboxes* out);
  void OnServerPacket(packet::MutableBytes packet, Outboxes* out);
  void OnClientPacket(packet::MutableBytes packet, Outboxes* out);
  void OnGreeting(packet::MutableBytes packet, Outboxes* out);
  void OnClientReply(packet::MutableBytes packet, Outboxes* out);
  void OnHandshakeResponse(packet::MutableBytes packet, Outboxes* out);
  void OnChangeUser(packet::MutableBytes packet, Outboxes* out);
  void OnServerAuth(packet::MutableBytes packet, Outboxes* out);
  void OnServerRefusal(packet::Bytes payload, packet::MutableBytes packet, Outboxes* out);
  void BeginChangeUser();
  bool CertificateAllows(std::string_view user, Outboxes* out);
  void StartAuth(packet::MutableBytes packet, std::string_view plugin, packet::Bytes auth_response,
                 Outboxes* out);
  void Perform(const AuthAction& action, Side from, packet::MutableBytes packet, Outboxes* out);
  void ForwardLogin(packet::Bytes login_packet, packet::Bytes auth_response, Outboxes* out);
  void FinishAuth(bool accepted, Outboxes* out);
  void Forward(Side to, packet::MutableBytes packet, Outboxes* out);
  void Excuse(Outboxes* out);
  void OnServerPacketInExcuse(packet::MutableBytes packet, Outboxes* out);
  void BadHandshake(std::string_view why, Outboxes* out);
  void BadServer(std::string_view why, Outboxes* out);

  // --- The session's own greeting (own_greeting.cc).
  void KeepLogin(packet::MutableBytes packet, const packet::HandshakeResponse& response,
                 Outboxes* out);
  void OnLateGreeting(const packet::Greeting& greeting, Outboxes* out);

  const SessionOptions& options_;
  Phase phase_ = Phase::kGreeting;
  CloseReason reason_ = CloseReason::kNone;
  Signature signature_ = Signature::kNone;
  bool again_ = false;
  bool login_forwarded_ = false;  // The server has a HandshakeResponse41, the client's or ours.
  bool server_waits_ = false;     // The server's last packet asks for an answer.
  bool login_over_ = false;       // OK or ERR came: nothing is counted against the proxy any more.
  bool command_due_ = false;      // The log-in is over; the client's next packet begins a command.
  bool client_ended_ = false;     // close_notify or FIN was made: nothing can follow.
  bool compressed_ = false;
  bool server_secure_ = false;
  bool tls_refused_ = false;
  bool changes_keys_ = false;  // Whoever encrypts for the client can.
  PerSide<bool> ended_;
  PerSide<uint8_t> sequence_id_;

  std::unique_ptr<tls::Engine> tls_;
  std::unique_ptr<Login> login_;
  uint32_t client_flags_ = 0;
  uint32_t server_flags_ = 0;
  packet::Nonce nonce_{};
  packet::CommandWatch watch_;
  SessionSummary summary_;
};

}  // namespace sallyport

#endif  // PROXY_SESSION_SESSION_H_
