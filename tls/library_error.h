// BoringSSL leaves its errors in a queue of the thread. This is where they are taken out.
#ifndef TLS_LIBRARY_ERROR_H_
#define TLS_LIBRARY_ERROR_H_

#include <string>

namespace sallyport::tls {

// TakeLibraryError names the queued error that says most ("WRONG_VERSION_NUMBER") and empties the
// queue. The names are the library's constants, so nothing of a peer's gets into a log this way.
// "UNKNOWN" when nothing was queued. Where AddReason said more, that follows behind a colon.
std::string TakeLibraryError();

// AddReason queues what the library's next error won't say. REQUIRES: a constant, for the same
// reason.
void AddReason(const char* reason);

// LibraryErrors empties this thread's queue when it goes, for code whose failures are answers, and
// which leaves nothing behind for the next one to trip over.
class LibraryErrors {
 public:
  LibraryErrors() = default;
  ~LibraryErrors();
  LibraryErrors(const LibraryErrors&) = delete;
  LibraryErrors& operator=(const LibraryErrors&) = delete;
};

}  // namespace sallyport::tls

#endif  // TLS_LIBRARY_ERROR_H_
