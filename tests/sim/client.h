// Client: a MySQL client that follows its Plan, and checks every byte that comes to it: the
// server's greeting, sequence_ids, each answer in full, how the connection ends.
#ifndef TESTS_SIM_CLIENT_H_
#define TESTS_SIM_CLIENT_H_

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/session/packets.h"
#include "tests/sim/peer.h"
#include "tests/sim/plan.h"
#include "tests/support/tls_client.h"

namespace sallyport::sim {

class Client final : public Peer {
 public:
  Client(Host* host, Wire* wire, Plan plan);

  const Plan& plan() const { return plan_; }
  bool tls_done() const { return tls_done_; }
  // account of the authentication of this number.
  const Account& account(size_t number) const { return plan_.accounts.at(number); }
  // login_payload and change_user_payload: the client's last, CLIENT_SSL cleared, with
  // `auth_response` in place of its own when not null.
  std::string login_payload(const std::string* auth_response) const;
  std::string change_user_payload(const std::string* auth_response) const;
  // The same as it is where the proxy has the server ask for the account's plugin.
  std::string asking_login_payload() const;
  // ServedBy: the server that knows it; where the proxy greets, the greeting doesn't tell.
  void ServedBy(Server* server) { server_ = server; }
  // tls_words: of the finished handshake.
  TlsWords tls_words() const;
  // command_log: bytes of commands and files that no server has compared yet. Authentication's
  // packets aren't among them.
  std::string& command_log() { return command_log_; }

  // CheckEnd: did it come to its end, or was there a reason?
  void CheckEnd() const;

 private:
  enum class State { kGreeting, kTls, kAuth, kCommands, kRefused, kFinished };
  // What it waits for from the server.
  struct Awaited {
    std::string bytes;
    size_t matched = 0;
    const Command* infile = nullptr;  // `bytes` asks for this command's file.
  };

  void OnBytes(std::string_view bytes) override;
  void OnEnd(bool reset) override;
  bool SendCloseNotify() override;

  // --- Layers.
  void TakeTls(std::string_view bytes);
  void TakePlain(std::string_view bytes);
  void Say(std::string_view plain);
  void SendTls(const std::vector<uint8_t>& records, size_t plain_size);
  void SayPacket(std::string_view payload) { Say(tests::Packet(id_++, payload)); }

  // --- Log-in (client_login.cc).
  void OnGreeting(const std::string& payload);
  void OnProxyGreeting(const std::string& payload);
  std::string PrepareTls(std::string* hello);
  void StartTls();
  void LogIn();
  void ChangeUser();
  std::string FirstAnswer(std::string_view plugin);
  void OnAuthPacket(const std::string& payload);
  void OnPluginData(const std::string& data);
  void OnSwitch(const std::string& payload);
  void OnError(const std::string& payload);
  std::string RsaPassword(std::string_view pem) const;
  bool secure() const { return tls_ != nullptr; }
  const Account& account() const { return plan_.accounts[authentication_]; }
  std::string password() const;
  // With its NUL, as it goes in clear.
  std::string clear_password() const { return password() + '\0'; }

  // --- Commands.
  void Issue();
  void IssueQuery(const Command& command);
  void UpdateKeys(bool asks);
  void SendFile(const Command& command);
  void Match(std::string_view bytes);
  void SayQuit();
  void Quit();

  // A mismatch: a failure, unless peers say what they like in this world.
  void Wrong(const std::string& what);
  bool ServerMayBreak() const;

  const Plan plan_;
  State state_ = State::kGreeting;
  std::unique_ptr<tests::TlsClient> tls_;
  std::unique_ptr<tests::TlsClient> tls_to_be_;  // Until the greeting came.
  bool tls_done_ = false;
  bool close_notify_seen_ = false;
  bool asked_for_keys_ = false;
  bool compression_on_ = false;
  Compression compression_;
  Packets packets_;
  uint8_t id_ = 0;  // Of the next packet, whoever sends it.

  Server* server_ = nullptr;
  std::string nonce_;
  size_t authentication_ = 0;
  std::string plugin_;
  bool awaits_key_ = false;
  tests::Login login_;
  tests::ChangeUser change_user_;

  size_t next_command_ = 0;
  std::deque<Awaited> awaited_;
  bool quit_said_ = false;
  bool blocked_ = false;  // A command that must be answered before anything else is sent.
  std::string command_log_;
  std::string error_;       // The ERR_Packet that ended it.
  bool completed_ = false;  // It did all that it wanted.
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_CLIENT_H_
