// What every fuzz target is made of: an input that is taken from the front, and a check that ends
// the process. A target is one file with LLVMFuzzerTestOneInput; README.md says how they run.
#ifndef TESTS_FUZZ_FUZZ_H_
#define TESTS_FUZZ_FUZZ_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "packet/wire.h"
#include "tests/packet/bytes.h"

// FUZZ_CHECK is an invariant of the code under test. It names itself and aborts; whoever drives the
// target keeps the input.
#define FUZZ_CHECK(condition)                                                                 \
  do {                                                                                        \
    if (!(condition)) {                                                                       \
      std::fprintf(stderr, "%s:%d: FUZZ_CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)

namespace sallyport::fuzz {

using packet::Buffer;
using packet::Bytes;
using packet::Within;

// Input gives zeros and nothing once it is used up, so that every input is a whole one.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  uint32_t Int(size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size && !rest_.empty(); ++i) {
      value |= uint32_t{rest_[0]} << (8 * i);
      rest_ = rest_.subspan(1);
    }
    return value;
  }
  uint8_t Byte() { return static_cast<uint8_t>(Int(1)); }
  // Take copies to a heap block of the exact size, so that AddressSanitizer sees its end.
  Buffer Take(size_t size) {
    const Bytes taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return packet::Exact(taken);
  }
  Buffer Rest() { return Take(rest_.size()); }

 private:
  Bytes rest_;
};

}  // namespace sallyport::fuzz

// The entry that libFuzzer, or driver.cc, calls.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif  // TESTS_FUZZ_FUZZ_H_
