#include "proxy/pipe_pool.h"

#include <utility>

#include "packet/check.h"

namespace sallyport {
namespace {

void ClosePipe(Ring* ring, const Pipe& pipe) {
  ring->Close(pipe.read_fd, false);
  ring->Close(pipe.write_fd, false);
}

}  // namespace

PipePool::~PipePool() { SALLYPORT_CHECK(borrowed_ == 0 && idle_.empty()); }

Pipe PipePool::Borrow(Ring* ring) {
  Pipe pipe;
  if (!idle_.empty()) {
    pipe = idle_.back();
    idle_.pop_back();
    ++borrowed_;
    return pipe;
  }
  if (borrowed_ >= kPipesMax) return {};
  const int32_t size = ring->OpenPipe(kPipeSize, &pipe.read_fd, &pipe.write_fd);
  if (size < 0) return {};
  if (size < static_cast<int32_t>(kPipeSizeMin)) {
    ClosePipe(ring, pipe);
    return {};
  }
  pipe.capacity = static_cast<size_t>(size);
  ++borrowed_;
  return pipe;
}

void PipePool::Return(Ring* ring, Pipe pipe, bool empty) {
  SALLYPORT_CHECK(borrowed_ > 0);
  --borrowed_;
  if (empty) {
    idle_.push_back(pipe);
  } else {
    ClosePipe(ring, pipe);
  }
}

void PipePool::Clear(Ring* ring) {
  for (const Pipe& pipe : std::exchange(idle_, {})) ClosePipe(ring, pipe);
}

}  // namespace sallyport
