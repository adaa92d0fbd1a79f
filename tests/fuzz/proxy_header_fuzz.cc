// A PROXY header is read alike however its bytes arrive, stays in its bounds, and what was written
// of it is read again.
#include <array>

#include "proxy/proxy_protocol/header.h"
#include "tests/fuzz/fuzz.h"

namespace sallyport::fuzz {
namespace {

using Parse = ProxyHeaderParse;

void CheckWritten(const ProxyHeader& header) {
  for (const int version : {1, 2}) {
    std::array<uint8_t, kProxyHeaderRoom> room;
    const size_t size = header.has_addresses ? WriteProxyHeader(version, header.source,
                                                                header.destination, nullptr, room)
                                             : WriteLocalProxyHeader(version, room);
    FUZZ_CHECK(size <= room.size());
    ProxyHeader again;
    FUZZ_CHECK(ReadProxyHeader(packet::Exact(Bytes(room).first(size)), &again) == Parse::kOk);
    FUZZ_CHECK(again.size == size && again.version == version);
    FUZZ_CHECK(again.has_addresses == header.has_addresses);
    FUZZ_CHECK(again.source == header.source && again.destination == header.destination);
  }
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  using fuzz::Parse;
  const fuzz::Bytes bytes(data, size);
  // The first length at which the answer is there is the only one: more bytes don't change it.
  Parse last = Parse::kNeedMore;
  ProxyHeader header;
  for (size_t length = 0; length <= size; ++length) {
    ProxyHeader now;
    const Parse parse = ReadProxyHeader(packet::Exact(bytes.first(length)), &now);
    FUZZ_CHECK(length < kProxyHeaderSizeMax || parse != Parse::kNeedMore);
    if (last == Parse::kNeedMore && parse == Parse::kOk) {
      FUZZ_CHECK(now.size == length);
      header = now;
      fuzz::CheckWritten(now);
    } else if (last != Parse::kNeedMore) {
      FUZZ_CHECK(parse == last && now.size == header.size && now.source == header.source);
    }
    last = parse;
    if (length > header.size + 8 && last != Parse::kNeedMore) break;
  }
  return 0;
}
