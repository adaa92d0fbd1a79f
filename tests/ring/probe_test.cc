#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <string>

#include "proxy/ring/ring.h"
#include "tests/ring/refuse_io_uring.h"

namespace sallyport {
namespace {

TEST(ProbeIoUring, AgreesWithTheRing) {
  const absl::Status probe = ProbeIoUring();
  if (!probe.ok()) GTEST_SKIP() << "io_uring is refused here: " << probe;
  EXPECT_TRUE(MakeUringRing()->Start().ok());
}

// What the probe says in a process where a system call is refused; that process ends.
void SayAndExit(long number, int error) {
  if (!RefuseIoUring(number, error)) exit(2);
  fprintf(stderr, "[%s]", std::string(ProbeIoUring().message()).c_str());
  exit(0);
}

void ExpectSaid(long number, int error, const char* text) {
  EXPECT_EXIT(SayAndExit(number, error), ::testing::ExitedWithCode(0), ::testing::HasSubstr(text));
}

TEST(ProbeIoUring, NamesTheLikelyCauseOfARefusal) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr long kSetup = SYS_io_uring_setup;
  ExpectSaid(kSetup, EPERM,
             "[io_uring_setup: Operation not permitted (seccomp filter of a container, or sysctl "
             "kernel.io_uring_disabled)]");
  ExpectSaid(kSetup, ENOSYS,
             "[io_uring_setup: Function not implemented (a kernel without io_uring, or a sandbox "
             "that hides it)]");
  ExpectSaid(kSetup, EINVAL, "[io_uring_setup: Invalid argument (kernel older than 6.1)]");
  ExpectSaid(kSetup, ENOMEM,
             "[io_uring_setup: Cannot allocate memory (out of memory, or of locked memory: "
             "RLIMIT_MEMLOCK)]");
  ExpectSaid(kSetup, EMFILE,
             "[io_uring_setup: Too many open files (out of file descriptors: RLIMIT_NOFILE)]");
  ExpectSaid(kSetup, EACCES,
             "[io_uring_setup: Permission denied (a security module such as SELinux)]");
  ExpectSaid(kSetup, EIO, "[io_uring_setup: Input/output error]");
}

TEST(ProbeIoUring, TriesMoreThanToMakeARing) {
  if (!ProbeIoUring().ok()) GTEST_SKIP() << "io_uring is refused here: " << ProbeIoUring();
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  ExpectSaid(SYS_io_uring_register, EINVAL,
             "[io_uring_register (buffer ring): Invalid argument (kernel older than 6.1)]");
  ExpectSaid(SYS_socketpair, EACCES, "[socketpair: Permission denied]");
  ExpectSaid(SYS_listen, EACCES, "[io_uring accept: no socket to try it on]");
}

}  // namespace
}  // namespace sallyport
