// Conversation: a whole connection as a script over a Session, without sockets. The server's side
// is plaintext packets, the client's plaintext or real TLS:
//
//   Converse({}, [](Conversation& c) {
//     c.Server(0, Greeting().payload());
//     c.ExpectClient(0, Greeting().WithSsl().payload());
//     c.ClientAsksForTls();
//     c.ClientStartsTls();
//     c.Client(2, Login{Scramble()}.payload());
//     ...
//   });
//
// Every script runs in each Way. Each piece of input lies in a heap block of its exact size, which
// is overwritten and freed as soon as the contract allows, and so is the outboxes' memory: a view
// that is kept too long is caught. Always checked, besides what the script expects: no byte in
// clear for the client after its SSLRequest; the password in nothing that goes to a server over
// plaintext TCP, nor in memory that the session gave back; nothing sent that the script didn't
// expect.
#ifndef TESTS_SESSION_CONVERSATION_H_
#define TESTS_SESSION_CONVERSATION_H_

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/send_queue.h"
#include "proxy/session/session.h"
#include "tests/session/packets.h"
#include "tests/support/tls_client.h"
#include "tests/tls/record_maker.h"
#include "tls/signature.h"

namespace sallyport::tests {

// How bytes travel. The script is the same.
enum class Way {
  kWhole,       // What one side says in a row comes in one receive.
  kPackets,     // Each call of the script is a receive of its own.
  kBytes,       // Byte by byte (large amounts in some thousand pieces).
  kRecords,     // A TLS record for each byte of a client's packet.
  kSlowOutput,  // The peers take one byte at a time; the rest waits in a SendQueue.
  kPieces,      // Pieces of random size, each way.
};
std::string_view ToText(Way way);

inline constexpr std::string_view kPassword = "a password: \x01 \xC3\xA4, never seen in clear";

// What the links are and what the operator allows.
struct Links {
  bool tls_offered = true;
  bool tls_required = false;
  bool greets = false;  // The proxy greets; ProxyGreets and ServerConnects say when.
  bool unix_server = false;
  bool allow_cleartext_password = false;
  bool rsa_certificate = false;  // Its signatures are made elsewhere,
  bool late_signatures = false;  // and come when the script says so; else at once.
  // Clients are asked for a certificate, which ties them to a user; this one's has that CN, or
  // there is none.
  tls::UserRule client_user = tls::UserRule::kNone;
  std::string_view client_common_name = {};
  std::string_view server_key = {};  // PEM; empty: any will do.
  bool own_key = true;  // The proxy has an RSA key for plaintext clients of a unix-socket server.
  // What must not go to a server over plaintext TCP. Empty: nothing is looked for.
  std::string_view secret = kPassword;
};

class Conversation {
 public:
  Conversation(const Links& links, Way way);
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // --- What the peers say.
  void Server(uint8_t sequence_id, std::string_view payload);
  void ServerBytes(std::string_view bytes);
  // Client: inside TLS once that was started (a handshake under way is finished first).
  void Client(uint8_t sequence_id, std::string_view payload);
  void ClientBytes(std::string_view bytes);
  // ClientWire: as they are, on TLS too.
  void ClientWire(std::string_view bytes);
  // SealedByClient is `plaintext` as the client's TLS sends it, for ClientWire.
  std::string SealedByClient(std::string_view plaintext) { return Seal(plaintext); }
  // ClientAsksForTls sends the SSLRequest; no clear byte may come for the client from here on.
  void ClientAsksForTls(uint8_t sequence_id = 1);
  // ClientStartsTls sends the ClientHello; FinishTls all that the handshake still takes.
  void ClientStartsTls(uint16_t version_max = kTls13);
  void FinishTls();
  void ClientUpdatesKeys(bool answer);
  // KernelTakesOver: from now on somebody else makes the client's records, as kernel TLS does.
  // KernelWaits: the client's socket takes nothing until KernelGoesOn. KernelRefusesKeys: though it
  // could change them.
  void KernelTakesOver(bool changes_keys = true);
  void KernelWaits() { kernel_waits_ = true; }
  void KernelGoesOn();
  void KernelRefusesKeys(std::string_view why) { kernel_refusal_ = why; }
  int keys_changed() const { return keys_changed_; }
  // With late_signatures: the one that was asked for arrives, or word that it failed; also where
  // the session needs it no more.
  void SignatureComes();
  void SignatureFails();
  bool signature_under_way() const { return signature_request_.has_value(); }
  // --- How they leave.
  void ClientClosesTls();  // close_notify, without FIN.
  void Ends(Side side);    // FIN.
  void Resets(Side side);
  // --- What the sockets' owner says.
  void Refuse(CloseReason reason, const packet::Error& error);
  void Close(CloseReason reason);
  void ProxyGreets(const packet::Greeting& greeting) {
    Do([&](Outboxes* out) { session_->Greet(greeting, out); });
  }
  void ServerConnects() {
    Flush();
    session_->ServerDialled();
    session_->ServerConnected(links_.unix_server);
  }

  // --- What must have come to them by now, and nothing else before it.
  void ExpectClient(uint8_t sequence_id, std::string_view payload);
  void ExpectClientBytes(std::string_view bytes);
  void ExpectServer(uint8_t sequence_id, std::string_view payload);
  void ExpectServerBytes(std::string_view bytes);
  // ExpectErr: an ERR_Packet of this code whose text contains `text`.
  void ExpectErr(uint8_t sequence_id, uint16_t code, std::string_view text);
  // TakeServer returns the payload of the next packet at the server.
  std::string TakeServer(uint8_t sequence_id);
  std::string TakeClient(uint8_t sequence_id);
  // ExpectThrowaway: a log-in that is ours, so that the server counts no aborted handshake.
  void ExpectThrowaway(std::string_view plugin = kCachingSha2);
  void ExpectNothing(Side side);
  // ExpectEnd: FIN for that side.
  void ExpectEnd(Side side);
  void ExpectOpen(Side side);
  void ExpectCloseNotify(bool seen = true);
  void ExpectClosed(CloseReason reason);
  void ExpectPhase(Phase phase);
  void ExpectTlsError(std::string_view error);  // The client's library saw it.

  Session& session() { return *session_; }
  const Links& links() const { return links_; }
  bool on_tls() const { return tls_ != nullptr; }
  bool tls_done() const;
  bool failed() const { return failed_; }
  // Arrived takes all that came to a peer and was not yet looked at.
  std::string Arrived(Side side);
  // client_wire is all that went to the client since it asked for TLS.
  const std::string& client_wire() const { return client_wire_; }
  Way way() const { return way_; }

 private:
  static Outboxes& Bench();  // One for all sessions, as a worker has it.
  void Do(const std::function<void(Outboxes*)>& act);
  void Say(Side side, std::string_view wire_bytes);
  void Flush();
  void Deliver(Side side, std::string_view bytes);
  size_t PieceSize(size_t left, size_t whole);
  void Receive(Side side, std::string_view bytes);
  void Settle();
  void GiveSignature(packet::Bytes signature);
  // Runs `call` on the session and takes what it made out, as a worker would.
  void Call(const std::function<void()>& call);
  std::string SentByKernel();
  void ChangeKeys(const tls::WriteKeys& keys);
  void CopyOut(bool secret, std::vector<std::pair<Side, std::string>>* pieces);
  void Arrive(Side side, std::string_view bytes);
  void ArriveAtTlsClient(std::string_view bytes);
  void CheckRecords();
  void CheckSecret(size_t new_bytes);
  std::string Seal(std::string_view plaintext);
  std::string Take(Side side, uint8_t sequence_id);
  void ExpectBytes(Side side, std::string_view bytes);
  void Fail(const std::string& what);

  const Links links_;
  const Way way_;
  SessionOptions options_;
  std::unique_ptr<tls::ServerKey> server_key_;
  std::unique_ptr<Session> session_;
  std::mt19937 random_{1};

  PerSide<std::string> unsent_;  // Said, not yet received by the session.
  Side last_speaker_ = Side::kServer;
  PerSide<std::string> arrived_;  // Plaintext at the peers that no Expect has taken.
  PerSide<bool> end_seen_;
  std::string server_wire_;  // All that went to the server.
  std::string client_wire_;  // All that went to the client since its SSLRequest.
  bool asked_for_tls_ = false;
  std::unique_ptr<TlsClient> tls_;
  std::optional<tls::RecordMaker> kernel_;
  SendQueue kernel_queue_;
  bool kernel_waits_ = false;
  std::string kernel_refusal_;
  int keys_changed_ = 0;
  std::string tls_reply_;  // What the TLS client wants sent and didn't send.
  std::optional<tls::SignatureRequest> signature_request_;
  bool close_notify_seen_ = false;
  std::string tls_error_;
  bool failed_ = false;
};

// Converse runs the script in all ways; ConverseIn in those that are named.
void Converse(const Links& links, const std::function<void(Conversation&)>& script);
void ConverseIn(const std::vector<Way>& ways, const Links& links,
                const std::function<void(Conversation&)>& script);

// --- Beginnings that many scripts share.

// Greet: a client has the greeting. StartTls: it is on TLS; its next packet is 2, the server's 1.
void Greet(Conversation& c, const Greeting& greeting = {});
void StartTls(Conversation& c, const Greeting& greeting = {});
// LogIn: the server has the client's log-in packet, as it was; it speaks next, with 2.
// LogInPlain: the same without TLS.
void LogIn(Conversation& c, const Login& login, const Greeting& greeting = {});
void LogInPlain(Conversation& c, const Login& login, const Greeting& greeting = {});
// Accept: the server says OK, which has these sequence_ids.
void Accept(Conversation& c, uint8_t server_sequence_id, uint8_t client_sequence_id);
// ExpectExcused: the server gets a throw-away log-in and refuses it, and that is the end.
void ExpectExcused(Conversation& c, CloseReason reason);
// Command: a query and its answer pass.
void Command(Conversation& c, std::string_view sql = "select 1");
// QuitCleanly ends a session of the command phase as clients do.
void QuitCleanly(Conversation& c);

}  // namespace sallyport::tests

#endif  // TESTS_SESSION_CONVERSATION_H_
