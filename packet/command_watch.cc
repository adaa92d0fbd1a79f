#include "packet/command_watch.h"

#include <algorithm>

#include "packet/change_user.h"
#include "packet/check.h"

namespace sallyport::packet {

CommandWatch::Seen CommandWatch::Scan(Bytes bytes) {
  SALLYPORT_CHECK(!change_user_seen_);
  Seen seen;
  for (;;) {
    const size_t skipped = std::min<size_t>(payload_left_, bytes.size() - seen.pass);
    payload_left_ -= static_cast<uint32_t>(skipped);
    seen.pass += skipped;
    // Each step leaves a header behind, so this loop ends.
    if (payload_left_ > 0 || !Step(bytes.subspan(seen.pass), &seen)) {
      return seen;
    }
  }
}

bool CommandWatch::Step(Bytes bytes, Seen* seen) {
  // The header's bytes: those held, then those at hand.
  std::array<uint8_t, kHeaderSize> header_bytes = held_;
  const size_t taken = std::min(kHeaderSize - held_size_, bytes.size());
  std::copy_n(bytes.begin(), taken, header_bytes.begin() + held_size_);
  const size_t known = held_size_ + taken;

  Header header;
  const bool whole = ReadHeader(Bytes(header_bytes).first(known), &header) == Parse::kOk;
  const bool command =
      AtBoundary(header) == State::kCommand && header.sequence_id == 0 && header.payload_length > 0;
  if (!whole || (command && bytes.size() == taken)) {
    held_ = header_bytes;
    held_size_ = static_cast<uint8_t>(known);
    return false;
  }
  if (command && bytes[taken] == COM_CHANGE_USER) {
    seen->change_user = true;
    change_user_seen_ = held_size_ > 0;
    return false;
  }
  if (held_size_ > 0) {
    SALLYPORT_CHECK(seen->released_size == 0);  // Only the first header of a call was begun before.
    seen->released = held_;
    seen->released_size = held_size_;
    held_size_ = 0;
  }
  seen->pass += taken;
  Enter(header);
  return true;
}

CommandWatch::State CommandWatch::AtBoundary(const Header& header) const {
  const auto in_turn = static_cast<uint8_t>(last_sequence_id_ + 1);
  const bool over = state_ == State::kLocalInfile && header.sequence_id != in_turn;
  return over ? State::kCommand : state_;
}

void CommandWatch::Enter(const Header& header) {
  const State boundary = AtBoundary(header);
  State state = boundary == State::kContinued ? continued_state_ : boundary;
  if (boundary == State::kCommand && header.sequence_id != 0) {
    state = State::kLocalInfile;
  }
  // An empty packet ends the file, unless it is the end of a payload of 2^24-1 bytes.
  if (boundary != State::kContinued && header.payload_length == 0) {
    state = State::kCommand;
  }
  continued_state_ = state;
  state_ = header.payload_length == kPayloadLengthMax ? State::kContinued : state;
  last_sequence_id_ = header.sequence_id;
  payload_left_ = header.payload_length;
}

}  // namespace sallyport::packet
