#include "packet/change_user.h"

#include "packet/auth_response.h"
#include "packet/capabilities.h"

namespace sallyport::packet {
namespace {

constexpr size_t kCharacterSetSize = 2;

// CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA has no say here: the length stays one byte.
AuthResponseEncoding EncodingOf(uint32_t capability_flags) {
  return (capability_flags & CLIENT_SECURE_CONNECTION) != 0 ? AuthResponseEncoding::kOneByteLength
                                                            : AuthResponseEncoding::kNulTerminated;
}

}  // namespace

Parse ParseChangeUser(Bytes payload, uint32_t capability_flags, ChangeUser* out) {
  Reader reader(payload);
  ChangeUser change_user;
  uint8_t command = 0;
  Bytes username;
  if (!reader.ReadInt1(&command) || command != COM_CHANGE_USER ||
      !reader.ReadNulTerminated(&username)) {
    return Parse::kMalformed;
  }
  change_user.username = AsText(username);
  change_user.auth_response_field_begin = reader.position();
  if (!ReadAuthResponse(EncodingOf(capability_flags), &reader, &change_user.auth_response)) {
    return Parse::kMalformed;
  }
  change_user.auth_response_field_end = reader.position();
  if (reader.empty()) {
    return Parse::kMalformed;  // An empty database still has its NUL; servers insist on it.
  }
  change_user.database = ReadTextUpToNulOrEnd(&reader);
  // One last byte would be no character set; servers take it for what comes behind.
  if (reader.Skip(kCharacterSetSize) && (capability_flags & CLIENT_PLUGIN_AUTH) != 0) {
    change_user.auth_plugin_name = ReadTextUpToNulOrEnd(&reader);
  }
  *out = change_user;
  return Parse::kOk;
}

size_t ReplaceAuthResponse(Bytes payload, uint32_t capability_flags, const ChangeUser& change_user,
                           Bytes auth_response, MutableBytes out) {
  return SpliceAuthResponse(payload, change_user.auth_response_field_begin,
                            change_user.auth_response_field_end, EncodingOf(capability_flags),
                            auth_response, out);
}

}  // namespace sallyport::packet
