// The headers that decide who may ask the admin port for what. int<1>: which were sent; then int<1>
// size and bytes of each.
#include <optional>
#include <string_view>

#include "proxy/admin/access.h"
#include "tests/fuzz/fuzz.h"

namespace sallyport::fuzz {
namespace {

// No name that somebody could own: "localhost", or what addresses and ports are made of.
bool IsNobodysName(std::string_view host) {
  if (host == "localhost" || host.starts_with("localhost:")) return true;
  const size_t end = std::min(host.rfind(':'), host.size());
  const std::string_view address =
      host.find(']') == host.npos ? host.substr(0, end) : host.substr(0, host.rfind(']'));
  return !address.empty() && address.find_first_not_of("0123456789abcdefABCDEF:.[") == address.npos;
}

void Ask(const AccessHeaders& headers) {
  const bool reads = MayRead(headers);
  FUZZ_CHECK(!reads || (headers.host.has_value() && IsNobodysName(*headers.host)));
  if (!MayChange(headers)) return;
  FUZZ_CHECK(reads && headers.sallyport.has_value());
  FUZZ_CHECK(!headers.origin.has_value() || headers.origin->ends_with(*headers.host));
  FUZZ_CHECK(headers.fetch_site != "cross-site" && headers.fetch_site != "same-site");
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint8_t sent = input.Byte();
  fuzz::Buffer buffers[4];
  for (fuzz::Buffer& each : buffers) each = input.Take(input.Byte());
  const auto header = [&](int i) {
    return (sent >> i & 1) != 0 ? std::optional(packet::AsText(buffers[i])) : std::nullopt;
  };
  fuzz::Ask(
      {.host = header(0), .origin = header(1), .fetch_site = header(2), .sallyport = header(3)});
  return 0;
}
