// PipePool: pipes through which bulk is spliced from socket to socket without entering user space.
// Borrowed only while bulk flows, so that an idle connection holds none.
#ifndef PROXY_PIPE_POOL_H_
#define PROXY_PIPE_POOL_H_

#include <cstddef>
#include <vector>

#include "proxy/ring/ring.h"

namespace sallyport {

// An empty pipe whose ends don't block.
struct Pipe {
  int read_fd = -1;
  int write_fd = -1;
  size_t capacity = 0;

  explicit operator bool() const { return read_fd >= 0; }
};

// One worker's pool; `ring` is always the worker's.
class PipePool {
 public:
  // A pipe of 1 MiB passes what a socket has in one or two calls; under 64 KiB splicing costs more
  // than copying. Each full one is 1 MiB of kernel memory, so their number is bounded.
  static constexpr size_t kPipeSize = 1 << 20;
  static constexpr size_t kPipeSizeMin = 64 * 1024;
  static constexpr size_t kPipesMax = 64;

  PipePool() = default;
  ~PipePool();  // REQUIRES: all that was borrowed came back, and Clear.
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  // Borrow hands out an empty pipe, or none (false) when there are too many, or when the kernel
  // gives no more or only tiny ones (fs.pipe-user-pages-soft, file descriptors): then copy.
  Pipe Borrow(Ring* ring);
  // Return takes it back. `empty`: nothing is left in it, so that it can serve again.
  void Return(Ring* ring, Pipe pipe, bool empty);
  // Clear closes those that are idle.
  void Clear(Ring* ring);

  size_t lent() const { return borrowed_; }
  size_t idle() const { return idle_.size(); }

 private:
  std::vector<Pipe> idle_;
  size_t borrowed_ = 0;
};

}  // namespace sallyport

#endif  // PROXY_PIPE_POOL_H_
