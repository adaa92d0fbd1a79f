// PacketStream cuts a stream of any length into packets without keeping them: a bulk row is stepped
// over, not collected. For peers that are trusted, as in a benchmark.
#ifndef BENCH_LIB_PACKET_STREAM_H_
#define BENCH_LIB_PACKET_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "packet/header.h"
#include "packet/wire.h"

namespace sallyport::bench {

class PacketStream {
 public:
  // Of a packet that came in pieces only so many first bytes are kept: enough for all that is
  // looked into (a log-in's attributes stand behind what matters).
  static constexpr size_t kKeptMax = 512;

  struct Packet {
    packet::Header header;
    // The payload: all of it when the packet came in one piece, else its first kKeptMax bytes.
    // Valid until the next call of Next, and as long as the bytes given to it.
    packet::Bytes payload;
  };

  // Next takes bytes from the front of `*in`. True: a packet is over, `*packet` tells which. False:
  // all of `*in` was taken.
  bool Next(packet::Bytes* in, Packet* packet);

 private:
  bool ReadHeader(packet::Bytes* in);

  packet::Header header_;
  size_t header_size_ = 0;  // Bytes of the header that have come: kHeaderSize inside of a payload.
  std::array<uint8_t, packet::kHeaderSize> header_bytes_{};
  uint32_t payload_left_ = 0;
  std::vector<uint8_t> kept_;
};

}  // namespace sallyport::bench

#endif  // BENCH_LIB_PACKET_STREAM_H_
