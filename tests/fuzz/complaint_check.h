// A refused configuration is one line that can be shown anywhere, and an accepted one can be
// written down and read back.
#ifndef TESTS_FUZZ_COMPLAINT_CHECK_H_
#define TESTS_FUZZ_COMPLAINT_CHECK_H_

#include <algorithm>
#include <string_view>

#include "tests/config/parse.h"
#include "tests/fuzz/fuzz.h"

namespace sallyport::fuzz {

inline bool IsOneLine(std::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  return text.ends_with('\n') && text.starts_with("sallyport: ") &&
         std::none_of(text.begin(), text.end() - 1, control);
}

inline void CheckResult(const CommandLine& result) {
  using Action = CommandLine::Action;
  if (result.action == Action::kExit && result.exit_code != 0) {
    FUZZ_CHECK(result.exit_code == kExitBadConfig && result.text.empty());
    FUZZ_CHECK(IsOneLine(result.error));
    return;
  }
  FUZZ_CHECK(result.error.empty());
  if (result.action != Action::kCheckConfig) return;
  const CommandLine again = Parse({"--check_config", "--config=f"}, {{"f", result.text}});
  FUZZ_CHECK(again.action == Action::kCheckConfig && again.text == result.text);
}

}  // namespace sallyport::fuzz

#endif  // TESTS_FUZZ_COMPLAINT_CHECK_H_
