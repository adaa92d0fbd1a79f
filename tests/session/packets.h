// MySQL packets as both ends of a conversation make them, byte by byte and not by the code under
// test. Bytes are std::strings: payload() has no header, Packet adds one.
#ifndef TESTS_SESSION_PACKETS_H_
#define TESTS_SESSION_PACKETS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "packet/capabilities.h"

namespace sallyport::tests {

// Three nonces, so that a wrong one is seen.
inline constexpr std::string_view kGreetingNonce = "abcdefghABCDEFGHIJKL";
inline constexpr std::string_view kSwitchNonce = "01234567890123456789";
inline constexpr std::string_view kOtherNonce = "!$%&/()=?+*#-_.:,;<>";

inline constexpr std::string_view kCachingSha2 = "caching_sha2_password";
inline constexpr std::string_view kSha256 = "sha256_password";
inline constexpr std::string_view kNative = "mysql_native_password";
inline constexpr std::string_view kGssapi = "auth_gssapi_client";

// What every server and every client here can do. CLIENT_SSL is not among it.
inline constexpr uint32_t kFlags = packet::CLIENT_PROTOCOL_41 | packet::CLIENT_SECURE_CONNECTION |
                                   packet::CLIENT_PLUGIN_AUTH |
                                   packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA |
                                   packet::CLIENT_CONNECT_WITH_DB | packet::CLIENT_CONNECT_ATTRS;

// Packet is `payload` with its header; cut at 2^24-1 bytes, as the protocol has it.
std::string Packet(uint8_t sequence_id, std::string_view payload);

struct Greeting {
  std::string_view plugin = kCachingSha2;
  std::string_view nonce = kGreetingNonce;
  uint32_t flags = kFlags;

  Greeting WithSsl() const { return {plugin, nonce, flags | packet::CLIENT_SSL}; }
  std::string payload() const;
};

std::string SslRequest(uint32_t flags = kFlags);

// HandshakeResponse41.
struct Login {
  std::string auth_response;
  std::string_view plugin = kCachingSha2;
  uint32_t flags = kFlags;
  std::string user = "app";

  Login WithSsl() const { return {auth_response, plugin, flags | packet::CLIENT_SSL, user}; }
  Login With(std::string_view response) const {
    return {std::string(response), plugin, flags, user};
  }
  std::string payload() const;
};

// COM_CHANGE_USER.
struct ChangeUser {
  std::string auth_response;
  std::string_view plugin = kCachingSha2;
  std::string user = "other";

  ChangeUser With(std::string_view response) const { return {std::string(response), plugin, user}; }
  std::string payload() const;
};

// What a client makes of its password where the password itself stays at home: 32 bytes, or 20.
std::string Scramble(size_t size = 32);

std::string AuthSwitch(std::string_view plugin, std::string_view nonce);
std::string AuthNextFactor(std::string_view plugin, std::string_view nonce);
std::string MoreData(std::string_view data);  // AuthMoreData.
std::string Ok();
std::string Err(uint16_t code, std::string_view text = "Access denied for user");
std::string Query(std::string_view sql = "select 1");

// The bytes of the sha2 exchanges.
inline const std::string kFastAuth = MoreData("\x03");
inline const std::string kFullAuth = MoreData("\x04");
inline const std::string kCachingSha2KeyRequest = "\x02";
inline const std::string kSha256KeyRequest = "\x01";

}  // namespace sallyport::tests

#endif  // TESTS_SESSION_PACKETS_H_
