// COM_CHANGE_USER (0x11): the command that re-enters authentication.
#ifndef PACKET_CHANGE_USER_H_
#define PACKET_CHANGE_USER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "packet/wire.h"

namespace sallyport::packet {

inline constexpr uint8_t COM_CHANGE_USER = 0x11;

// The parts of a COM_CHANGE_USER. Views live as long as the parsed payload.
struct ChangeUser {
  std::string_view username{};
  Bytes auth_response{};
  std::string_view database{};
  std::string_view auth_plugin_name{};  // Empty when absent: mysql_native_password is meant.
  size_t auth_response_field_begin = 0;
  size_t auth_response_field_end = 0;
  size_t auth_plugin_name_begin = 0;  // Where it and its NUL stand, or would; 0 where they can't:
  size_t auth_plugin_name_end = 0;    // without a character set or CLIENT_PLUGIN_AUTH.
};

// ParseChangeUser reads a whole payload, command byte included. `capability_flags` are those of the
// client's HandshakeResponse41. It returns kMalformed, leaving `*out` alone, when this is another
// command, when username or auth_response run over the end or the database is missing: servers
// refuse that too. A payload may end after any field from the database on, and that one may lack
// its NUL.
Parse ParseChangeUser(Bytes payload, uint32_t capability_flags, ChangeUser* out);

// ReplaceAuthResponse: as the function of this name in handshake_response.h.
size_t ReplaceAuthResponse(Bytes payload, uint32_t capability_flags, const ChangeUser& change_user,
                           Bytes auth_response, MutableBytes out);

// WriteAskingChangeUser: as WriteAskingLogin there. REQUIRES: auth_plugin_name_begin > 0.
size_t WriteAskingChangeUser(Bytes payload, const ChangeUser& change_user, MutableBytes out);

}  // namespace sallyport::packet

#endif  // PACKET_CHANGE_USER_H_
