// The client's first packets: Protocol::SSLRequest and Protocol::HandshakeResponse41.
#ifndef PACKET_HANDSHAKE_RESPONSE_H_
#define PACKET_HANDSHAKE_RESPONSE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "packet/wire.h"

namespace sallyport::packet {

// What a client's packet in answer to the greeting is.
enum class ClientReply {
  kSslRequest,           // 32 bytes, or the 4 of old Connector/J: flags alone. CLIENT_SSL is set.
  kHandshakeResponse41,  // CLIENT_PROTOCOL_41 set and longer than an SSLRequest.
  kPre41,      // No CLIENT_PROTOCOL_41: a client from before 4.1, its SSLRequest included.
  kMalformed,  // None of these: another size with CLIENT_PROTOCOL_41, or under 4 bytes.
};

// ClassifyClientReply goes by size *and* capability bits: a HandshakeResponse41 may carry
// CLIENT_SSL too, and then is the second packet of a client on TLS. (mysqld goes by CLIENT_SSL
// alone in the first packet, and so sends a client to TLS that put its user name in front of it.)
ClientReply ClassifyClientReply(Bytes payload);

// The parts of a HandshakeResponse41. Views live as long as the parsed payload.
struct HandshakeResponse {
  uint32_t capability_flags = 0;
  uint32_t extended_flags = 0;  // MariaDB's, whose clients unset CLIENT_LONG_PASSWORD; 0 of others.
  uint32_t max_packet_size = 0;
  uint8_t character_set = 0;
  std::string_view username{};
  Bytes auth_response{};
  std::string_view database{};          // Empty without CLIENT_CONNECT_WITH_DB.
  std::string_view auth_plugin_name{};  // Empty without CLIENT_PLUGIN_AUTH.
  // The bits of auth_response's encoding are CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA (int<lenenc> and
  // bytes), else CLIENT_SECURE_CONNECTION (int<1> and bytes), else neither (bytes and NUL).
  // Where the auth_response stands in the payload, its length prefix or final NUL included.
  size_t auth_response_field_begin = 0;
  size_t auth_response_field_end = 0;
  size_t auth_plugin_name_end = 0;  // Behind its NUL: attributes, and what comes after them.
};

// ParseHandshakeResponse reads a whole payload of kind kHandshakeResponse41. It returns kMalformed,
// leaving `*out` alone, when username or auth_response run over the end. Like MariaDB it accepts a
// payload that ends before database, plugin name or attributes although their capability bits are
// set ("Some clients lie. Sad, but true"), or where the last of these lacks its NUL. Attributes and
// what is behind them aren't looked at: they travel on as they are.
Parse ParseHandshakeResponse(Bytes payload, HandshakeResponse* out);

// ClearClientSsl clears CLIENT_SSL in place. REQUIRES: payload.size() >= 4.
void ClearClientSsl(MutableBytes payload);
// ClearCompression clears kCompressionFlags likewise.
void ClearCompression(MutableBytes payload);

// ReplaceAuthResponse writes to `out` the payload `payload`, parsed as `response`, with another
// auth_response in the same encoding, and returns the bytes written; 0 when `auth_response` can't
// be encoded (over 255 bytes with a one-byte length, a NUL in a NUL-terminated field) or `out` is
// too small (payload.size() + auth_response.size() + 9 always fit). `out` must not overlap.
size_t ReplaceAuthResponse(Bytes payload, const HandshakeResponse& response, Bytes auth_response,
                           MutableBytes out);

// ClearFlags clears capability_flags and, where the client has them, extended ones likewise.
// REQUIRES: ParseHandshakeResponse(payload) returned kOk.
void ClearFlags(MutableBytes payload, uint32_t capability_flags, uint32_t extended_flags);

// WriteAskingLogin writes to `out` the payload `payload`, parsed as `response`, under kAskingPlugin
// and with an empty auth_response, and returns the bytes written; 0 when `out` is too small
// (payload.size() + kAskingPluginRoom always fit). REQUIRES: CLIENT_PLUGIN_AUTH is set; no overlap.
size_t WriteAskingLogin(Bytes payload, const HandshakeResponse& response, MutableBytes out);

// WriteThrowawayLogin writes a whole packet, header included: a HandshakeResponse41 for a user
// whom no server knows, with an empty auth_response. A server that gets it before the connection
// closes doesn't count an aborted handshake against the proxy's address (max_connect_errors).
// `server_flags` and `auth_plugin_name` are the greeting's: offered another plugin, or none, MySQL
// asks for its own and counts a close at that point. It may ask all the same, since it draws an
// unknown user's plugin by lot, as MariaDB does: an AuthSwitchRequest wants an answer before the
// close, and a UselessAnswer will do. (Measured with MySQL 9.7.4: 0 of 8 count with the greeting's
// plugin, and with another one that is answered; each one counts with another one unanswered, or
// without CLIENT_PLUGIN_AUTH.) Returns the bytes written.
// REQUIRES: out.size() >= kThrowawayLoginSizeMax.
inline constexpr size_t kThrowawayLoginSizeMax = 160;
size_t WriteThrowawayLogin(uint32_t server_flags, std::string_view auth_plugin_name,
                           uint8_t sequence_id, MutableBytes out);

}  // namespace sallyport::packet

#endif  // PACKET_HANDSHAKE_RESPONSE_H_
