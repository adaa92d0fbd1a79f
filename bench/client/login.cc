#include "bench/client/login.h"

#include <array>
#include <vector>

#include "bench/client/reply_reader.h"
#include "bench/lib/auth.h"
#include "packet/auth.h"
#include "packet/capabilities.h"
#include "packet/check.h"
#include "packet/header.h"
#include "tls/rsa_password.h"

namespace sallyport::bench {
namespace {

constexpr uint32_t kMaxPacketSize = 1 << 30;
constexpr uint8_t kUtf8mb4 = 45;
constexpr size_t kReserved = 23;

// No CLIENT_DEPRECATE_EOF: ReplyReader knows one form of result set.
constexpr uint32_t kCapabilities = packet::CLIENT_LONG_PASSWORD | packet::CLIENT_PROTOCOL_41 |
                                   packet::CLIENT_SECURE_CONNECTION | packet::CLIENT_PLUGIN_AUTH |
                                   (1u << 2) /* LONG_FLAG */ | (1u << 13) /* TRANSACTIONS */ |
                                   (1u << 17) /* MULTI_RESULTS */;

}  // namespace

Login::Step Login::OnPacket(const PacketStream::Packet& packet, std::string* out) {
  sequence_id_ = packet.header.sequence_id;
  if (!greeted_) {
    return OnGreeting(packet, out);
  }
  switch (packet::ClassifyAuthPacket(packet.payload, /*multi_factor=*/false)) {
    case packet::AuthPacket::kOk:
      return Step::kDone;
    case packet::AuthPacket::kErr:
      return Fail(ErrorText(packet.payload));
    case packet::AuthPacket::kAuthSwitchRequest:
      return OnAuthSwitch(packet.payload, out);
    case packet::AuthPacket::kPluginData:
      return OnPluginData(packet::PluginData(packet.payload), out);
    case packet::AuthPacket::kOldAuthSwitch:
    case packet::AuthPacket::kAuthNextFactor:
      break;
  }
  return Fail("the server asks for an authentication that is unknown here");
}

Login::Step Login::OnGreeting(const PacketStream::Packet& packet, std::string* out) {
  packet::Greeting greeting;
  if (packet::ParseGreeting(packet.payload, &greeting) != packet::Parse::kOk) {
    const bool refused = !packet.payload.empty() && packet.payload[0] == 0xFF;
    return Fail(refused ? ErrorText(packet.payload) : "no greeting");
  }
  greeted_ = true;
  nonce_ = greeting.nonce;
  server_flags_ = greeting.capability_flags;
  plugin_ = greeting.auth_plugin_name;
  if (plugin_ != kNativePlugin && plugin_ != kSha2Plugin) {
    plugin_ = kNativePlugin;  // The server will ask for the account's own.
  }
  if (!ask_tls_) {
    SendResponse(out);
    return Step::kNeedMore;
  }
  if ((server_flags_ & packet::CLIENT_SSL) == 0) {
    return Fail("the server offers no TLS");
  }
  std::array<uint8_t, 32> room;
  packet::Writer writer(room);
  SALLYPORT_CHECK(writer.WriteInt4(kCapabilities | packet::CLIENT_SSL) &&
                  writer.WriteInt4(kMaxPacketSize) && writer.WriteInt1(kUtf8mb4) &&
                  writer.WriteZeros(kReserved));
  Append(writer.written(), out);
  return Step::kStartTls;
}

void Login::TlsStarted(std::string* out) {
  secure_ = true;
  SendResponse(out);
}

void Login::SendResponse(std::string* out) {
  uint32_t flags = kCapabilities;
  if (ask_tls_) flags |= packet::CLIENT_SSL;
  if (!options_.database.empty()) flags |= packet::CLIENT_CONNECT_WITH_DB;
  const std::vector<uint8_t> scramble = Scramble(plugin_, options_.password, nonce_);
  std::array<uint8_t, 1024> room;
  packet::Writer writer(room);
  const bool ok =
      writer.WriteInt4(flags) && writer.WriteInt4(kMaxPacketSize) && writer.WriteInt1(kUtf8mb4) &&
      writer.WriteZeros(kReserved) && writer.WriteNulTerminated(options_.user) &&
      writer.WriteInt1(static_cast<uint8_t>(scramble.size())) && writer.WriteBytes(scramble) &&
      (options_.database.empty() || writer.WriteNulTerminated(options_.database)) &&
      writer.WriteNulTerminated(plugin_);
  SALLYPORT_CHECK(ok);
  Append(writer.written(), out);
}

Login::Step Login::OnAuthSwitch(packet::Bytes payload, std::string* out) {
  packet::AuthSwitch request;
  if (packet::ParseAuthSwitch(payload, &request) != packet::Parse::kOk ||
      !packet::ReadNonce(request.auth_plugin_data, &nonce_)) {
    return Fail("an AuthSwitchRequest that can't be read");
  }
  if (request.auth_plugin_name != kNativePlugin && request.auth_plugin_name != kSha2Plugin) {
    return Fail("the account's plugin is " + std::string(request.auth_plugin_name) +
                "; known here: mysql_native_password, caching_sha2_password");
  }
  plugin_ = request.auth_plugin_name;
  Append(Scramble(plugin_, options_.password, nonce_), out);
  return Step::kNeedMore;
}

Login::Step Login::OnPluginData(packet::Bytes payload, std::string* out) {
  if (key_requested_) {
    std::vector<uint8_t> password(options_.password.begin(), options_.password.end());
    password.push_back(0);
    std::array<uint8_t, tls::kRsaCiphertextSizeMax> ciphertext;
    size_t size = 0;
    if (tls::EncryptPassword(packet::AsText(payload), password, nonce_, ciphertext, &size) !=
        tls::EncryptResult::kOk) {
      return Fail("the server's public key can't be used");
    }
    key_requested_ = false;
    Append(packet::Bytes(ciphertext).first(size), out);
    return Step::kNeedMore;
  }
  if (payload.size() != 1) {
    return Fail("plugin data that is unknown here");
  }
  if (payload[0] == packet::kCachingSha2FastAuthSuccess) {
    return Step::kNeedMore;  // OK follows.
  }
  if (payload[0] != packet::kCachingSha2PerformFullAuthentication) {
    return Fail("plugin data that is unknown here");
  }
  if (secure_) {
    Append(
        packet::AsBytes(std::string_view(options_.password.c_str(), options_.password.size() + 1)),
        out);
    return Step::kNeedMore;
  }
  key_requested_ = true;
  const std::array<uint8_t, 1> request = {packet::kCachingSha2RequestPublicKey};
  Append(request, out);
  return Step::kNeedMore;
}

Login::Step Login::Fail(std::string_view why) {
  error_ = why;
  return Step::kFailed;
}

void Login::Append(packet::Bytes payload, std::string* out) {
  std::array<uint8_t, packet::kHeaderSize> header;
  packet::WriteHeader(
      {.payload_length = static_cast<uint32_t>(payload.size()), .sequence_id = ++sequence_id_},
      header);
  out->append(packet::AsText(header)).append(packet::AsText(payload));
}

}  // namespace sallyport::bench
