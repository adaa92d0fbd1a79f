// The four bytes before every payload: int<3> payload_length, int<1> sequence_id.
// A payload of 2^24-1 bytes continues in the next packet. Source: MySQL's "Protocol::Packet".
#ifndef PACKET_HEADER_H_
#define PACKET_HEADER_H_

#include <cstddef>
#include <cstdint>

#include "packet/wire.h"

namespace sallyport::packet {

inline constexpr size_t kHeaderSize = 4;
// A payload of this size is continued by the next packet (which may be empty).
inline constexpr uint32_t kPayloadLengthMax = 0xFFFFFF;

struct Header {
  uint32_t payload_length = 0;
  uint8_t sequence_id = 0;
};

// ReadHeader decodes the header at the front of `bytes`. It returns kNeedMore, leaving `*out`
// alone, when fewer than kHeaderSize bytes are there. Any four bytes are a header: it never
// returns kMalformed.
Parse ReadHeader(Bytes bytes, Header* out);

// WriteHeader encodes `header` into the first kHeaderSize bytes of `out`.
// REQUIRES: out.size() >= kHeaderSize and header.payload_length <= kPayloadLengthMax.
void WriteHeader(Header header, MutableBytes out);

// SetSequenceId rewrites, in place, the sequence_id of the packet that begins at `packet`.
// REQUIRES: packet.size() >= kHeaderSize.
void SetSequenceId(MutableBytes packet, uint8_t sequence_id);

// Payload is the packet without its header. REQUIRES: packet.size() >= kHeaderSize.
Bytes Payload(Bytes packet);
MutableBytes Payload(MutableBytes packet);

}  // namespace sallyport::packet

#endif  // PACKET_HEADER_H_
