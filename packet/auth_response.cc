#include "packet/auth_response.h"

#include <algorithm>
#include <cstdint>

#include "packet/check.h"

namespace sallyport::packet {
namespace {

constexpr size_t kOneByteLengthMax = 0xFF;

bool WriteAuthResponse(AuthResponseEncoding encoding, Bytes auth_response, Writer* writer) {
  switch (encoding) {
    case AuthResponseEncoding::kLenEnc:
      return writer->WriteBytesLenEnc(auth_response);
    case AuthResponseEncoding::kOneByteLength:
      return auth_response.size() <= kOneByteLengthMax &&
             writer->WriteInt1(static_cast<uint8_t>(auth_response.size())) &&
             writer->WriteBytes(auth_response);
    case AuthResponseEncoding::kNulTerminated:
      return std::find(auth_response.begin(), auth_response.end(), 0) == auth_response.end() &&
             writer->WriteNulTerminated(AsText(auth_response));
  }
  SALLYPORT_CHECK(false);
}

}  // namespace

bool ReadAuthResponse(AuthResponseEncoding encoding, Reader* reader, Bytes* out) {
  switch (encoding) {
    case AuthResponseEncoding::kLenEnc:
      return reader->ReadBytesLenEnc(out);
    case AuthResponseEncoding::kOneByteLength: {
      Reader ahead = *reader;
      uint8_t size = 0;
      if (!ahead.ReadInt1(&size) || !ahead.ReadBytes(size, out)) {
        return false;
      }
      *reader = ahead;
      return true;
    }
    case AuthResponseEncoding::kNulTerminated:
      return reader->ReadNulTerminated(out);
  }
  SALLYPORT_CHECK(false);
}

size_t SpliceAuthResponse(Bytes payload, size_t field_begin, size_t field_end,
                          AuthResponseEncoding encoding, Bytes auth_response, MutableBytes out) {
  SALLYPORT_CHECK(field_begin <= field_end);
  SALLYPORT_CHECK(field_end <= payload.size());
  Writer writer(out);
  if (!writer.WriteBytes(payload.first(field_begin)) ||
      !WriteAuthResponse(encoding, auth_response, &writer) ||
      !writer.WriteBytes(payload.subspan(field_end))) {
    return 0;
  }
  return writer.written().size();
}

std::string_view ReadTextUpToNulOrEnd(Reader* reader) {
  Bytes text;
  if (!reader->ReadNulTerminated(&text)) {
    const bool read = reader->ReadBytes(reader->rest().size(), &text);
    SALLYPORT_CHECK(read);
  }
  return AsText(text);
}

}  // namespace sallyport::packet
