#include "packet/wire.h"

#include <algorithm>

namespace sallyport::packet {
namespace {

// First byte of an int<lenenc> that isn't the integer itself; how many bytes follow it.
constexpr uint8_t kLenEncNull = 0xFB;
constexpr uint8_t kLenEnc2 = 0xFC;
constexpr uint8_t kLenEnc3 = 0xFD;
constexpr uint8_t kLenEnc8 = 0xFE;

uint64_t LittleEndian(Bytes bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) {
    value = (value << 8) | bytes[i - 1];
  }
  return value;
}

void PutLittleEndian(uint64_t value, MutableBytes out) {
  for (uint8_t& byte : out) {
    byte = static_cast<uint8_t>(value & 0xFF);
    value >>= 8;
  }
}

}  // namespace

std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

bool Reader::ReadInt1(uint8_t* out) {
  Bytes bytes;
  if (!ReadBytes(1, &bytes)) {
    return false;
  }
  *out = bytes[0];
  return true;
}

bool Reader::ReadInt2(uint16_t* out) {
  Bytes bytes;
  if (!ReadBytes(2, &bytes)) {
    return false;
  }
  *out = static_cast<uint16_t>(LittleEndian(bytes));
  return true;
}

bool Reader::ReadInt3(uint32_t* out) {
  Bytes bytes;
  if (!ReadBytes(3, &bytes)) {
    return false;
  }
  *out = static_cast<uint32_t>(LittleEndian(bytes));
  return true;
}

bool Reader::ReadInt4(uint32_t* out) {
  Bytes bytes;
  if (!ReadBytes(4, &bytes)) {
    return false;
  }
  *out = static_cast<uint32_t>(LittleEndian(bytes));
  return true;
}

bool Reader::ReadIntLenEnc(uint64_t* out) {
  Reader ahead = *this;
  uint8_t first = 0;
  if (!ahead.ReadInt1(&first)) {
    return false;
  }
  if (first < kLenEncNull) {
    *out = first;
    *this = ahead;
    return true;
  }
  const size_t size = first == kLenEnc2 ? 2 : first == kLenEnc3 ? 3 : first == kLenEnc8 ? 8 : 0;
  Bytes bytes;
  if (size == 0 || !ahead.ReadBytes(size, &bytes)) {
    return false;
  }
  *out = LittleEndian(bytes);
  *this = ahead;
  return true;
}

bool Reader::ReadBytes(size_t size, Bytes* out) {
  if (size > bytes_.size() - position_) {
    return false;
  }
  *out = bytes_.subspan(position_, size);
  position_ += size;
  return true;
}

bool Reader::ReadBytesLenEnc(Bytes* out) {
  Reader ahead = *this;
  uint64_t size = 0;
  // Compared as 64 bits before it becomes a size_t, or a 32-bit build would wrap it.
  if (!ahead.ReadIntLenEnc(&size) || size > ahead.rest().size()) {
    return false;
  }
  if (!ahead.ReadBytes(static_cast<size_t>(size), out)) {
    return false;
  }
  *this = ahead;
  return true;
}

bool Reader::ReadNulTerminated(Bytes* out) {
  const Bytes bytes = rest();
  const auto nul = std::find(bytes.begin(), bytes.end(), uint8_t{0});
  if (nul == bytes.end()) {
    return false;
  }
  *out = bytes.first(static_cast<size_t>(nul - bytes.begin()));
  position_ += out->size() + 1;
  return true;
}

bool Reader::Skip(size_t size) {
  Bytes skipped;
  return ReadBytes(size, &skipped);
}

bool Writer::WriteInt1(uint8_t value) { return WriteInt(value, 1); }
bool Writer::WriteInt2(uint16_t value) { return WriteInt(value, 2); }
bool Writer::WriteInt3(uint32_t value) { return WriteInt(value, 3); }
bool Writer::WriteInt4(uint32_t value) { return WriteInt(value, 4); }

bool Writer::WriteIntLenEnc(uint64_t value) {
  if (value < kLenEncNull) {
    return WriteInt(value, 1);
  }
  const size_t size = value <= 0xFFFF ? 2 : value <= 0xFFFFFF ? 3 : 8;
  if (room_.size() - position_ < 1 + size) {
    return false;
  }
  const uint8_t first = size == 2 ? kLenEnc2 : size == 3 ? kLenEnc3 : kLenEnc8;
  return WriteInt(first, 1) && WriteInt(value, size);
}

bool Writer::WriteBytes(Bytes bytes) {
  if (bytes.size() > room_.size() - position_) {
    return false;
  }
  std::copy(bytes.begin(), bytes.end(), room_.begin() + static_cast<ptrdiff_t>(position_));
  position_ += bytes.size();
  return true;
}

bool Writer::WriteBytesLenEnc(Bytes bytes) {
  Writer ahead = *this;
  // The prefix alone may fit: then it lies behind written(), where nobody looks.
  if (!ahead.WriteIntLenEnc(bytes.size()) || !ahead.WriteBytes(bytes)) {
    return false;
  }
  *this = ahead;
  return true;
}

bool Writer::WriteNulTerminated(std::string_view text) {
  if (room_.size() - position_ <= text.size()) {
    return false;
  }
  return WriteBytes(AsBytes(text)) && WriteInt(0, 1);
}

bool Writer::WriteZeros(size_t count) {
  if (count > room_.size() - position_) {
    return false;
  }
  std::fill_n(room_.begin() + static_cast<ptrdiff_t>(position_), count, uint8_t{0});
  position_ += count;
  return true;
}

bool Writer::WriteInt(uint64_t value, size_t size) {
  if (size > room_.size() - position_) {
    return false;
  }
  PutLittleEndian(value, room_.subspan(position_, size));
  position_ += size;
  return true;
}

}  // namespace sallyport::packet
