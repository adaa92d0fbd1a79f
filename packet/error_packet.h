// ERR_Packet: the one way in which this proxy refuses.
#ifndef PACKET_ERROR_PACKET_H_
#define PACKET_ERROR_PACKET_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "packet/wire.h"

namespace sallyport::packet {

// A refusal. Views must outlive the value. sqlstate is five characters.
struct Error {
  uint16_t code = 0;
  std::string_view sqlstate{};
  std::string_view message{};
};

// The longest message that is sent; a longer one is cut. MySQL's own limit (MYSQL_ERRMSG_SIZE): old
// clients copy the message to a buffer of that size.
inline constexpr size_t kErrorMessageSizeMax = 512;
// Header, FF, code, '#' and SQLSTATE, message.
inline constexpr size_t kErrorPacketSizeMax = 4 + 1 + 2 + 6 + kErrorMessageSizeMax;

// WriteErrorPacket writes a whole packet, header included, and returns its size. Before the
// greeting the client's capabilities are unknown and servers leave the SQLSTATE out:
// `with_sqlstate` false. REQUIRES: out.size() >= kErrorPacketSizeMax; with_sqlstate: error.sqlstate
// has five characters.
size_t WriteErrorPacket(const Error& error, bool with_sqlstate, uint8_t sequence_id,
                        MutableBytes out);

// ParseErrorPacket reads a payload that begins with FF, with or without SQLSTATE (left empty then).
// kMalformed, leaving `*out` alone, when it begins otherwise or is shorter than its code. The views
// live as long as `payload`.
Parse ParseErrorPacket(Bytes payload, Error* out);

}  // namespace sallyport::packet

#endif  // PACKET_ERROR_PACKET_H_
