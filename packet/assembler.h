// Assembler cuts a stream into packets: in place where a packet lies whole in the bytes at hand,
// and by collecting it, in one allocation of its exact size, where it was split.
#ifndef PACKET_ASSEMBLER_H_
#define PACKET_ASSEMBLER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "packet/header.h"
#include "packet/wire.h"

namespace sallyport::packet {

// One stream's assembler. Holds no memory between whole packets.
class Assembler {
 public:
  // payload_max: a longer payload is refused before a byte of it is kept. A hostile length costs
  // address space, not memory: the one allocation isn't touched before bytes arrive.
  // REQUIRES: payload_max < kPayloadLengthMax, so that a packet never continues in the next.
  explicit Assembler(uint32_t payload_max);
  ~Assembler() { Clear(); }
  Assembler(const Assembler&) = delete;
  Assembler& operator=(const Assembler&) = delete;

  enum class Result { kPacket, kNeedMore, kTooLong };

  // Next takes bytes from the front of `*in` (which shrinks from the front by as many).
  // kPacket: `*packet` is one whole packet, header included, that may be edited in place. It lies
  // in `*in`'s memory, or in the assembler's own until the next call of Next, Clear or the end.
  // kNeedMore: all of `*in` was taken, no packet is whole yet.
  // kTooLong: the header at the front announces more than payload_max; `header()` tells. Final: the
  // stream can't be read on, and how much of `*in` was taken means nothing.
  Result Next(MutableBytes* in, MutableBytes* packet);

  // header is the last header seen whole. collecting: some bytes of an unfinished packet are held.
  const Header& header() const { return header_; }
  bool collecting() const { return collected_ > 0; }

  // Clear forgets what was collected, and a packet handed out of the assembler's own memory; it
  // wipes them first: they may hold a password.
  void Clear();

 private:
  // What `bytes` has for the first `size` bytes of the packet goes to `to`, behind the collected.
  void Collect(size_t size, uint8_t* to, MutableBytes* bytes);
  Result NextCollected(MutableBytes* in, MutableBytes* packet);

  uint32_t payload_max_;
  Header header_;
  // A packet's first bytes while its size is unknown; a packet without payload stays here.
  std::array<uint8_t, kHeaderSize> header_bytes_{};
  // The whole packet, once its header is known and has a payload: buffer_size_ bytes.
  std::unique_ptr<uint8_t[]> buffer_;
  size_t buffer_size_ = 0;
  // Bytes held of an unfinished packet. collected_ <= kHeaderSize without a buffer_, and
  // kHeaderSize <= collected_ < buffer_size_ between calls with one that isn't handed out.
  size_t collected_ = 0;
  // The last call returned buffer_: it is the caller's until the next call.
  bool handed_out_ = false;
};

}  // namespace sallyport::packet

#endif  // PACKET_ASSEMBLER_H_
