// An honest client on TLS before a hostile server on plaintext TCP, whose choices the input makes:
// no byte of the password gets there, and the client sees its sequence_ids in order.
#include "tests/fuzz/conversation_target.h"
#include "tests/fuzz/fuzz.h"
#include "tests/session/random_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  tests::Dice dice([&](size_t bound) { return input.Int(bound > 256 ? 4 : 1) % bound; });
  tests::RunHonestClient(&dice);
  return 0;
}
