// Plan: what a client is going to do, and the account that it has; drawn before it begins. A client
// does what its plan says, and a server knows from the user's name which plan it serves.
#ifndef TESTS_SIM_PLAN_H_
#define TESTS_SIM_PLAN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/arrival.h"
#include "tests/sim/host.h"

namespace sallyport::sim {

// One authentication: a log-in or a COM_CHANGE_USER.
struct Account {
  std::string_view plugin;        // Of the account.
  std::string_view first_plugin;  // What the client begins with; another one means a switch.
  std::string_view factor;        // A second factor's plugin; empty: none.
  std::string password;           // Empty: the account has none.
  bool wrong = false;             // The client has another password.
  bool cached = true;             // caching_sha2_password: the server needs no password in clear.
  bool own_rsa = false;           // The client does the RSA exchange although it is on TLS.
  int rounds = 0;                 // Further packets each way, of a challenge-response plugin.

  bool at_once() const;        // OK follows, without a question.
  bool MaySendSecret() const;  // A plugin that the proxy refuses towards plaintext.
};

struct Command {
  enum class Kind { kQuery, kInfile, kChangeUser };
  Kind kind = Kind::kQuery;
  bool behind = false;  // Sent without waiting for the answers of those before it.
  bool whole = false;   // A query: its answer's bytes are one payload.
  uint32_t seed = 0;
  size_t upload = 0;           // Bytes behind the command's text, or of the file.
  size_t download = 0;         // Bytes of the answer.
  size_t new_keys = 0;         // On TLS 1.3: so many KeyUpdates go ahead of it,
  bool asks_for_keys = false;  // each of which asks for the proxy's.
};

// How somebody leaves who leaves early.
enum class Departure { kClose, kHalfClose, kReset, kCloseNotify, kStall, kGarbage };

struct Plan {
  std::string user;
  Arrival arrival;
  bool tls = false;
  bool tls12 = false;
  bool resume = false;
  std::string_view cipher;     // Of TLS 1.2; empty: what the library likes best.
  bool glued_hello = false;    // SSLRequest and ClientHello in one send.
  bool glued_request = false;  // SSLRequest and ClientHello glued to the PROXY header.
  bool clear_login = false;    // A log-in in clear behind the SSLRequest: injected on the way.
  bool ssl_flag_again = true;  // HandshakeResponse41 repeats CLIENT_SSL.
  uint32_t flags = 0;
  std::vector<Account> accounts;  // accounts[0] is the log-in's, the others COM_CHANGE_USERs'.
  std::vector<Command> commands;
  bool quits = true;              // Ends with COM_QUIT; else with its sockets only.
  bool hasty = false;             // It says COM_QUIT behind its last query.
  size_t leave_after = SIZE_MAX;  // Events of its life.
  Departure departure = Departure::kClose;
  size_t patience = 0;  // It reads and sends only once in so many steps, when not 0.

  bool compressed() const;
};

Plan MakePlan(Host* host, size_t number);

// Response is what a server answers to a query, as bytes with headers: the packets that carry
// `size` bytes made from `seed`, and one that ends them.
std::string Response(uint8_t sequence_id, const Command& command);
// AnswersOnce: under that plugin a client answers a nonce, and nobody asks more.
bool AnswersOnce(std::string_view plugin);
// Scrambled is what a challenge-response plugin makes of a password; as long as the real one's.
std::string Scrambled(std::string_view plugin, std::string_view password, std::string_view nonce);

}  // namespace sallyport::sim

#endif  // TESTS_SIM_PLAN_H_
