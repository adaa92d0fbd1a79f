// SALLYPORT_CHECK stops the process when our own assumption is broken, in release builds too. It is
// never for bytes from the network: a bad byte is a value. (packet may depend on std only; the
// other rooms have ABSL_CHECK.)
#ifndef PACKET_CHECK_H_
#define PACKET_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define SALLYPORT_CHECK(condition)                                                       \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

#endif  // PACKET_CHECK_H_
