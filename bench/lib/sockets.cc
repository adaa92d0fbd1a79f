#include "bench/lib/sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>

namespace sallyport::bench {

void TuneSocket(int fd, const std::string& congestion) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // A unix socket refuses; no matter.
  if (!congestion.empty() && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion.data(),
                                        static_cast<socklen_t>(congestion.size())) != 0) {
    std::fprintf(stderr, "TCP_CONGESTION %s: ", congestion.c_str());
    std::perror(nullptr);
    std::exit(1);
  }
}

void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    // Root may go beyond the hard limit, as far as fs.nr_open.
    constexpr rlim_t kWanted = 1 << 20;
    const rlimit higher = {kWanted, kWanted};
    if (limit.rlim_max >= kWanted || setrlimit(RLIMIT_NOFILE, &higher) != 0) {
      limit.rlim_cur = limit.rlim_max;
      setrlimit(RLIMIT_NOFILE, &limit);
    }
  }
}

}  // namespace sallyport::bench
