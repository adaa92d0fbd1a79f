// SendQueue: bytes that a socket would not take yet. Holds memory only while it isn't empty.
#ifndef PROXY_SEND_QUEUE_H_
#define PROXY_SEND_QUEUE_H_

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

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
  // Consume drops `count` bytes from the front. REQUIRES: count <= size().
  void Consume(size_t count);
  // Clear drops all.
  void Clear();

  std::span<const uint8_t> front() const { return std::span(bytes_).subspan(consumed_); }
  size_t size() const { return bytes_.size() - consumed_; }
  bool empty() const { return size() == 0; }

 private:
  std::vector<uint8_t> bytes_;
  size_t consumed_ = 0;
  bool secret_ = false;
};

}  // namespace sallyport

#endif  // PROXY_SEND_QUEUE_H_
