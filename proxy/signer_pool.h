// SignerPool: threads that make the RSA signatures of TLS handshakes, so that a storm of new
// connections takes no worker from its established sessions.
#ifndef PROXY_SIGNER_POOL_H_
#define PROXY_SIGNER_POOL_H_

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "proxy/signature_inbox.h"
#include "proxy/slot_tag.h"
#include "tls/signature.h"

namespace sallyport {

// A job keeps alive what it needs: the request its key, and this the inbox.
struct SignatureJob {
  std::shared_ptr<SignatureInbox> inbox;  // Of the worker,
  SlotTag owner;                          // whose connection asks.
  tls::SignatureRequest request;
};

class SignerPool {
 public:
  // Starts the threads, which take over the caller's signal mask. threads: at least 1.
  explicit SignerPool(int threads);
  ~SignerPool();  // Stops.
  SignerPool(const SignerPool&) = delete;
  SignerPool& operator=(const SignerPool&) = delete;

  // Add queues `*job` and takes it away; its inbox gets one answer, in any order with others'.
  // False, and `*job` is as it was, when kSignatureQueueMax wait already, or after Stop. Any
  // thread.
  bool Add(SignatureJob* job);

  // Stop ends the threads, each after the signature that it is at, and returns when they have. What
  // is still queued is answered with failure. Once, or by the destructor.
  void Stop();

  int threads() const { return static_cast<int>(threads_.size()); }

 private:
  void Run(int index);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<SignatureJob> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sallyport

#endif  // PROXY_SIGNER_POOL_H_
