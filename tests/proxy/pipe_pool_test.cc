#include "proxy/pipe_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "proxy/ring/ring.h"

namespace sallyport {
namespace {

class PipePoolTest : public ::testing::Test {
 protected:
  void TearDown() override { pool_.Clear(ring_.get()); }

  std::unique_ptr<Ring> ring_ = MakeEpollRing();  // Opening and closing need no Start.
  PipePool pool_;
};

TEST_F(PipePoolTest, LendsAnEmptyPipeAgain) {
  const Pipe first = pool_.Borrow(ring_.get());
  ASSERT_TRUE(first);
  EXPECT_EQ(first.capacity, PipePool::kPipeSize);
  pool_.Return(ring_.get(), first, true);
  const Pipe second = pool_.Borrow(ring_.get());
  EXPECT_EQ(second.read_fd, first.read_fd);
  pool_.Return(ring_.get(), second, true);
}

TEST_F(PipePoolTest, ClosesAPipeThatHoldsBytes) {
  const Pipe pipe = pool_.Borrow(ring_.get());
  ASSERT_EQ(write(pipe.write_fd, "secret", 6), 6);
  pool_.Return(ring_.get(), pipe, false);
  char byte;
  EXPECT_EQ(read(pipe.read_fd, &byte, 1), -1);
}

TEST_F(PipePoolTest, LendsNoMoreThanItsBound) {
  std::vector<Pipe> pipes;
  while (const Pipe pipe = pool_.Borrow(ring_.get())) pipes.push_back(pipe);
  EXPECT_EQ(pipes.size(), PipePool::kPipesMax);
  for (const Pipe& pipe : pipes) pool_.Return(ring_.get(), pipe, true);
}

// What the user "nobody" may have of the kernel's memory in pipes (fs.pipe-user-pages-soft) is used
// up in a child of ours. Exit codes: 0 as it should be, else the check that failed.
int BorrowWithoutPipePages() {
  constexpr uid_t kNobody = 65534;
  if (setgid(kNobody) != 0 || setuid(kNobody) != 0) return 1;
  const std::unique_ptr<Ring> ring = MakeEpollRing();
  constexpr int kPipesMuchTooMany = 500;
  for (int i = 0;; ++i) {
    if (i == kPipesMuchTooMany) return 2;  // There is no such limit here.
    int read_fd, write_fd;
    const int32_t size = ring->OpenPipe(PipePool::kPipeSize, &read_fd, &write_fd);
    if (size < 0) return 3;
    if (size < static_cast<int32_t>(PipePool::kPipeSizeMin)) break;
  }
  PipePool pool;
  return pool.Borrow(ring.get()) ? 4 : 0;
}

TEST_F(PipePoolTest, LendsNoneWhereTheKernelGivesOnlyTinyOnes) {
  if (getuid() != 0) GTEST_SKIP() << "only root can become somebody who has used up his pipes";
  const pid_t child = fork();
  if (child == 0) _exit(BorrowWithoutPipePages());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "fs.pipe-user-pages-soft is off here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace sallyport
