#include "packet/greeting.h"

#include <algorithm>

#include "packet/capabilities.h"
#include "packet/check.h"

namespace sallyport::packet {
namespace {

constexpr uint8_t kProtocolVersion = 10;
// auth_plugin_data comes in two parts, for the sake of clients from before 4.1: they read the first
// eight bytes only. The second has at least 13, commonly twelve of nonce and a NUL.
constexpr size_t kNoncePart1Size = 8;
constexpr size_t kNoncePart2Size = kNonceSize - kNoncePart1Size;
constexpr size_t kAuthPluginDataPart2SizeMin = 13;
constexpr size_t kReservedSize = 10;  // MariaDB: its extended capabilities in the last four.
constexpr size_t kReservedBeforeExtended = kReservedSize - 4;

// The fields of a greeting, in the order of the wire.
struct Fields {
  Greeting greeting;
  Bytes nonce_part_1;
  uint8_t auth_plugin_data_size = 0;
  size_t capability_flags_low_at = 0;
};

// ReadFixedFields reads up to the reserved bytes.
bool ReadFixedFields(Reader* reader, Fields* out) {
  Greeting& greeting = out->greeting;
  uint8_t version = 0;
  Bytes server_version;
  uint16_t flags_low = 0;
  uint16_t flags_high = 0;
  if (!reader->ReadInt1(&version) || version != kProtocolVersion ||
      !reader->ReadNulTerminated(&server_version) || !reader->ReadInt4(&greeting.thread_id) ||
      !reader->ReadBytes(kNoncePart1Size, &out->nonce_part_1) || !reader->Skip(1)) {
    return false;
  }
  out->capability_flags_low_at = reader->position();
  if (!reader->ReadInt2(&flags_low) || !reader->ReadInt1(&greeting.character_set) ||
      !reader->ReadInt2(&greeting.status_flags) || !reader->ReadInt2(&flags_high) ||
      !reader->ReadInt1(&out->auth_plugin_data_size) || !reader->Skip(kReservedBeforeExtended) ||
      !reader->ReadInt4(&greeting.extended_flags)) {
    return false;
  }
  greeting.server_version = AsText(server_version);
  greeting.capability_flags = flags_low | (uint32_t{flags_high} << 16);
  if ((greeting.capability_flags & CLIENT_LONG_PASSWORD) != 0) greeting.extended_flags = 0;
  return (greeting.capability_flags & CLIENT_PROTOCOL_41) != 0;
}

// ReadNonceAndPlugin reads what is behind the reserved bytes.
bool ReadNonceAndPlugin(Reader* reader, Fields* fields) {
  Greeting& greeting = fields->greeting;
  std::copy(fields->nonce_part_1.begin(), fields->nonce_part_1.end(), greeting.nonce.begin());
  const bool plugin_auth = (greeting.capability_flags & CLIENT_PLUGIN_AUTH) != 0;
  if (!plugin_auth && (greeting.capability_flags & CLIENT_SECURE_CONNECTION) == 0) {
    return true;  // Only mysql_old_password's eight bytes.
  }
  const size_t announced = std::max<size_t>(fields->auth_plugin_data_size, kNoncePart1Size);
  const size_t part_2_size = std::max(kAuthPluginDataPart2SizeMin, announced - kNoncePart1Size);
  // The nonce must be there, what is behind it need not: servers differ in the final NUL.
  Bytes part_2;
  if (!reader->ReadBytes(std::min(part_2_size, reader->rest().size()), &part_2) ||
      part_2.size() < kNoncePart2Size) {
    return false;
  }
  std::copy_n(part_2.begin(), kNoncePart2Size, greeting.nonce.begin() + kNoncePart1Size);
  if (plugin_auth) {
    Bytes name;
    // MySQL 5.5.7 to 5.5.9 sent the name without its NUL (their bug 59453).
    if (!reader->ReadNulTerminated(&name)) {
      name = reader->rest();
    }
    greeting.auth_plugin_name = AsText(name);
  }
  return true;
}

Parse ParseFields(Bytes payload, Fields* out) {
  Reader reader(payload);
  if (!ReadFixedFields(&reader, out) || !ReadNonceAndPlugin(&reader, out)) {
    return Parse::kMalformed;
  }
  return Parse::kOk;
}

}  // namespace

bool ReadNonce(Bytes auth_plugin_data, Nonce* out) {
  if (auth_plugin_data.size() < kNonceSize) {
    return false;
  }
  std::copy_n(auth_plugin_data.begin(), kNonceSize, out->begin());
  return true;
}

Parse ParseGreeting(Bytes payload, Greeting* out) {
  Fields fields;
  const Parse parse = ParseFields(payload, &fields);
  if (parse == Parse::kOk) {
    *out = fields.greeting;
  }
  return parse;
}

void SetClientSsl(MutableBytes payload, bool on) {
  Fields fields;
  SALLYPORT_CHECK(ParseFields(payload, &fields) == Parse::kOk);
  // CLIENT_SSL is bit 11: in the second byte of the low word.
  static_assert(CLIENT_SSL >> 8 <= 0xFF && (CLIENT_SSL & 0xFF) == 0);
  constexpr uint8_t kBit = CLIENT_SSL >> 8;
  uint8_t& byte = payload[fields.capability_flags_low_at + 1];
  byte = static_cast<uint8_t>(on ? byte | kBit : byte & ~kBit);
}

void ClearCompressionOffer(MutableBytes payload) {
  Fields fields;
  SALLYPORT_CHECK(ParseFields(payload, &fields) == Parse::kOk);
  // CLIENT_COMPRESS is bit 5, in the low word; CLIENT_ZSTD_COMPRESSION_ALGORITHM is bit 26: the
  // second byte of the high one, which lies behind the low one, a character set and a status.
  static_assert(kCompressionFlags == (1u << 5 | 1u << 26));
  constexpr size_t kHighBehindLow = 2 + 1 + 2;
  uint8_t& low = payload[fields.capability_flags_low_at];
  uint8_t& high = payload[fields.capability_flags_low_at + kHighBehindLow + 1];
  low = static_cast<uint8_t>(low & ~CLIENT_COMPRESS);
  high = static_cast<uint8_t>(high & ~(CLIENT_ZSTD_COMPRESSION_ALGORITHM >> 24));
}

bool IsWritable(const Greeting& greeting) {
  constexpr uint32_t kNeeded = CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH;
  return (greeting.capability_flags & kNeeded) == kNeeded &&
         greeting.server_version.size() <= kGreetingTextMax &&
         greeting.auth_plugin_name.size() <= kGreetingTextMax;
}

size_t WriteGreeting(const Greeting& greeting, MutableBytes out) {
  SALLYPORT_CHECK(IsWritable(greeting));
  const Bytes nonce = greeting.nonce;
  Writer writer(out);
  const bool ok =
      writer.WriteInt1(kProtocolVersion) && writer.WriteNulTerminated(greeting.server_version) &&
      writer.WriteInt4(greeting.thread_id) && writer.WriteBytes(nonce.first(kNoncePart1Size)) &&
      writer.WriteInt1(0) && writer.WriteInt2(static_cast<uint16_t>(greeting.capability_flags)) &&
      writer.WriteInt1(greeting.character_set) && writer.WriteInt2(greeting.status_flags) &&
      writer.WriteInt2(static_cast<uint16_t>(greeting.capability_flags >> 16)) &&
      writer.WriteInt1(kNonceSize + 1) && writer.WriteZeros(kReservedBeforeExtended) &&
      writer.WriteInt4(greeting.extended_flags) &&
      writer.WriteBytes(nonce.subspan(kNoncePart1Size)) && writer.WriteInt1(0) &&
      writer.WriteNulTerminated(greeting.auth_plugin_name);
  SALLYPORT_CHECK(ok);
  return writer.written().size();
}

}  // namespace sallyport::packet
