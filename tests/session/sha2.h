// What the scripts of both sha2 plugins share.
#ifndef TESTS_SESSION_SHA2_H_
#define TESTS_SESSION_SHA2_H_

#include <string>
#include <string_view>

#include "tests/session/conversation.h"
#include "tests/session/rsa.h"

namespace sallyport::tests {

// PasswordNul is the password as a client sends it in clear.
inline std::string PasswordNul() { return std::string(kPassword) + '\0'; }

// ExchangeKey: the server is asked for its key with `sequence_id`, sends it, and gets the password
// under it and the nonce. The server speaks next, with sequence_id + 3.
void ExchangeKey(Conversation& c, uint8_t sequence_id, std::string_view nonce,
                 std::string_view request, std::string_view password = kPassword);

// SwitchAndMediate: the server asks for its plugin and for the password, as MySQL does. The packets
// begin with these sequence_ids; the defaults are those behind a COM_CHANGE_USER.
void SwitchAndMediate(Conversation& c, std::string_view nonce, uint8_t server_sequence_id = 1,
                      uint8_t client_sequence_id = 1);

}  // namespace sallyport::tests

#endif  // TESTS_SESSION_SHA2_H_
