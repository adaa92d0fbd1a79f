// What a server says while it authenticates, an ERR_Packet included, and the throw-away log-in that
// its greeting decides.
#include "packet/auth.h"
#include "packet/error_packet.h"
#include "packet/greeting.h"
#include "packet/handshake_response.h"
#include "packet/header.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/reference.h"

namespace sallyport::fuzz {
namespace {

using packet::AuthPacket;

AuthPacket Classify(std::string_view payload, bool multi_factor) {
  if (payload.empty()) return AuthPacket::kPluginData;
  switch (static_cast<uint8_t>(payload[0])) {
    case 0x00:
      return AuthPacket::kOk;
    case 0xFF:
      return AuthPacket::kErr;
    case 0xFE:
      return payload.size() == 1 ? AuthPacket::kOldAuthSwitch : AuthPacket::kAuthSwitchRequest;
    case 0x02:
      return multi_factor ? AuthPacket::kAuthNextFactor : AuthPacket::kPluginData;
    default:
      return AuthPacket::kPluginData;
  }
}

void CheckSwitch(Bytes payload) {
  packet::AuthSwitch found;
  const bool ok = packet::ParseAuthSwitch(payload, &found) == packet::Parse::kOk;
  Text text{packet::AsText(payload)};
  text.Take(1);
  const std::string name = text.Nul();
  FUZZ_CHECK(ok == text.ok);
  if (!ok) return;
  FUZZ_CHECK(found.auth_plugin_name == name);
  FUZZ_CHECK(packet::AsText(found.auth_plugin_data) == text.rest);
  FUZZ_CHECK(Within(found.auth_plugin_name, payload) && Within(found.auth_plugin_data, payload));
  packet::PluginKindOf(found.auth_plugin_name);
  packet::Nonce nonce{};
  const bool has_nonce = packet::ReadNonce(found.auth_plugin_data, &nonce);
  FUZZ_CHECK(has_nonce == (text.rest.size() >= 20));
  if (has_nonce) FUZZ_CHECK(packet::AsText(nonce) == text.rest.substr(0, 20));
}

// Read, and written again: the same, or cut as the contract says.
void CheckError(Bytes payload) {
  packet::Error error;
  if (packet::ParseErrorPacket(payload, &error) != packet::Parse::kOk) {
    FUZZ_CHECK(payload.size() < 3 || payload[0] != 0xFF);
    return;
  }
  FUZZ_CHECK(Within(error.sqlstate, payload) && Within(error.message, payload));
  Buffer out(packet::kErrorPacketSizeMax);
  const bool with_sqlstate = !error.sqlstate.empty();
  const size_t size = packet::WriteErrorPacket(error, with_sqlstate, 7, out);
  const Bytes written = packet::Payload(Bytes(out).first(size));
  FUZZ_CHECK(packet::AsText(payload).starts_with(packet::AsText(written)));
  FUZZ_CHECK(written.size() == payload.size() ||
             error.message.size() > packet::kErrorMessageSizeMax);
}

void CheckThrowaway(uint32_t flags, std::string_view plugin) {
  Buffer out(packet::kThrowawayLoginSizeMax);
  const size_t size = packet::WriteThrowawayLogin(flags, plugin, 1, out);
  const Bytes payload = packet::Payload(Bytes(out).first(size));
  const auto login = ReadLogin(packet::AsText(payload));
  FUZZ_CHECK(login.has_value() && login->auth_response.empty());
  FUZZ_CHECK(packet::ClassifyClientReply(payload) == packet::ClientReply::kHandshakeResponse41);
  FUZZ_CHECK((payload[1] & (packet::CLIENT_SSL >> 8)) == 0);
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  const fuzz::Buffer payload = packet::Exact(packet::Bytes(data, size));
  const std::string_view text = packet::AsText(payload);
  for (const bool multi_factor : {false, true}) {
    FUZZ_CHECK(packet::ClassifyAuthPacket(payload, multi_factor) ==
               fuzz::Classify(text, multi_factor));
  }
  const bool marked = !text.empty() && text[0] == 1;
  FUZZ_CHECK(packet::AsText(packet::PluginData(payload)) == text.substr(marked ? 1 : 0));
  fuzz::CheckSwitch(payload);
  fuzz::CheckError(payload);
  fuzz::CheckThrowaway(fuzz::Input(data, size).Int(4), text.substr(std::min<size_t>(4, size)));
  return 0;
}
