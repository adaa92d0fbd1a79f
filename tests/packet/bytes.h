// Bytes for tests: owned, and of exactly the size that was asked for, so that AddressSanitizer sees
// each read beyond the end.
#ifndef TESTS_PACKET_BYTES_H_
#define TESTS_PACKET_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "packet/header.h"
#include "packet/wire.h"

namespace sallyport::packet {

using Buffer = std::vector<uint8_t>;

// Exact copies to a heap block of exactly this size.
inline Buffer Exact(Bytes bytes) { return Buffer(bytes.begin(), bytes.end()); }
inline Buffer Exact(std::string_view text) { return Exact(AsBytes(text)); }

// Hex reads "0a 35 2e": two digits a byte, blanks anywhere between bytes.
inline Buffer Hex(std::string_view hex) {
  Buffer bytes;
  for (size_t i = 0; i < hex.size(); ++i) {
    if (hex[i] != ' ') {
      bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
      ++i;
    }
  }
  return Exact(bytes);
}

// HexPayload is the payload of a packet given in hex.
inline Buffer HexPayload(std::string_view hex) { return Exact(Payload(Bytes(Hex(hex)))); }

inline Buffer Join(std::initializer_list<Bytes> parts) {
  Buffer all;
  for (const Bytes part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return Exact(all);
}

// Packet is header and payload.
inline Buffer Packet(uint8_t sequence_id, Bytes payload) {
  Buffer header(kHeaderSize);
  WriteHeader({.payload_length = static_cast<uint32_t>(payload.size()), .sequence_id = sequence_id},
              header);
  return Join({header, payload});
}
inline Buffer Packet(uint8_t sequence_id, std::string_view payload) {
  return Packet(sequence_id, AsBytes(payload));
}

// Within: whether `view` lies in `whole`; an empty view lies anywhere.
inline bool Within(Bytes view, Bytes whole) {
  return view.empty() ||
         (view.data() >= whole.data() && view.data() + view.size() <= whole.data() + whole.size());
}
inline bool Within(std::string_view view, Bytes whole) { return Within(AsBytes(view), whole); }

// Random bytes from a fixed seed: a failure comes back with each run.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // UpTo draws from 0 to max, both included.
  size_t UpTo(size_t max) { return static_cast<size_t>(engine_()) % (max + 1); }
  uint8_t Byte() { return static_cast<uint8_t>(UpTo(255)); }
  Buffer Some(size_t size) {
    Buffer bytes(size);
    for (uint8_t& byte : bytes) {
      byte = Byte();
    }
    return bytes;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace sallyport::packet

#endif  // TESTS_PACKET_BYTES_H_
