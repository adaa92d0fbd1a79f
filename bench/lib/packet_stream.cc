#include "bench/lib/packet_stream.h"

#include <algorithm>

namespace sallyport::bench {

bool PacketStream::Next(packet::Bytes* in, Packet* packet) {
  if (header_size_ < packet::kHeaderSize && !ReadHeader(in)) {
    return false;
  }
  const bool whole = payload_left_ == header_.payload_length && in->size() >= payload_left_;
  const size_t taken = std::min<size_t>(in->size(), payload_left_);
  const packet::Bytes part = in->first(taken);
  *in = in->subspan(taken);
  payload_left_ -= static_cast<uint32_t>(taken);
  if (!whole) {
    const size_t more = std::min(taken, kKeptMax - kept_.size());
    kept_.insert(kept_.end(), part.begin(), part.begin() + static_cast<ptrdiff_t>(more));
  }
  if (payload_left_ > 0) {
    return false;
  }
  header_size_ = 0;
  packet->header = header_;
  packet->payload = whole ? part : packet::Bytes(kept_);
  return true;
}

bool PacketStream::ReadHeader(packet::Bytes* in) {
  const size_t taken = std::min(in->size(), packet::kHeaderSize - header_size_);
  std::copy_n(in->begin(), taken, header_bytes_.begin() + static_cast<ptrdiff_t>(header_size_));
  header_size_ += taken;
  *in = in->subspan(taken);
  if (packet::ReadHeader(packet::Bytes(header_bytes_).first(header_size_), &header_) !=
      packet::Parse::kOk) {
    return false;
  }
  payload_left_ = header_.payload_length;
  kept_.clear();
  return true;
}

}  // namespace sallyport::bench
