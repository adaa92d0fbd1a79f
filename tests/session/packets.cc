#include "tests/session/packets.h"

namespace sallyport::tests {
namespace {

constexpr size_t kPayloadMax = 0xFFFFFF;
const std::string kNul(1, '\0');

std::string Int(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  return bytes;
}

std::string LenEnc(std::string_view bytes) {
  const std::string size =
      bytes.size() < 251 ? Int(bytes.size(), 1) : "\xFC" + Int(bytes.size(), 2);
  return size + std::string(bytes);
}

std::string Text(std::string_view text) { return std::string(text) + kNul; }

std::string AuthResponse(uint32_t flags, const std::string& response) {
  if (flags & packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) return LenEnc(response);
  if (flags & packet::CLIENT_SECURE_CONNECTION) return Int(response.size(), 1) + response;
  return response + kNul;
}

std::string FixedPart(uint32_t flags) {
  return Int(flags, 4) + Int(1 << 24, 4) + "\x2D" + std::string(23, '\0');
}

const std::string kAttributes = LenEnc(LenEnc("_client_name") + LenEnc("conversation"));

}  // namespace

std::string Packet(uint8_t sequence_id, std::string_view payload) {
  std::string bytes;
  for (;;) {
    const size_t size = std::min(payload.size(), kPayloadMax);
    bytes += Int(size, 3) + Int(sequence_id++, 1);
    bytes += payload.substr(0, size);
    payload.remove_prefix(size);
    if (size < kPayloadMax) return bytes;
  }
}

std::string Greeting::payload() const {
  return "\x0A" + Text("9.7.4-test") + Int(1234, 4) + std::string(nonce.substr(0, 8)) + kNul +
         Int(flags & 0xFFFF, 2) + "\xFF" + Int(2, 2) + Int(flags >> 16, 2) + Int(21, 1) +
         std::string(10, '\0') + Text(nonce.substr(8)) + Text(plugin);
}

std::string SslRequest(uint32_t flags) { return FixedPart(flags | packet::CLIENT_SSL); }

std::string Login::payload() const {
  std::string bytes = FixedPart(flags) + Text(user) + AuthResponse(flags, auth_response);
  if (flags & packet::CLIENT_CONNECT_WITH_DB) bytes += Text("shop");
  if (flags & packet::CLIENT_PLUGIN_AUTH) bytes += Text(plugin);
  if (flags & packet::CLIENT_CONNECT_ATTRS) bytes += kAttributes;
  return bytes;
}

std::string ChangeUser::payload() const {
  return "\x11" + Text(user) + Int(auth_response.size(), 1) + auth_response + Text("shop") +
         Int(45, 2) + Text(plugin) + kAttributes;
}

std::string Scramble(size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(0x80 + i));
  return bytes;
}

std::string AuthSwitch(std::string_view plugin, std::string_view nonce) {
  return "\xFE" + Text(plugin) + Text(nonce);
}

std::string AuthNextFactor(std::string_view plugin, std::string_view nonce) {
  return "\x02" + Text(plugin) + Text(nonce);
}

std::string MoreData(std::string_view data) { return "\x01" + std::string(data); }

std::string Ok() { return std::string("\0\0\0\x02\0\0\0", 7); }

std::string Err(uint16_t code, std::string_view text) {
  return "\xFF" + Int(code, 2) + "#28000" + std::string(text);
}

std::string Query(std::string_view sql) { return "\x03" + std::string(sql); }

}  // namespace sallyport::tests
