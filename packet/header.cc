#include "packet/header.h"

#include "packet/check.h"

namespace sallyport::packet {
namespace {

constexpr size_t kSequenceIdAt = 3;

}  // namespace

Parse ReadHeader(Bytes bytes, Header* out) {
  Reader reader(bytes);
  Header header;
  if (!reader.ReadInt3(&header.payload_length) || !reader.ReadInt1(&header.sequence_id)) {
    return Parse::kNeedMore;
  }
  *out = header;
  return Parse::kOk;
}

void WriteHeader(Header header, MutableBytes out) {
  SALLYPORT_CHECK(header.payload_length <= kPayloadLengthMax);
  Writer writer(out);
  const bool written =
      writer.WriteInt3(header.payload_length) && writer.WriteInt1(header.sequence_id);
  SALLYPORT_CHECK(written);
}

void SetSequenceId(MutableBytes packet, uint8_t sequence_id) {
  SALLYPORT_CHECK(packet.size() >= kHeaderSize);
  packet[kSequenceIdAt] = sequence_id;
}

Bytes Payload(Bytes packet) {
  SALLYPORT_CHECK(packet.size() >= kHeaderSize);
  return packet.subspan(kHeaderSize);
}

MutableBytes Payload(MutableBytes packet) {
  SALLYPORT_CHECK(packet.size() >= kHeaderSize);
  return packet.subspan(kHeaderSize);
}

}  // namespace sallyport::packet
