// The grammar of packet/README.md read a second time, plainly: what the parsers are held against.
#ifndef TESTS_FUZZ_REFERENCE_H_
#define TESTS_FUZZ_REFERENCE_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "packet/capabilities.h"

namespace sallyport::fuzz {

// Text reads from the front and, after the first read that ran over the end, is not `ok`.
struct Text {
  std::string_view rest;
  bool ok = true;

  std::string Take(size_t size) {
    ok = ok && size <= rest.size();
    if (!ok) return "";
    const std::string taken(rest.substr(0, size));
    rest.remove_prefix(size);
    return taken;
  }
  uint64_t Int(size_t size) {
    uint64_t value = 0;
    const std::string bytes = Take(size);
    for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | uint8_t(bytes[i - 1]);
    return value;
  }
  std::string Nul() {
    const size_t size = rest.find('\0');
    std::string text = Take(size == rest.npos ? rest.npos : size);
    Take(1);
    return text;
  }
  std::string NulOrEnd() { return rest.find('\0') == rest.npos ? Take(rest.size()) : Nul(); }
  std::string LenEnc() {
    const uint64_t first = Int(1);
    if (first == 0xFB || first == 0xFF) ok = false;
    const uint64_t size = first < 0xFB    ? first
                          : first == 0xFC ? Int(2)
                          : first == 0xFD ? Int(3)
                                          : Int(8);
    return Take(size);
  }
};

struct GreetingText {
  std::string server_version, nonce, plugin;
  uint32_t thread_id, flags;
};

inline std::optional<GreetingText> ReadGreeting(std::string_view payload) {
  Text text{payload};
  GreetingText greeting{};
  if (text.Int(1) != 10) return std::nullopt;
  greeting.server_version = text.Nul();
  greeting.thread_id = static_cast<uint32_t>(text.Int(4));
  greeting.nonce = text.Take(8);
  text.Take(1);
  const uint64_t low = text.Int(2);
  text.Take(3);
  greeting.flags = static_cast<uint32_t>(low | text.Int(2) << 16);
  const uint64_t announced = text.Int(1);
  text.Take(10);
  if (!text.ok || (greeting.flags & packet::CLIENT_PROTOCOL_41) == 0) return std::nullopt;
  greeting.nonce.resize(20);
  const bool plugin = (greeting.flags & packet::CLIENT_PLUGIN_AUTH) != 0;
  if (!plugin && (greeting.flags & packet::CLIENT_SECURE_CONNECTION) == 0) return greeting;
  const size_t wanted = announced < 21 ? 13 : static_cast<size_t>(announced) - 8;
  const std::string more = text.Take(std::min(wanted, text.rest.size()));
  if (more.size() < 12) return std::nullopt;
  greeting.nonce = greeting.nonce.substr(0, 8) + more.substr(0, 12);
  if (plugin) greeting.plugin = text.NulOrEnd();
  return greeting;
}

struct LoginText {
  std::string user, auth_response, database, plugin;
  size_t field_begin = 0, field_end = 0;
};

inline std::string ReadAuthText(bool lenenc, bool one_byte, Text* text) {
  if (lenenc) return text->LenEnc();
  return one_byte ? text->Take(text->Int(1)) : text->Nul();
}

inline std::optional<LoginText> ReadLogin(std::string_view payload) {
  Text text{payload};
  LoginText login;
  const uint64_t flags = text.Int(4);
  text.Take(28);
  login.user = text.Nul();
  login.field_begin = payload.size() - text.rest.size();
  login.auth_response = ReadAuthText((flags & packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) != 0,
                                     (flags & packet::CLIENT_SECURE_CONNECTION) != 0, &text);
  login.field_end = payload.size() - text.rest.size();
  if (!text.ok) return std::nullopt;
  if ((flags & packet::CLIENT_CONNECT_WITH_DB) != 0) login.database = text.NulOrEnd();
  if ((flags & packet::CLIENT_PLUGIN_AUTH) != 0) login.plugin = text.NulOrEnd();
  return login;
}

inline std::optional<LoginText> ReadChangeUser(std::string_view payload, uint32_t flags) {
  Text text{payload};
  LoginText login;
  if (text.Int(1) != 0x11) return std::nullopt;
  login.user = text.Nul();
  login.field_begin = payload.size() - text.rest.size();
  login.auth_response = ReadAuthText(false, (flags & packet::CLIENT_SECURE_CONNECTION) != 0, &text);
  login.field_end = payload.size() - text.rest.size();
  if (!text.ok || text.rest.empty()) return std::nullopt;
  login.database = text.NulOrEnd();
  text.Take(2);
  if (text.ok && (flags & packet::CLIENT_PLUGIN_AUTH) != 0) login.plugin = text.NulOrEnd();
  return login;
}

}  // namespace sallyport::fuzz

#endif  // TESTS_FUZZ_REFERENCE_H_
