// RecvMemory: the kRecvBytesMax bytes that a ring receives into.
//
// Under AddressSanitizer a byte can be touched only while it is lent to the caller, from Wait to
// the next Wait, so that a span kept too long is found by any test that keeps one.
#ifndef PROXY_RING_RECV_MEMORY_H_
#define PROXY_RING_RECV_MEMORY_H_

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <cstdint>
#include <span>

#include "proxy/ring/ring.h"

namespace sallyport {

class RecvMemory {
 public:
  RecvMemory() = default;
  RecvMemory(const RecvMemory&) = delete;
  RecvMemory& operator=(const RecvMemory&) = delete;
  ~RecvMemory() {
    if (bytes_.empty()) return;
    Lend(bytes_);
    munmap(bytes_.data(), bytes_.size());
  }

  // Allocate: false when there is no memory. Pages of our own, not of the heap: what passed through
  // them (passwords) goes back to the kernel, which clears it.
  bool Allocate() {
    void* const pages =
        mmap(nullptr, kRecvBytesMax, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return false;
    bytes_ = {static_cast<uint8_t*>(pages), kRecvBytesMax};
    Withdraw(bytes_);
    return true;
  }

  // address of the byte at `offset`; not to be touched unless it is lent.
  uint8_t* address(size_t offset) const { return bytes_.data() + offset; }
  std::span<uint8_t> all() const { return bytes_; }

  static void Lend(std::span<uint8_t> bytes) {
    ASAN_UNPOISON_MEMORY_REGION(bytes.data(), bytes.size());
  }
  static void Withdraw(std::span<uint8_t> bytes) {
    ASAN_POISON_MEMORY_REGION(bytes.data(), bytes.size());
  }

 private:
  std::span<uint8_t> bytes_;
};

}  // namespace sallyport

#endif  // PROXY_RING_RECV_MEMORY_H_
