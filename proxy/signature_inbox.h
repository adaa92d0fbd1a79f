// SignatureInbox: where signatures made elsewhere wait for their worker, and what wakes it.
//
// Jobs share it with their worker, so a late result never meets a worker or a descriptor that is
// gone.
#ifndef PROXY_SIGNATURE_INBOX_H_
#define PROXY_SIGNATURE_INBOX_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "proxy/slot_tag.h"

namespace sallyport {

struct FinishedSignature {
  SlotTag owner;
  std::vector<uint8_t> signature;  // Empty: it failed.
};

class SignatureInbox {
 public:
  SignatureInbox();
  ~SignatureInbox();
  SignatureInbox(const SignatureInbox&) = delete;
  SignatureInbox& operator=(const SignatureInbox&) = delete;

  // Put hands a result over and wakes the worker where it isn't woken already. Any thread.
  void Put(FinishedSignature finished);
  // Wake makes wake_fd readable. Any thread.
  void Wake();

  // For the worker. wake_fd: an eventfd, to be polled for POLLIN. TakeAll makes it unreadable
  // first, then empties the inbox: what comes in between wakes again.
  int wake_fd() const { return wake_fd_; }
  std::vector<FinishedSignature> TakeAll();

 private:
  const int wake_fd_;
  std::mutex mutex_;
  std::vector<FinishedSignature> finished_;
};

}  // namespace sallyport

#endif  // PROXY_SIGNATURE_INBOX_H_
