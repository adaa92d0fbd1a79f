// RecordMaker: what a kernel does with WriteKeys, by BoringSSL's AEADs and the RFCs alone.
#ifndef TESTS_TLS_RECORD_MAKER_H_
#define TESTS_TLS_RECORD_MAKER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "tls/write_keys.h"

namespace sallyport::tls {

class RecordMaker {
 public:
  static constexpr uint8_t kData = 23;

  explicit RecordMaker(const WriteKeys& keys) : keys_(keys) {}

  // Seal appends one record of that type to `out`.
  void Seal(uint8_t type, std::span<const uint8_t> plain, std::vector<uint8_t>* out);

 private:
  WriteKeys keys_;
};

}  // namespace sallyport::tls

#endif  // TESTS_TLS_RECORD_MAKER_H_
