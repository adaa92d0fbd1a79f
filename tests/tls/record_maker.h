// RecordMaker: what a kernel does with WriteKeys, by BoringSSL's AEADs and the RFCs alone.
#ifndef TESTS_TLS_RECORD_MAKER_H_
#define TESTS_TLS_RECORD_MAKER_H_

#include <array>
#include <cstddef>
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

  // Open reads one whole record of somebody who has the same keys, of data, in Seal's place: with
  // the same sequence number. False: it is none.
  bool Open(std::span<const uint8_t> record, std::vector<uint8_t>* plain);

 private:
  using Nonce = std::array<uint8_t, WriteKeys::kIvSize>;

  bool explicit_nonce() const { return !keys_.tls13 && keys_.aead != Aead::kChaCha20Poly1305; }
  Nonce NextNonce() const;
  std::vector<uint8_t> Additional(std::span<const uint8_t> header, size_t content_size) const;
  void Advance();

  WriteKeys keys_;
};

}  // namespace sallyport::tls

#endif  // TESTS_TLS_RECORD_MAKER_H_
