#include "proxy/signature_inbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "packet/check.h"

namespace sallyport {

SignatureInbox::SignatureInbox() : wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  SALLYPORT_CHECK(wake_fd_ >= 0);
}

SignatureInbox::~SignatureInbox() { close(wake_fd_); }

void SignatureInbox::Put(FinishedSignature finished) {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = finished_.empty();
    finished_.push_back(std::move(finished));
  }
  if (was_empty) Wake();
}

void SignatureInbox::Wake() {
  const uint64_t one = 1;
  // Full means that a wake-up is waiting already.
  (void)!write(wake_fd_, &one, sizeof(one));
}

std::vector<FinishedSignature> SignatureInbox::TakeAll() {
  uint64_t count = 0;
  (void)!read(wake_fd_, &count, sizeof(count));
  const std::lock_guard lock(mutex_);
  return std::exchange(finished_, {});
}

}  // namespace sallyport
