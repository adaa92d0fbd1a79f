// What HandshakeResponse41 and COM_CHANGE_USER have in common, held against the reference.
#ifndef TESTS_FUZZ_LOGIN_CHECK_H_
#define TESTS_FUZZ_LOGIN_CHECK_H_

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/reference.h"

namespace sallyport::fuzz {

// Login is packet::HandshakeResponse or packet::ChangeUser.
template <typename Login>
void CheckLogin(const Login& login, const LoginText& expected, Bytes payload) {
  FUZZ_CHECK(login.username == expected.user);
  FUZZ_CHECK(packet::AsText(login.auth_response) == expected.auth_response);
  FUZZ_CHECK(login.database == expected.database);
  FUZZ_CHECK(login.auth_plugin_name == expected.plugin);
  FUZZ_CHECK(login.auth_response_field_begin == expected.field_begin);
  FUZZ_CHECK(login.auth_response_field_end == expected.field_end);
  FUZZ_CHECK(Within(login.username, payload) && Within(login.database, payload));
  FUZZ_CHECK(Within(login.auth_response, payload) && Within(login.auth_plugin_name, payload));
}

// CheckReplaced: `out` is the packet with another auth_response; nothing around it changed.
inline void CheckReplaced(const LoginText& before, const std::optional<LoginText>& after,
                          std::string_view auth_response, Bytes payload, Bytes out) {
  FUZZ_CHECK(after.has_value());
  FUZZ_CHECK(after->auth_response == auth_response);
  FUZZ_CHECK(after->user == before.user && after->database == before.database);
  FUZZ_CHECK(after->plugin == before.plugin);
  const std::string_view behind = packet::AsText(payload).substr(before.field_end);
  FUZZ_CHECK(packet::AsText(out).substr(after->field_end) == behind);
}

}  // namespace sallyport::fuzz

#endif  // TESTS_FUZZ_LOGIN_CHECK_H_
