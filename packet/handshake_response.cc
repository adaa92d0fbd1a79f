#include "packet/handshake_response.h"

#include "packet/asking_plugin.h"
#include "packet/auth_response.h"
#include "packet/capabilities.h"
#include "packet/check.h"
#include "packet/header.h"

namespace sallyport::packet {
namespace {

// capability_flags, max_packet_size, character_set and 23 reserved bytes: all of an SSLRequest.
constexpr size_t kFixedSize = 32;
constexpr size_t kReservedSize = 23;  // MariaDB: its extended capabilities in the last four.
constexpr size_t kReservedBeforeExtended = kReservedSize - 4;
constexpr size_t kCapabilityFlagsSize = 4;

AuthResponseEncoding EncodingOf(uint32_t capability_flags) {
  if ((capability_flags & CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) != 0) {
    return AuthResponseEncoding::kLenEnc;
  }
  return (capability_flags & CLIENT_SECURE_CONNECTION) != 0 ? AuthResponseEncoding::kOneByteLength
                                                            : AuthResponseEncoding::kNulTerminated;
}

}  // namespace

ClientReply ClassifyClientReply(Bytes payload) {
  uint32_t flags = 0;
  if (!Reader(payload).ReadInt4(&flags)) {
    return ClientReply::kMalformed;
  }
  if ((flags & CLIENT_PROTOCOL_41) == 0) {
    return ClientReply::kPre41;
  }
  if (payload.size() > kFixedSize) {
    return ClientReply::kHandshakeResponse41;
  }
  const bool ssl = (flags & CLIENT_SSL) != 0;
  const bool size_fits = payload.size() == kFixedSize || payload.size() == kCapabilityFlagsSize;
  return ssl && size_fits ? ClientReply::kSslRequest : ClientReply::kMalformed;
}

Parse ParseHandshakeResponse(Bytes payload, HandshakeResponse* out) {
  Reader reader(payload);
  HandshakeResponse response;
  Bytes username;
  if (!reader.ReadInt4(&response.capability_flags) || !reader.ReadInt4(&response.max_packet_size) ||
      !reader.ReadInt1(&response.character_set) || !reader.Skip(kReservedBeforeExtended) ||
      !reader.ReadInt4(&response.extended_flags) || !reader.ReadNulTerminated(&username)) {
    return Parse::kMalformed;
  }
  if ((response.capability_flags & CLIENT_LONG_PASSWORD) != 0) response.extended_flags = 0;
  response.username = AsText(username);
  response.auth_response_field_begin = reader.position();
  if (!ReadAuthResponse(EncodingOf(response.capability_flags), &reader, &response.auth_response)) {
    return Parse::kMalformed;
  }
  response.auth_response_field_end = reader.position();
  if ((response.capability_flags & CLIENT_CONNECT_WITH_DB) != 0) {
    response.database = ReadTextUpToNulOrEnd(&reader);
  }
  if ((response.capability_flags & CLIENT_PLUGIN_AUTH) != 0) {
    response.auth_plugin_name = ReadTextUpToNulOrEnd(&reader);
  }
  response.auth_plugin_name_end = reader.position();
  *out = response;
  return Parse::kOk;
}

void ClearClientSsl(MutableBytes payload) {
  SALLYPORT_CHECK(payload.size() >= kCapabilityFlagsSize);
  // CLIENT_SSL is bit 11: in the second byte.
  static_assert(CLIENT_SSL >> 8 <= 0xFF && (CLIENT_SSL & 0xFF) == 0);
  constexpr uint8_t kBit = CLIENT_SSL >> 8;
  payload[1] = static_cast<uint8_t>(payload[1] & ~kBit);
}

void ClearCompression(MutableBytes payload) {
  SALLYPORT_CHECK(payload.size() >= kCapabilityFlagsSize);
  static_assert(kCompressionFlags == (1u << 5 | 1u << 26));
  payload[0] = static_cast<uint8_t>(payload[0] & ~CLIENT_COMPRESS);
  payload[3] = static_cast<uint8_t>(payload[3] & ~(CLIENT_ZSTD_COMPRESSION_ALGORITHM >> 24));
}

void ClearFlags(MutableBytes payload, uint32_t capability_flags, uint32_t extended_flags) {
  constexpr size_t kExtendedFlagsAt = kFixedSize - 4;
  SALLYPORT_CHECK(payload.size() > kFixedSize);
  const auto clear = [payload](size_t at, uint32_t flags) {
    for (size_t i = 0; i < 4; ++i) {
      payload[at + i] = static_cast<uint8_t>(payload[at + i] & ~(flags >> (8 * i)));
    }
  };
  const bool has_extended = (payload[0] & CLIENT_LONG_PASSWORD) == 0;
  clear(0, capability_flags);
  if (has_extended) clear(kExtendedFlagsAt, extended_flags);
}

size_t ReplaceAuthResponse(Bytes payload, const HandshakeResponse& response, Bytes auth_response,
                           MutableBytes out) {
  return SpliceAuthResponse(payload, response.auth_response_field_begin,
                            response.auth_response_field_end, EncodingOf(response.capability_flags),
                            auth_response, out);
}

size_t WriteAskingLogin(Bytes payload, const HandshakeResponse& response, MutableBytes out) {
  SALLYPORT_CHECK((response.capability_flags & CLIENT_PLUGIN_AUTH) != 0);
  const bool with_database = (response.capability_flags & CLIENT_CONNECT_WITH_DB) != 0;
  Writer writer(out);
  const bool ok = writer.WriteBytes(payload.first(response.auth_response_field_begin)) &&
                  writer.WriteInt1(0) &&  // Empty, in each of the three encodings.
                  (!with_database || writer.WriteNulTerminated(response.database)) &&
                  writer.WriteNulTerminated(kAskingPlugin) &&
                  writer.WriteBytes(payload.subspan(response.auth_plugin_name_end));
  return ok ? writer.written().size() : 0;
}

size_t WriteThrowawayLogin(uint32_t server_flags, std::string_view auth_plugin_name,
                           uint8_t sequence_id, MutableBytes out) {
  // 20 characters, of the 32 that MySQL allows. No server should have such a user; whoever reads a
  // server's log finds in it where the refused login came from.
  constexpr std::string_view kUser = "sallyport-left-early";
  constexpr std::string_view kDefaultPlugin = "mysql_native_password";
  constexpr uint32_t kMaxPacketSize = 1 << 24;
  constexpr uint8_t kLatin1 = 8;  // Compiled into every server; the user's name is ASCII.
  constexpr size_t kPluginSizeMax =
      kThrowawayLoginSizeMax - kHeaderSize - kFixedSize - (kUser.size() + 1) - 1 - 1;
  static_assert(kDefaultPlugin.size() <= kPluginSizeMax);
  SALLYPORT_CHECK(out.size() >= kThrowawayLoginSizeMax);

  const uint32_t flags =
      CLIENT_PROTOCOL_41 | (server_flags & (CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH));
  Writer writer(out.subspan(kHeaderSize));
  bool ok = writer.WriteInt4(flags) && writer.WriteInt4(kMaxPacketSize) &&
            writer.WriteInt1(kLatin1) && writer.WriteZeros(kReservedSize) &&
            writer.WriteNulTerminated(kUser) &&
            writer.WriteInt1(0);  // auth_response: empty, in each of the three encodings.
  if ((flags & CLIENT_PLUGIN_AUTH) != 0) {
    // The greeting's name is the server's word: without one, or with one of absurd length, the
    // oldest does.
    const bool usable = !auth_plugin_name.empty() && auth_plugin_name.size() <= kPluginSizeMax;
    ok = ok && writer.WriteNulTerminated(usable ? auth_plugin_name : kDefaultPlugin);
  }
  SALLYPORT_CHECK(ok);
  const auto payload_length = static_cast<uint32_t>(writer.written().size());
  WriteHeader({.payload_length = payload_length, .sequence_id = sequence_id}, out);
  return kHeaderSize + payload_length;
}

}  // namespace sallyport::packet
