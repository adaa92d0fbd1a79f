#include "packet/assembler.h"

#include <algorithm>
#include <cstring>

#include "packet/check.h"

namespace sallyport::packet {
namespace {

// Wipe overwrites memory that is about to be freed, which a compiler would otherwise leave out.
void Wipe(uint8_t* memory, size_t size) {
  std::memset(memory, 0, size);
  asm volatile("" : : "r"(memory) : "memory");
}

}  // namespace

Assembler::Assembler(uint32_t payload_max) : payload_max_(payload_max) {
  SALLYPORT_CHECK(payload_max < kPayloadLengthMax);
}

Assembler::Result Assembler::Next(MutableBytes* in, MutableBytes* packet) {
  if (handed_out_) {
    Clear();
  }
  if (collected_ > 0 || ReadHeader(*in, &header_) != Parse::kOk) {
    return NextCollected(in, packet);
  }
  if (header_.payload_length > payload_max_) {
    return Result::kTooLong;
  }
  const size_t packet_size = kHeaderSize + header_.payload_length;
  if (in->size() < packet_size) {
    return NextCollected(in, packet);
  }
  *packet = in->first(packet_size);
  *in = in->subspan(packet_size);
  return Result::kPacket;
}

Assembler::Result Assembler::NextCollected(MutableBytes* in, MutableBytes* packet) {
  if (buffer_ == nullptr) {
    Collect(kHeaderSize, header_bytes_.data(), in);
    if (collected_ < kHeaderSize) {
      return Result::kNeedMore;
    }
    const Parse parse = ReadHeader(header_bytes_, &header_);
    SALLYPORT_CHECK(parse == Parse::kOk);
    if (header_.payload_length > payload_max_) {
      return Result::kTooLong;
    }
    if (header_.payload_length == 0) {
      collected_ = 0;
      *packet = header_bytes_;
      return Result::kPacket;
    }
    buffer_size_ = kHeaderSize + header_.payload_length;
    // Not zeroed: pages of a large buffer come into being as bytes come in.
    buffer_ = std::make_unique_for_overwrite<uint8_t[]>(buffer_size_);
    std::copy(header_bytes_.begin(), header_bytes_.end(), buffer_.get());
  }
  Collect(buffer_size_, buffer_.get(), in);
  if (collected_ < buffer_size_) {
    return Result::kNeedMore;
  }
  collected_ = 0;
  handed_out_ = true;
  *packet = MutableBytes(buffer_.get(), buffer_size_);
  return Result::kPacket;
}

void Assembler::Collect(size_t size, uint8_t* to, MutableBytes* bytes) {
  SALLYPORT_CHECK(collected_ <= size);
  const size_t count = std::min(size - collected_, bytes->size());
  std::copy_n(bytes->begin(), count, to + collected_);
  collected_ += count;
  *bytes = bytes->subspan(count);
}

void Assembler::Clear() {
  if (buffer_ != nullptr) {
    // Only what was written: the rest may not even have pages yet.
    Wipe(buffer_.get(), handed_out_ ? buffer_size_ : collected_);
  }
  buffer_.reset();
  buffer_size_ = 0;
  collected_ = 0;
  handed_out_ = false;
}

}  // namespace sallyport::packet
