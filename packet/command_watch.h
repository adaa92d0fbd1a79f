// CommandWatch finds COM_CHANGE_USER in the client's bytes of the command phase, at true command
// boundaries only: not in a packet's middle, not in the continuation of a payload of 2^24-1 bytes,
// not in the data of LOAD DATA LOCAL INFILE (whose sequence_ids wrap through 0).
#ifndef PACKET_COMMAND_WATCH_H_
#define PACKET_COMMAND_WATCH_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "packet/header.h"
#include "packet/wire.h"

namespace sallyport::packet {

// One connection's watch. A value: no memory of its own beyond this object.
//
// The client's stream alone tells where commands begin:
//   kCommand     the next packet begins a command, with sequence_id 0; one with another sequence_id is
//                the first LOCAL INFILE packet (an empty one ends it at once)
//   kContinued   the payload before had 2^24-1 bytes and goes on
//   kLocalInfile packets are file data until an empty one that continues nothing
class CommandWatch {
 public:
  struct Seen {
    // Bytes of earlier calls that were held back and may go on to the server now, before `pass`.
    std::array<uint8_t, kHeaderSize> released{};
    size_t released_size = 0;
    // How many bytes, from the front of the argument, may go on to the server.
    size_t pass = 0;
    // A COM_CHANGE_USER begins behind what may pass: the first bytes of its header may be in
    // held(), the rest follows at `pass`. The watch stands at a boundary again: the caller takes the
    // packet whole (held() first, then ForgetHeld) and calls Scan next on what is behind it.
    bool change_user = false;
  };

  // Scan looks at the next bytes of the stream. What it neither passes nor calls change_user is at
  // most a header without its command byte at the very end: that is taken, and held.
  Seen Scan(Bytes bytes);

  // held: bytes that were taken and not passed. Valid until the next Scan.
  Bytes held() const { return Bytes(held_).first(held_size_); }
  void ForgetHeld() { held_size_ = 0; }

 private:
  enum class State : uint8_t { kCommand, kContinued, kLocalInfile };

  State state_ = State::kCommand;
  bool in_local_infile_ = false;  // kContinued returns there.
  uint8_t held_size_ = 0;
  std::array<uint8_t, kHeaderSize> held_{};
  uint32_t payload_left_ = 0;
};

}  // namespace sallyport::packet

#endif  // PACKET_COMMAND_WATCH_H_
