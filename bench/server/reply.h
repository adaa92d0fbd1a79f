// The responder's answers as bytes.
#ifndef BENCH_SERVER_REPLY_H_
#define BENCH_SERVER_REPLY_H_

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "packet/wire.h"

namespace sallyport::bench {

// Each Append writes one whole packet, header included. `sequence_id` is the packet's.
void AppendPacket(packet::Bytes payload, uint8_t sequence_id, std::string* out);
void AppendOk(uint8_t sequence_id, std::string* out);
void AppendEof(uint8_t sequence_id, std::string* out);
void AppendError(uint16_t code, std::string_view message, uint8_t sequence_id, std::string* out);

// AppendColumns opens a result set of one column, from sequence_id 1 to kColumnsLast.
inline constexpr uint8_t kColumnsLast = 3;
void AppendColumns(std::string* out);

// OneRowReply is a result set of one row that takes `bytes` on the wire, headers and all, or as
// many as the smallest one needs. REQUIRES: bytes <= kOneRowBytesMax.
inline constexpr uint64_t kOneRowBytesMax = 8 << 20;
std::string OneRowReply(uint64_t bytes);

// BulkRows is the middle of a large result set: rows that are made up as they are sent, from a few
// bytes of headers and one shared block, so that the bytes cost this process nothing.
class BulkRows {
 public:
  static constexpr uint32_t kRowBytesMax = 8 << 20;

  // Start begins `bytes` bytes of values in rows of `row_bytes`, the last one shorter.
  // REQUIRES: 0 < row_bytes <= kRowBytesMax.
  void Start(uint64_t bytes, uint32_t row_bytes, uint8_t sequence_id);
  bool done() const { return bytes_left_ == 0; }
  uint8_t next_sequence_id() const { return sequence_id_; }

  // Parts gives the next bytes for a sendmsg; Sent says how many of them went out.
  // The memory is valid until the next call of either.
  static constexpr size_t kRowsAtOnce = 16;
  std::span<const iovec> Parts();
  void Sent(size_t bytes);

 private:
  uint32_t RowBytes() const;  // Of the row that is under way.

  uint64_t bytes_left_ = 0;  // Of values, whole rows: the one under way counts until it is sent.
  uint32_t row_bytes_ = 0;
  uint32_t row_sent_ = 0;  // Bytes of the row under way that went out, header included.
  uint8_t sequence_id_ = 0;
};

}  // namespace sallyport::bench

#endif  // BENCH_SERVER_REPLY_H_
