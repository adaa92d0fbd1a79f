// The three encodings of an auth_response, as HandshakeResponse41 and COM_CHANGE_USER share them.
// For packet's own parsers: everybody else uses theirs.
#ifndef PACKET_AUTH_RESPONSE_H_
#define PACKET_AUTH_RESPONSE_H_

#include <cstddef>
#include <string_view>

#include "packet/wire.h"

namespace sallyport::packet {

enum class AuthResponseEncoding {
  kLenEnc,         // string<lenenc>
  kOneByteLength,  // int<1> and as many bytes: 255 at most
  kNulTerminated,  // string<NUL>: mysql_old_password's eight bytes, or nothing
};

// ReadAuthResponse returns false, the cursor and `*out` left alone, when the field runs over the
// end.
bool ReadAuthResponse(AuthResponseEncoding encoding, Reader* reader, Bytes* out);

// SpliceAuthResponse writes to `out` the payload with `auth_response` instead of the field
// [field_begin, field_end), and returns the bytes written. It returns 0 when `encoding` can't carry
// the auth_response or `out` is too small. REQUIRES: field_begin <= field_end <= payload.size(); no
// overlap.
size_t SpliceAuthResponse(Bytes payload, size_t field_begin, size_t field_end,
                          AuthResponseEncoding encoding, Bytes auth_response, MutableBytes out);

// ReadTextUpToNulOrEnd reads a string<NUL> whose NUL may be missing at the payload's end: servers
// keep a NUL behind each packet that they read, and so never notice. Empty at the end.
std::string_view ReadTextUpToNulOrEnd(Reader* reader);

}  // namespace sallyport::packet

#endif  // PACKET_AUTH_RESPONSE_H_
