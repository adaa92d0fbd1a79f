// A file of ticket keys, held against another reader of base64; what is refused is in no message.
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "tests/fuzz/fuzz.h"
#include "tls/ticket_keys.h"

namespace sallyport::fuzz {
namespace {

struct Reading {
  size_t keys = 0;     // Lines that are 48 or 80 bytes, in whatever base64.
  bool good = true;    // No other lines.
  bool strict = true;  // Nor any that would be written differently.
};

Reading ReadPlainly(std::string_view text) {
  Reading reading;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    if (line.empty()) continue;
    std::string key;
    const bool read = absl::Base64Unescape(absl::string_view(line.data(), line.size()), &key);
    const bool good = read && (key.size() == 48 || key.size() == 80);
    reading.keys += good;
    reading.good = reading.good && good;
    reading.strict = reading.strict && good && absl::Base64Escape(key) == line;
  }
  return reading;
}

// No run of twelve characters of a line, which would be nine bytes of a key, is in `message`.
void CheckKeepsSecret(std::string_view text, std::string_view message) {
  constexpr size_t kRun = 12;
  for (size_t at = 0; at + kRun <= message.size(); ++at) {
    const std::string_view run = message.substr(at, kRun);
    FUZZ_CHECK(run.find(' ') != run.npos || text.find(run) == text.npos);
  }
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  const fuzz::Buffer bytes = packet::Exact(fuzz::Bytes(data, size));
  const std::string_view text = packet::AsText(bytes);
  const auto keys = tls::TicketKeys::Read(text);
  const fuzz::Reading reading = fuzz::ReadPlainly(text);
  if (keys.ok()) {
    FUZZ_CHECK(reading.good && reading.keys >= tls::TicketKeys::kKeysMin);
    return 0;
  }
  FUZZ_CHECK(!reading.strict || reading.keys < tls::TicketKeys::kKeysMin);
  FUZZ_CHECK(keys.status().code() == absl::StatusCode::kInvalidArgument);
  const absl::string_view message = keys.status().message();
  FUZZ_CHECK(!message.empty() && message.size() < 200);
  fuzz::CheckKeepsSecret(text, {message.data(), message.size()});
  return 0;
}
