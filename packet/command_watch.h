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
//   kCommand     the next packet begins a command, with sequence_id 0; one with another
//                sequence_id is the first LOCAL INFILE packet (an empty one ends it at once).
//                Nothing else comes with another sequence_id: a server cuts off who tries.
//   kContinued   the payload before had 2^24-1 bytes and goes on, be it with no byte
//   kLocalInfile packets are file data, each one up in sequence_id, until an empty one that
//   continues
//                nothing; one that begins with sequence_id 0 out of turn is a command after all
//
//   kCommand     -> kCommand      sequence_id 0, under 2^24-1 bytes; or an empty LOCAL INFILE
//                -> kLocalInfile  another sequence_id, 1 to 2^24-2 bytes
//                -> kContinued    2^24-1 bytes of either
//   kContinued   -> kContinued    2^24-1 bytes
//                -> kCommand, kLocalInfile  fewer: back to what is continued
//   kLocalInfile -> kCommand      an empty packet
//                -> kContinued    2^24-1 bytes
//                as kCommand      sequence_id out of turn
//
// What it can't see: behind a multi-statement whose earlier results ended with sequence_id 254, a
// file's first packet has sequence_id 0. It is taken for a command, and its first byte decides.
class CommandWatch {
 public:
  struct Seen {
    // Bytes that earlier calls held back and that may go on to the server now, before `pass`.
    std::array<uint8_t, kHeaderSize> released{};
    size_t released_size = 0;
    // How many bytes, from the front of the argument, may go on to the server.
    size_t pass = 0;
    // A COM_CHANGE_USER begins behind what may pass: the first bytes of its header may be in
    // held() (then `pass` is 0), the rest follows at `pass`. The watch stands at a boundary again:
    // the caller takes the packet whole (held() first, then ForgetHeld) and calls Scan next on what
    // is behind it.
    bool change_user = false;
  };

  // Scan looks at the next bytes of the stream. What it neither passes nor calls change_user is at
  // most a header without its command byte at the very end: that is taken, and held. It reads the
  // headers and each command's first byte, and steps over the rest.
  // REQUIRES: after change_user, ForgetHeld was called.
  Seen Scan(Bytes bytes);

  // held: bytes that were taken and not passed. Valid until the next Scan.
  Bytes held() const { return Bytes(held_).first(held_size_); }
  void ForgetHeld() {
    held_size_ = 0;
    change_user_seen_ = false;
  }

 private:
  enum class State : uint8_t { kCommand, kContinued, kLocalInfile };

  // Step reads the header at the boundary in front of `bytes`. It returns false when that needs
  // more bytes than there are, or shows a COM_CHANGE_USER; otherwise the watch is behind the
  // header.
  bool Step(Bytes bytes, Seen* seen);
  // AtBoundary is state_ in the light of the header that comes next: kCommand where kLocalInfile
  // turns out to be over.
  State AtBoundary(const Header& header) const;
  // Enter moves on to behind the header `header`.
  void Enter(const Header& header);

  State state_ = State::kCommand;
  State continued_state_ = State::kCommand;  // kContinued returns there.
  uint8_t last_sequence_id_ = 0;             // Of the packet whose header was read last.
  bool change_user_seen_ = false;            // held_ belongs to a COM_CHANGE_USER.
  uint8_t held_size_ = 0;
  std::array<uint8_t, kHeaderSize> held_{};
  uint32_t payload_left_ = 0;  // Of the packet whose header was read last.
};

}  // namespace sallyport::packet

#endif  // PACKET_COMMAND_WATCH_H_
