// Session::Login: what a session holds only until it is in the command phase (session.cc,
// login.cc).
#ifndef PROXY_SESSION_LOGIN_STATE_H_
#define PROXY_SESSION_LOGIN_STATE_H_

#include <optional>
#include <string>
#include <vector>

#include "packet/assembler.h"
#include "proxy/limits.h"
#include "proxy/session/auth_relay.h"
#include "proxy/session/greeting_traits.h"
#include "proxy/session/session.h"
#include "proxy/side.h"
#include "tls/secret.h"

namespace sallyport {

struct Session::Login {
  ~Login() {
    for (const Side side : kBothSides) {
      tls::Wipe(held[side]);
      tls::Wipe(working[side]);
    }
  }
  packet::Assembler& assembler(Side side) { return side == Side::kClient ? client : server; }

  packet::Assembler client{kClientLoginPayloadMax};
  packet::Assembler server{kServerLoginPayloadMax};
  std::optional<AuthRelay> auth;
  std::string greeting_plugin;  // The server's default, for a throw-away login.
  std::string excused_plugin;   // What the server asked for once the client was gone.
  std::optional<GreetingTraits> server_traits;
  uint32_t offered_flags = 0;  // In the session's own greeting,
  uint32_t offered_extended_flags = 0;
  uint32_t client_extended_flags = 0;  // and what the client set of MariaDB's.
  int packets = 0;                     // Of this authentication, both sides.
  bool change_user = false;            // This authentication began with COM_CHANGE_USER,
  bool awaits_change_user = false;     // which has not arrived whole.
  size_t auth_response_begin = 0;      // Where the log-in packet's payload has its auth_response,
  size_t auth_response_end = 0;        // with what encodes its length.
  tls::Secret rewritten;               // A log-in packet with another auth_response, being sent,
  size_t rewritten_size = 0;           // header included, or kept until there is a server.
  // Bytes that came ahead of their turn, and those that are being worked on, which views name until
  // the outboxes were sent.
  PerSide<std::vector<uint8_t>> held;
  PerSide<std::vector<uint8_t>> working;
};

}  // namespace sallyport

#endif  // PROXY_SESSION_LOGIN_STATE_H_
