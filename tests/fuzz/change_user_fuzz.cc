// COM_CHANGE_USER: int<4> capability_flags, int<1> size and bytes of another auth_response, the
// payload.
#include "packet/change_user.h"
#include "tests/fuzz/login_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint32_t flags = input.Int(4);
  const fuzz::Buffer auth_response = input.Take(input.Byte());
  const fuzz::Buffer payload = input.Rest();
  packet::ChangeUser change_user;
  const packet::Parse parse = packet::ParseChangeUser(payload, flags, &change_user);
  const auto expected = fuzz::ReadChangeUser(packet::AsText(payload), flags);
  FUZZ_CHECK((parse == packet::Parse::kOk) == expected.has_value());
  FUZZ_CHECK(parse != packet::Parse::kNeedMore);
  if (!expected) return 0;
  fuzz::CheckLogin(change_user, *expected, payload);
  fuzz::Buffer out(payload.size() + auth_response.size() + 9);
  const size_t made = packet::ReplaceAuthResponse(payload, flags, change_user, auth_response, out);
  if (made == 0) {
    FUZZ_CHECK((flags & packet::CLIENT_SECURE_CONNECTION) == 0);  // And so it holds a NUL.
    return 0;
  }
  const fuzz::Buffer exact = packet::Exact(packet::Bytes(out).first(made));
  fuzz::CheckReplaced(*expected, fuzz::ReadChangeUser(packet::AsText(exact), flags),
                      packet::AsText(auth_response), payload, exact);
  return 0;
}
