// What both programs do to their sockets.
#ifndef BENCH_LIB_SOCKETS_H_
#define BENCH_LIB_SOCKETS_H_

#include <string>

namespace sallyport::bench {

// TuneSocket sets TCP_NODELAY and, where it is not empty, TCP_CONGESTION. Exits with 1 when the
// kernel doesn't know `congestion`: a comparison with unequal settings is worth nothing.
void TuneSocket(int fd, const std::string& congestion);

// RaiseFileLimit raises RLIMIT_NOFILE as far as it goes.
void RaiseFileLimit();

}  // namespace sallyport::bench

#endif  // BENCH_LIB_SOCKETS_H_
