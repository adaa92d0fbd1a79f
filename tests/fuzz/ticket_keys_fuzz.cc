// The file of tls_ticket_keys.
#include <string>
#include <string_view>

#include "tests/fuzz/fuzz.h"
#include "tls/ticket_keys.h"

namespace sallyport::fuzz {
namespace {

// Calls with each line that may hold a key.
template <typename Visit>
void EachLine(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
}

void Read(std::string_view text) {
  const auto keys = tls::TicketKeys::Read(text);
  if (keys.ok()) {
    size_t lines = 0;
    // The shortest key is 64 letters.
    EachLine(text, [&](std::string_view line) { lines += line.size() >= 64 ? 1 : 0; });
    FUZZ_CHECK(lines >= tls::TicketKeys::kKeysMin);
    return;
  }
  FUZZ_CHECK(keys.status().code() == absl::StatusCode::kInvalidArgument);
  const std::string message(keys.status().message().data(), keys.status().message().size());
  FUZZ_CHECK(!message.empty());
  EachLine(text, [&](std::string_view line) {
    const bool key = line.size() >= 16 && line.find(' ') == line.npos;
    FUZZ_CHECK(!key || message.find(line) == message.npos);
  });
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  const fuzz::Buffer text = fuzz::Input(data, size).Rest();
  fuzz::Read(packet::AsText(text));
  return 0;
}
