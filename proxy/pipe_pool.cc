#include "proxy/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include "packet/check.h"

namespace sallyport {
namespace {

void ClosePipe(const Pipe& pipe) {
  close(pipe.read_fd);
  close(pipe.write_fd);
}

}  // namespace

PipePool::~PipePool() {
  SALLYPORT_CHECK(borrowed_ == 0);
  for (const Pipe& pipe : idle_) ClosePipe(pipe);
}

Pipe PipePool::Borrow() {
  Pipe pipe;
  if (!idle_.empty()) {
    pipe = idle_.back();
    idle_.pop_back();
    ++borrowed_;
    return pipe;
  }
  if (borrowed_ >= kPipesMax) return {};
  int fds[2];
  if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) return {};
  pipe.read_fd = fds[0];
  pipe.write_fd = fds[1];
  // Refused (EPERM) above the user's share; the pipe then keeps its size, which may be one page.
  fcntl(pipe.write_fd, F_SETPIPE_SZ, static_cast<int>(kPipeSize));
  const int size = fcntl(pipe.write_fd, F_GETPIPE_SZ);
  if (size < static_cast<int>(kPipeSizeMin)) {
    ClosePipe(pipe);
    return {};
  }
  pipe.capacity = static_cast<size_t>(size);
  ++borrowed_;
  return pipe;
}

void PipePool::Return(Pipe pipe, bool empty) {
  SALLYPORT_CHECK(borrowed_ > 0);
  --borrowed_;
  if (empty) {
    idle_.push_back(pipe);
  } else {
    ClosePipe(pipe);
  }
}

}  // namespace sallyport
