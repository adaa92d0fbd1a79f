// Protocol::HandshakeV10, the greeting: the first packet of a server.
#ifndef PACKET_GREETING_H_
#define PACKET_GREETING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "packet/wire.h"

namespace sallyport::packet {

// The nonce ("scramble") with which both sha2 plugins mask a password: 20 bytes.
inline constexpr size_t kNonceSize = 20;
using Nonce = std::array<uint8_t, kNonceSize>;

// ReadNonce takes the nonce from auth_plugin_data as it stands in an AuthSwitchRequest or an
// AuthNextFactor: 20 bytes, commonly with a 21st that is NUL and no part of it. It returns false,
// leaving `*out` alone, when fewer than 20 bytes are there.
bool ReadNonce(Bytes auth_plugin_data, Nonce* out);

// The parts of a greeting that the proxy looks at. Views live as long as the parsed payload.
struct Greeting {
  std::string_view server_version{};
  uint32_t thread_id = 0;
  uint32_t capability_flags = 0;
  uint32_t extended_flags = 0;  // MariaDB's, who unsets CLIENT_LONG_PASSWORD; 0 of others.
  uint16_t status_flags = 0;
  uint8_t character_set = 0;
  std::string_view auth_plugin_name{};  // Empty without CLIENT_PLUGIN_AUTH.
  Nonce nonce{};                        // First 20 bytes of auth_plugin_data, zero-filled.
};

// ParseGreeting reads a whole payload. It returns kMalformed, leaving `*out` alone, when this is no
// HandshakeV10 of a 4.1 server or later; a whole payload is never kNeedMore.
Parse ParseGreeting(Bytes payload, Greeting* out);

// SetClientSsl sets or clears CLIENT_SSL in the greeting `payload`, in place.
// REQUIRES: ParseGreeting(payload) returned kOk.
void SetClientSsl(MutableBytes payload, bool on);

// ClearCompressionOffer clears kCompressionFlags likewise.
void ClearCompressionOffer(MutableBytes payload);

// WriteGreeting writes a payload that ParseGreeting reads back as `greeting`, and returns the bytes
// written. REQUIRES: IsWritable(greeting); texts without NUL; out.size() >= kGreetingSizeMax.
// IsWritable: CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION and CLIENT_PLUGIN_AUTH are set, and the
// texts have at most kGreetingTextMax bytes.
inline constexpr size_t kGreetingTextMax = 128;
inline constexpr size_t kGreetingSizeMax = 64 + 2 * kGreetingTextMax;
bool IsWritable(const Greeting& greeting);
size_t WriteGreeting(const Greeting& greeting, MutableBytes out);

}  // namespace sallyport::packet

#endif  // PACKET_GREETING_H_
