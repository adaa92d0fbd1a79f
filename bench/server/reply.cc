#include "bench/server/reply.h"

#include <algorithm>
#include <vector>

#include "packet/check.h"
#include "packet/error_packet.h"
#include "packet/header.h"

namespace sallyport::bench {
namespace {

constexpr uint16_t kStatusAutocommit = 0x0002;

// A row's packet header and its value's int<lenenc>.
constexpr size_t kRowHeaderMax = packet::kHeaderSize + 9;
using RowHeader = std::array<uint8_t, kRowHeaderMax>;

size_t WriteRowHeader(uint32_t row_bytes, uint8_t sequence_id, RowHeader* out) {
  packet::Writer writer(packet::MutableBytes(*out).subspan(packet::kHeaderSize));
  SALLYPORT_CHECK(writer.WriteIntLenEnc(row_bytes));
  const size_t length_size = writer.written().size();
  packet::WriteHeader({.payload_length = static_cast<uint32_t>(length_size) + row_bytes,
                       .sequence_id = sequence_id},
                      *out);
  return packet::kHeaderSize + length_size;
}

// What every value consists of. One block for all: the bytes of bulk rows are only ever read.
const std::vector<uint8_t>& Filler() {
  static const auto* const filler = new std::vector<uint8_t>(BulkRows::kRowBytesMax, 'x');
  return *filler;
}

void AppendRow(uint32_t row_bytes, uint8_t sequence_id, std::string* out) {
  RowHeader header;
  const size_t header_size = WriteRowHeader(row_bytes, sequence_id, &header);
  out->append(packet::AsText(packet::Bytes(header).first(header_size)));
  out->append(row_bytes, 'x');
}

}  // namespace

void AppendPacket(packet::Bytes payload, uint8_t sequence_id, std::string* out) {
  std::array<uint8_t, packet::kHeaderSize> header;
  packet::WriteHeader(
      {.payload_length = static_cast<uint32_t>(payload.size()), .sequence_id = sequence_id},
      header);
  out->append(packet::AsText(header)).append(packet::AsText(payload));
}

void AppendOk(uint8_t sequence_id, std::string* out) {
  // affected_rows 0, last_insert_id 0, status_flags, no warnings.
  const std::array<uint8_t, 7> payload = {0x00, 0, 0, kStatusAutocommit, 0, 0, 0};
  AppendPacket(payload, sequence_id, out);
}

void AppendEof(uint8_t sequence_id, std::string* out) {
  const std::array<uint8_t, 5> payload = {0xFE, 0, 0, kStatusAutocommit, 0};
  AppendPacket(payload, sequence_id, out);
}

void AppendError(uint16_t code, std::string_view message, uint8_t sequence_id, std::string* out) {
  std::array<uint8_t, packet::kErrorPacketSizeMax> room;
  const packet::Error error = {.code = code, .sqlstate = "HY000", .message = message};
  const size_t size = packet::WriteErrorPacket(error, /*with_sqlstate=*/true, sequence_id, room);
  out->append(packet::AsText(packet::Bytes(room).first(size)));
}

void AppendColumns(std::string* out) {
  const std::array<uint8_t, 1> count = {1};
  AppendPacket(count, 1, out);
  std::array<uint8_t, 64> room;
  packet::Writer writer(room);
  constexpr uint16_t kBinary = 63;
  constexpr uint8_t kLongBlob = 0xFB;
  const bool ok = writer.WriteBytesLenEnc(packet::AsBytes("def")) &&  // Catalog.
                  writer.WriteZeros(3) &&                             // Schema, table, org_table.
                  writer.WriteBytesLenEnc(packet::AsBytes("value")) && writer.WriteZeros(1) &&
                  writer.WriteInt1(0x0C) && writer.WriteInt2(kBinary) &&
                  writer.WriteInt4(BulkRows::kRowBytesMax) && writer.WriteInt1(kLongBlob) &&
                  writer.WriteZeros(5);  // Flags, decimals, two reserved.
  SALLYPORT_CHECK(ok);
  AppendPacket(writer.written(), 2, out);
  AppendEof(kColumnsLast, out);
}

std::string OneRowReply(uint64_t bytes) {
  SALLYPORT_CHECK(bytes <= kOneRowBytesMax);
  std::string reply;
  AppendColumns(&reply);
  const size_t columns_size = reply.size();
  AppendRow(0, kColumnsLast + 1, &reply);
  AppendEof(kColumnsLast + 2, &reply);
  if (bytes <= reply.size()) {
    return reply;
  }
  // The value's own length prefix grows with it: where one more byte of it tips over, the reply
  // stays a byte or so short.
  auto row_bytes = static_cast<uint32_t>(bytes - reply.size());
  for (;;) {
    reply.resize(columns_size);
    AppendRow(row_bytes, kColumnsLast + 1, &reply);
    AppendEof(kColumnsLast + 2, &reply);
    if (reply.size() <= bytes) {
      return reply;
    }
    row_bytes -= static_cast<uint32_t>(reply.size() - bytes);
  }
}

void BulkRows::Start(uint64_t bytes, uint32_t row_bytes, uint8_t sequence_id) {
  SALLYPORT_CHECK(row_bytes > 0 && row_bytes <= kRowBytesMax);
  bytes_left_ = bytes;
  row_bytes_ = row_bytes;
  row_sent_ = 0;
  sequence_id_ = sequence_id;
}

uint32_t BulkRows::RowBytes() const {
  return static_cast<uint32_t>(std::min<uint64_t>(row_bytes_, bytes_left_));
}

std::span<const iovec> BulkRows::Parts() {
  static thread_local std::array<RowHeader, kRowsAtOnce> headers;
  static thread_local std::array<iovec, 2 * kRowsAtOnce> parts;
  size_t count = 0;
  uint64_t left = bytes_left_;
  size_t skip = row_sent_;
  for (size_t row = 0; row < kRowsAtOnce && left > 0; ++row) {
    const auto value = static_cast<uint32_t>(std::min<uint64_t>(row_bytes_, left));
    const size_t header =
        WriteRowHeader(value, static_cast<uint8_t>(sequence_id_ + row), &headers[row]);
    if (skip < header) {
      parts[count++] = {headers[row].data() + skip, header - skip};
    }
    const size_t value_skip = skip > header ? skip - header : 0;
    parts[count++] = {const_cast<uint8_t*>(Filler().data()), value - value_skip};
    left -= value;
    skip = 0;
  }
  return std::span<const iovec>(parts).first(count);
}

void BulkRows::Sent(size_t bytes) {
  while (bytes > 0) {
    RowHeader header;
    const size_t row = WriteRowHeader(RowBytes(), sequence_id_, &header) + RowBytes();
    const size_t taken = std::min(bytes, row - row_sent_);
    bytes -= taken;
    row_sent_ += static_cast<uint32_t>(taken);
    if (row_sent_ == row) {
      bytes_left_ -= RowBytes();
      row_sent_ = 0;
      ++sequence_id_;
    }
  }
}

}  // namespace sallyport::bench
