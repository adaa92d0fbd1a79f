// SendQueue: bytes that a socket would not take yet, and records between them that aren't data,
// where the kernel encrypts. Holds memory only while it isn't empty.
#ifndef PROXY_SEND_QUEUE_H_
#define PROXY_SEND_QUEUE_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tls/write_keys.h"

namespace sallyport {

class SendQueue {
 public:
  SendQueue() = default;
  ~SendQueue() { Clear(); }
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;

  // Append copies `parts` without their first `skip` bytes behind what is there. `secret`: they
  // may hold a password (for a unix-socket server), so the memory is wiped before it is given
  // back.
  void Append(std::span<const iovec> parts, size_t skip, bool secret);
  // AppendRecord puts `record` before the last `behind` bytes. REQUIRES: no record is there.
  void AppendRecord(const tls::ControlRecord& record, size_t behind);
  // Consume drops `count` bytes from the front. REQUIRES: count <= front().size().
  void Consume(size_t count);
  // TakeRecord removes the record that is at the front. REQUIRES: record_next().
  tls::ControlRecord TakeRecord();
  // Clear drops all.
  void Clear();

  // front: the bytes before the first record, or all.
  std::span<const uint8_t> front() const;
  bool record_next() const { return !records_.empty() && records_.front().bytes_before == 0; }
  const tls::ControlRecord& next_record() const { return records_.front().record; }
  size_t size() const { return bytes_.size() - consumed_; }  // Of the bytes.
  bool empty() const { return size() == 0 && records_.empty(); }

 private:
  struct Record {
    size_t bytes_before;  // From the record before it, or the front.
    tls::ControlRecord record;
  };
  void ClearBytes();

  std::vector<uint8_t> bytes_;
  size_t consumed_ = 0;
  bool secret_ = false;
  std::vector<Record> records_;
};

}  // namespace sallyport

#endif  // PROXY_SEND_QUEUE_H_
