// A greeting: the parts are as the reference reads them, and CLIENT_SSL is one bit.
#include <bit>

#include "packet/greeting.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/reference.h"

namespace sallyport::fuzz {
namespace {

void SetAndClear(Bytes payload, const packet::Greeting& greeting) {
  for (const bool on : {true, false}) {
    Buffer copy = packet::Exact(payload);
    packet::SetClientSsl(copy, on);
    int bits = 0;
    for (size_t i = 0; i < copy.size(); ++i) bits += std::popcount(uint8_t(copy[i] ^ payload[i]));
    const bool was = (greeting.capability_flags & packet::CLIENT_SSL) != 0;
    FUZZ_CHECK(bits == (was == on ? 0 : 1));
    packet::Greeting after;
    FUZZ_CHECK(packet::ParseGreeting(copy, &after) == packet::Parse::kOk);
    FUZZ_CHECK(((after.capability_flags & packet::CLIENT_SSL) != 0) == on);
  }
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  const fuzz::Buffer payload = packet::Exact(packet::Bytes(data, size));
  packet::Greeting greeting;
  const packet::Parse parse = packet::ParseGreeting(payload, &greeting);
  const auto expected = fuzz::ReadGreeting(packet::AsText(payload));
  FUZZ_CHECK((parse == packet::Parse::kOk) == expected.has_value());
  FUZZ_CHECK(parse != packet::Parse::kNeedMore);
  if (!expected) return 0;
  FUZZ_CHECK(greeting.server_version == expected->server_version);
  FUZZ_CHECK(greeting.auth_plugin_name == expected->plugin);
  FUZZ_CHECK(greeting.thread_id == expected->thread_id);
  FUZZ_CHECK(greeting.capability_flags == expected->flags);
  FUZZ_CHECK(packet::AsText(greeting.nonce) == expected->nonce);
  FUZZ_CHECK(fuzz::Within(greeting.server_version, payload));
  FUZZ_CHECK(fuzz::Within(greeting.auth_plugin_name, payload));
  fuzz::SetAndClear(payload, greeting);
  return 0;
}
