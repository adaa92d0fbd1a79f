#include "bench/client/reply_reader.h"

#include "packet/error_packet.h"

namespace sallyport::bench {
namespace {

constexpr uint8_t kOk = 0x00;
constexpr uint8_t kErr = 0xFF;
constexpr uint8_t kEof = 0xFE;
constexpr uint32_t kEofLengthMax = 8;  // A row may begin with FE too: a value of over 16 MiB.
constexpr uint16_t SERVER_MORE_RESULTS_EXISTS = 0x0008;

bool IsEof(const PacketStream::Packet& packet) {
  return packet.header.payload_length <= kEofLengthMax && packet.payload[0] == kEof;
}

}  // namespace

std::string ErrorText(packet::Bytes payload) {
  packet::Error error;
  if (packet::ParseErrorPacket(payload, &error) != packet::Parse::kOk) {
    return "an ERR_Packet that can't be read";
  }
  return std::to_string(error.code) + " " + std::string(error.message);
}

void ReplyReader::Start() { state_ = State::kFirst; }

ReplyReader::Result ReplyReader::Read(packet::Bytes* in) {
  PacketStream::Packet packet;
  while (stream_.Next(in, &packet)) {
    const Result result = OnPacket(packet);
    if (result != Result::kNeedMore) {
      return result;
    }
  }
  return Result::kNeedMore;
}

ReplyReader::Result ReplyReader::OnPacket(const PacketStream::Packet& packet) {
  if (packet.payload.empty()) {
    error_ = "an empty packet in an answer";
    return Result::kError;
  }
  if (packet.payload[0] == kErr) {
    error_ = ErrorText(packet.payload);
    return Result::kError;
  }
  switch (state_) {
    case State::kFirst:
      if (packet.payload[0] == kOk) {
        return Result::kDone;
      }
      state_ = State::kColumns;
      return Result::kNeedMore;
    case State::kColumns:
      if (IsEof(packet)) {
        state_ = State::kRows;
      }
      return Result::kNeedMore;
    case State::kRows: {
      if (!IsEof(packet)) {
        return Result::kNeedMore;
      }
      packet::Reader reader(packet.payload);
      uint16_t status = 0;
      const bool more =
          reader.Skip(3) && reader.ReadInt2(&status) && (status & SERVER_MORE_RESULTS_EXISTS) != 0;
      state_ = State::kFirst;
      return more ? Result::kNeedMore : Result::kDone;
    }
  }
  return Result::kError;
}

}  // namespace sallyport::bench
