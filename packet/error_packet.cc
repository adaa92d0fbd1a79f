#include "packet/error_packet.h"

#include "packet/check.h"
#include "packet/header.h"

namespace sallyport::packet {
namespace {

constexpr uint8_t kErrorMarker = 0xFF;
constexpr uint8_t kSqlstateMarker = '#';
constexpr size_t kSqlstateSize = 5;

}  // namespace

size_t WriteErrorPacket(const Error& error, bool with_sqlstate, uint8_t sequence_id,
                        MutableBytes out) {
  SALLYPORT_CHECK(out.size() >= kErrorPacketSizeMax);
  Writer writer(out.subspan(kHeaderSize));
  bool ok = writer.WriteInt1(kErrorMarker) && writer.WriteInt2(error.code);
  if (with_sqlstate) {
    SALLYPORT_CHECK(error.sqlstate.size() == kSqlstateSize);
    ok = ok && writer.WriteInt1(kSqlstateMarker) && writer.WriteBytes(AsBytes(error.sqlstate));
  }
  ok = ok && writer.WriteBytes(AsBytes(error.message.substr(0, kErrorMessageSizeMax)));
  SALLYPORT_CHECK(ok);
  const auto payload_length = static_cast<uint32_t>(writer.written().size());
  WriteHeader({.payload_length = payload_length, .sequence_id = sequence_id}, out);
  return kHeaderSize + payload_length;
}

Parse ParseErrorPacket(Bytes payload, Error* out) {
  Reader reader(payload);
  uint8_t marker = 0;
  Error error;
  if (!reader.ReadInt1(&marker) || marker != kErrorMarker || !reader.ReadInt2(&error.code)) {
    return Parse::kMalformed;
  }
  if (reader.rest().size() > kSqlstateSize && reader.rest()[0] == kSqlstateMarker) {
    Bytes sqlstate;
    const bool read = reader.Skip(1) && reader.ReadBytes(kSqlstateSize, &sqlstate);
    SALLYPORT_CHECK(read);
    error.sqlstate = AsText(sqlstate);
  }
  error.message = AsText(reader.rest());
  *out = error;
  return Parse::kOk;
}

}  // namespace sallyport::packet
