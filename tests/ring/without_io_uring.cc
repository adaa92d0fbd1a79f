// Linked into a test, it makes the whole process one in which io_uring is refused.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "proxy/ring/ring.h"
#include "tests/ring/refuse_io_uring.h"

namespace sallyport {
namespace {

const bool kRefused = RefuseIoUring(SYS_io_uring_setup, EPERM);

TEST(WithoutIoUring, TheProbeSaysSo) {
  ASSERT_TRUE(kRefused);
  EXPECT_EQ(ProbeIoUring().message(),
            "io_uring_setup: Operation not permitted (seccomp filter of a container, or sysctl "
            "kernel.io_uring_disabled)");
}

}  // namespace
}  // namespace sallyport
