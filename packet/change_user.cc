#include "packet/change_user.h"

#include "packet/asking_plugin.h"
#include "packet/auth_response.h"
#include "packet/capabilities.h"
#include "packet/check.h"

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
    change_user.auth_plugin_name_begin = reader.position();
    change_user.auth_plugin_name = ReadTextUpToNulOrEnd(&reader);
    change_user.auth_plugin_name_end = reader.position();
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

size_t WriteAskingChangeUser(Bytes payload, const ChangeUser& change_user, MutableBytes out) {
  const size_t begin = change_user.auth_plugin_name_begin;
  const size_t end = change_user.auth_plugin_name_end;
  SALLYPORT_CHECK(begin > change_user.auth_response_field_end && end >= begin);
  const size_t behind = change_user.auth_response_field_end;
  Writer writer(out);
  const bool ok = writer.WriteBytes(payload.first(change_user.auth_response_field_begin)) &&
                  writer.WriteInt1(0) &&  // Empty, in both encodings.
                  writer.WriteBytes(payload.subspan(behind, begin - behind)) &&
                  writer.WriteNulTerminated(kAskingPlugin) &&
                  writer.WriteBytes(payload.subspan(end));
  return ok ? writer.written().size() : 0;
}

}  // namespace sallyport::packet
