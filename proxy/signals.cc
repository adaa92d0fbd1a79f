#include "proxy/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "packet/check.h"

namespace sallyport {

Signals::Signals(std::initializer_list<int> numbers) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  SALLYPORT_CHECK(fd_ >= 0);  // Nobody could end a process that hears no signals.
}

Signals::~Signals() { close(fd_); }

int Signals::Wait(uint32_t ms, std::span<const int> others) {
  SALLYPORT_CHECK(others.size() <= kOthersMax);
  std::array<pollfd, kOthersMax + 1> fds{};
  for (size_t i = 0; i < others.size(); ++i) fds[i] = {others[i], POLLIN, 0};
  fds[others.size()] = {fd_, POLLIN, 0};
  poll(fds.data(), others.size() + 1, static_cast<int>(std::min<uint32_t>(ms, INT_MAX)));
  signalfd_siginfo info;
  if (read(fd_, &info, sizeof(info)) != sizeof(info)) return 0;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace sallyport
