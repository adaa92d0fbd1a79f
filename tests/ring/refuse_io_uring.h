// RefuseIoUring makes system call `number` (SYS_io_uring_setup, ...) fail with `error` in this
// process from now on, by a seccomp filter as containers have one. False: this kernel can't.
#ifndef TESTS_RING_REFUSE_IO_URING_H_
#define TESTS_RING_REFUSE_IO_URING_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

namespace sallyport {

inline bool RefuseIoUring(long number, int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = sizeof(program) / sizeof(program[0]), .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace sallyport

#endif  // TESTS_RING_REFUSE_IO_URING_H_
