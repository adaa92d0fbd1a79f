// The command line: each line of the input is an argument, and the last one is also what the file
// "f" holds.
#include "tests/fuzz/complaint_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  std::string text(packet::AsText(packet::Bytes(data, size)));
  std::replace(text.begin(), text.end(), '\0', ' ');  // No argument has one.
  std::vector<std::string> arguments;
  for (size_t begin = 0; begin <= text.size() && arguments.size() < 50;) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    arguments.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const std::string file = arguments.back();
  fuzz::CheckResult(Parse(arguments, {{"f", file}}));
  arguments.insert(arguments.begin(), "--check_config");
  fuzz::CheckResult(Parse(arguments, {{"f", file}}));
  return 0;
}
