// What a server says while it authenticates, and what an authentication plugin's name tells.
#ifndef PACKET_AUTH_H_
#define PACKET_AUTH_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "packet/wire.h"

namespace sallyport::packet {

// The byte before an AuthNextFactor, where MULTI_FACTOR_AUTHENTICATION was agreed on.
inline constexpr uint8_t kAuthNextFactorMarker = 0x02;

// The kinds of server packet between HandshakeResponse41 (or COM_CHANGE_USER) and OK.
enum class AuthPacket {
  kOk,                 // 00
  kErr,                // FF
  kAuthSwitchRequest,  // FE plugin NUL auth_plugin_data
  kOldAuthSwitch,      // FE alone: mysql_old_password
  kAuthNextFactor,     // 02 plugin NUL auth_plugin_data, with MULTI_FACTOR_AUTHENTICATION only
  kPluginData,         // Everything else: AuthMoreData (01 ...), or MariaDB's data without 01
};

// ClassifyAuthPacket goes by the first byte. MariaDB sends plugin data without the 01 that marks
// AuthMoreData, so whatever is no control packet is plugin data, an empty payload included.
// `multi_factor` says whether both ends set MULTI_FACTOR_AUTHENTICATION.
AuthPacket ClassifyAuthPacket(Bytes payload, bool multi_factor);

// PluginData is the payload without AuthMoreData's 01, where there is one.
Bytes PluginData(Bytes payload);

// The plugin that the server asks for, and its auth_plugin_data. Views live as long as `payload`.
struct AuthSwitch {
  std::string_view auth_plugin_name{};
  Bytes auth_plugin_data{};
};

// ParseAuthSwitch reads a payload of kind kAuthSwitchRequest or kAuthNextFactor. A name without its
// NUL is kMalformed; `*out` is left alone then.
Parse ParseAuthSwitch(Bytes payload, AuthSwitch* out);

// How a client plugin treats the secret when it believes that its link is secure (TLS).
enum class PluginKind {
  kCachingSha2,        // A scramble first; the password in clear when the server asks for it.
  kSha256,             // The password in clear at once.
  kChallengeResponse,  // Never sends the secret: relay.
  kCleartext,          // Sends a secret in clear by design.
  kUnknown,            // Not on either list: nobody here can say, so treat it as kCleartext.
};

// PluginKindOf knows every client plugin that MySQL and MariaDB ship. An empty name is
// mysql_native_password, the plugin of clients without CLIENT_PLUGIN_AUTH.
PluginKind PluginKindOf(std::string_view auth_plugin_name);

// UselessAnswer is what proves nothing, and what servers refuse as they do a wrong password, so
// that they don't count a broken handshake against the address that it came from: an empty packet,
// or, for MariaDB's client_ed25519, zeros of a signature's size. (Measured with MariaDB 10.11.19.)
Bytes UselessAnswer(std::string_view auth_plugin_name);

// The same plugins by number, for whoever counts by plugin: PluginIndex is kPluginsKnown for one
// that is on neither list, and PluginName(kPluginsKnown) is empty.
inline constexpr size_t kPluginsKnown = 17;
size_t PluginIndex(std::string_view auth_plugin_name);
std::string_view PluginName(size_t index);

// caching_sha2_password and sha256_password: bytes of the exchange.
inline constexpr uint8_t kCachingSha2RequestPublicKey = 0x02;
inline constexpr uint8_t kCachingSha2FastAuthSuccess = 0x03;
inline constexpr uint8_t kCachingSha2PerformFullAuthentication = 0x04;
inline constexpr uint8_t kSha256RequestPublicKey = 0x01;

}  // namespace sallyport::packet

#endif  // PACKET_AUTH_H_
