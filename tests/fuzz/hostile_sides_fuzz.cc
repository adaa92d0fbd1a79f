// Two hostile sides that know the protocol; the input makes their choices.
#include "tests/fuzz/conversation_target.h"
#include "tests/fuzz/fuzz.h"
#include "tests/session/random_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  tests::Dice dice([&](size_t bound) { return input.Int(bound > 256 ? 4 : 1) % bound; });
  tests::RunTwoHostileSides(&dice);
  return 0;
}
