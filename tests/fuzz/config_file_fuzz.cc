// The configuration file: the input is TOML, or isn't.
#include "tests/fuzz/complaint_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  const std::string text(packet::AsText(packet::Bytes(data, size)));
  fuzz::CheckResult(Parse({"--check_config", "--config=f"}, {{"f", text}}));
  return 0;
}
