// MySQL's basic data types: int<n>, int<lenenc>, string<NUL>, string<n>, string<lenenc>.
//
// Reader and Writer are cursors: each call either does all of its work and moves on, or returns
// false and leaves the cursor and the outputs alone. Neither owns memory, allocates or throws.
// Source: MySQL's "Protocol Basic Data Types".
#ifndef PACKET_WIRE_H_
#define PACKET_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sallyport::packet {

// "Not yet" is not an error: kNeedMore says that the bytes so far are fine and too few.
enum class Parse { kOk, kNeedMore, kMalformed };

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

// AsText and AsBytes see the same memory as the other type; the lifetime is the argument's.
std::string_view AsText(Bytes bytes);
Bytes AsBytes(std::string_view text);

// Reader reads from the front of `bytes`, which must outlive it and every view that it hands out.
class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  bool ReadInt1(uint8_t* out);
  bool ReadInt2(uint16_t* out);
  bool ReadInt3(uint32_t* out);
  bool ReadInt4(uint32_t* out);
  // ReadIntLenEnc refuses 0xFB (NULL) and 0xFF (ERR), which are no integers here.
  bool ReadIntLenEnc(uint64_t* out);
  bool ReadBytes(size_t size, Bytes* out);
  bool ReadBytesLenEnc(Bytes* out);
  // ReadNulTerminated returns the bytes before the NUL and steps over it.
  bool ReadNulTerminated(Bytes* out);
  bool Skip(size_t size);

  Bytes rest() const { return bytes_.subspan(position_); }
  size_t position() const { return position_; }
  bool empty() const { return position_ == bytes_.size(); }

 private:
  Bytes bytes_;
  size_t position_ = 0;
};

// Writer writes to the front of `room`, which must outlive it. After a call that returned false
// written() is what it was.
class Writer {
 public:
  explicit Writer(MutableBytes room) : room_(room) {}

  bool WriteInt1(uint8_t value);
  bool WriteInt2(uint16_t value);
  // WriteInt3 writes the low 24 bits.
  bool WriteInt3(uint32_t value);
  bool WriteInt4(uint32_t value);
  bool WriteIntLenEnc(uint64_t value);
  // WriteBytes: `bytes` must not overlap the room.
  bool WriteBytes(Bytes bytes);
  bool WriteBytesLenEnc(Bytes bytes);
  bool WriteNulTerminated(std::string_view text);
  bool WriteZeros(size_t count);

  Bytes written() const { return room_.first(position_); }

 private:
  bool WriteInt(uint64_t value, size_t size);

  MutableBytes room_;
  size_t position_ = 0;
};

}  // namespace sallyport::packet

#endif  // PACKET_WIRE_H_
