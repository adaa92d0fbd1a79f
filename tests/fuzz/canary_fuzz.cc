// Must crash: it proves that whatever drives the targets finds things. Six bytes of input that say
// "canary" are read one too far.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  constexpr std::string_view kWord = "canary";
  const std::string_view text = packet::AsText(packet::Bytes(data, size));
  size_t alike = 0;
  while (alike < kWord.size() && alike < text.size() && text[alike] == kWord[alike]) ++alike;
  FUZZ_CHECK(alike < kWord.size());
  return 0;
}
