// Server: a MySQL server that serves the Plans of the world's clients, and checks every byte that
// comes to it against what the client sent.
#ifndef TESTS_SIM_SERVER_H_
#define TESTS_SIM_SERVER_H_

#include <string>
#include <string_view>

#include "proxy/session/greeting_traits.h"
#include "tests/sim/client.h"
#include "tests/sim/peer.h"

namespace sallyport::sim {

class Server final : public Peer {
 public:
  Server(Host* host, Wire* wire, size_t number);

  // key of the greeting's nonce: tells servers apart.
  std::string key() const { return greeting_nonce_.substr(0, 8); }
  const std::string& nonce() const { return greeting_nonce_; }
  std::string GreetingPayload(bool tls) const;
  // Traits: of every server's greeting.
  static GreetingTraits Traits();

 private:
  enum class State {
    kLogin,       // Waits for HandshakeResponse41.
    kThrowaway,   // Waits for the answer of a log-in that the proxy made up.
    kAnswer,      // ... to an AuthSwitchRequest or AuthNextFactor.
    kPassword,    // caching_sha2_password: the password, or a request for the key.
    kCiphertext,  // The password under the key.
    kRound,       // A further packet of a challenge-response plugin.
    kCommands,
    kInfile,
    kOver,
  };

  void OnBytes(std::string_view bytes) override;
  void OnEnd(bool reset) override;

  void Greet();
  std::string_view TakeHeader(std::string_view bytes);
  void Say(std::string_view payload);
  void SayBytes(std::string_view bytes);
  void OnPacket(packet::Header header, const std::string& payload);

  // --- Log-in (server_login.cc).
  void OnLogin(const std::string& payload);
  void OnThrowaway();
  void Ask();
  void BeginAuth(const std::string& auth_response, std::string_view first_plugin);
  void Judge(const std::string& response);
  void JudgeSha256(const std::string& response);
  void OnSecret(const std::string& payload);
  void OnRound(const std::string& payload);
  // Check ends the factor: is what the client proved what its password makes?
  void Check(const std::string& proof, const std::string& right);
  void Accept();
  void Deny();
  void Switch(char kind, std::string_view plugin);

  // --- Commands.
  void OnCommandPacket(packet::Header header, const std::string& payload);
  void OnCommand();
  void OnChangeUser(const std::string& payload);
  void CompareWithLog(packet::Header header, std::string_view payload);

  void Wrong(const std::string& what);
  const Account& account() const { return client_->account(authentication_); }

  const std::string greeting_nonce_;
  State state_ = State::kLogin;
  Packets packets_;
  uint8_t id_ = 0;
  bool compression_on_ = false;
  Compression compression_;

  Client* client_ = nullptr;  // Once it has told its name.
  bool header_due_ = false;   // The proxy's PROXY header comes first.
  std::string header_;        // As far as it came.
  bool greeted_ = false;
  bool login_seen_ = false;
  std::string nonce_;
  std::string plugin_;
  size_t authentication_ = 0;
  bool second_factor_ = false;
  int round_ = 0;
  std::string question_;  // Of a round.

  bool continued_ = false;  // The last packet had 2^24-1 bytes.
  std::string command_;     // The text of the present command.
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_SERVER_H_
