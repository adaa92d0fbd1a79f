// ReplyReader finds the end of the answer to a COM_QUERY: OK, ERR, or a result set with its EOFs.
// Source: MySQL's "COM_QUERY Response", without CLIENT_DEPRECATE_EOF.
#ifndef BENCH_CLIENT_REPLY_READER_H_
#define BENCH_CLIENT_REPLY_READER_H_

#include <cstdint>
#include <string>

#include "bench/lib/packet_stream.h"
#include "packet/wire.h"

namespace sallyport::bench {

class ReplyReader {
 public:
  enum class Result { kNeedMore, kDone, kError };

  // Start expects a new answer.
  void Start();
  // Read takes bytes from the front of `*in`, all of them or up to the answer's end.
  // kError: the server's ERR, or an answer that makes no sense; error() tells.
  Result Read(packet::Bytes* in);
  const std::string& error() const { return error_; }

 private:
  enum class State : uint8_t { kFirst, kColumns, kRows };

  Result OnPacket(const PacketStream::Packet& packet);

  State state_ = State::kFirst;
  PacketStream stream_;
  std::string error_;
};

// ErrorText is the message of an ERR_Packet for people: "1045 Access denied".
std::string ErrorText(packet::Bytes payload);

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_REPLY_READER_H_
