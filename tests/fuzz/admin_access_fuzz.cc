// The headers that decide whom the admin port answers. int<1> flags: which headers are there; then
// each of those: int<1> size, bytes.
#include <optional>
#include <string>
#include <string_view>

#include "proxy/admin/access.h"
#include "tests/fuzz/fuzz.h"

namespace sallyport::fuzz {
namespace {

bool HasOnly(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == text.npos;
}

// Whether `host` is none that somebody else could own: letters outside of brackets make a name.
bool IsNobodysName(std::string_view host) {
  if (host.substr(0, 1) == "[") {
    const std::string_view inner = host.substr(1, host.find(']') - 1);
    return HasOnly(inner, "0123456789abcdefABCDEF:.") && inner.find(':') != inner.npos;
  }
  const std::string_view name = host.substr(0, host.find(':'));
  return name == "localhost" || (!name.empty() && HasOnly(name, "0123456789."));
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint8_t flags = input.Byte();
  fuzz::Buffer bytes[4];
  std::optional<std::string_view> texts[4];
  for (int i = 0; i < 4; ++i) {
    if ((flags >> i & 1) == 0) continue;
    bytes[i] = input.Take(input.Byte());
    texts[i] = packet::AsText(bytes[i]);
  }
  const AccessHeaders headers{
      .host = texts[0], .origin = texts[1], .fetch_site = texts[2], .sallyport = texts[3]};
  if (MayRead(headers)) {
    FUZZ_CHECK(headers.host.has_value() && fuzz::IsNobodysName(*headers.host));
  }
  if (MayChange(headers)) {
    FUZZ_CHECK(MayRead(headers) && headers.sallyport.has_value());
    const std::string ours = "http://" + std::string(*headers.host);
    FUZZ_CHECK(headers.origin.value_or(ours) == ours);
    FUZZ_CHECK(headers.fetch_site.value_or("none").find("cross") == std::string_view::npos);
  }
  return 0;
}
