#include "proxy/signer_pool.h"

#include <pthread.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "packet/check.h"
#include "proxy/limits.h"

namespace sallyport {
namespace {

// Where workers and signers want the same CPU, a byte of an established session goes before a new
// connection, without that one starving. If the kernel won't, it's as good as it was.
constexpr int kNice = 5;

void DressThread(int index) {
  pthread_setname_np(pthread_self(), ("signer-" + std::to_string(index)).c_str());
  (void)!nice(kNice);  // On Linux, of this thread alone.
}

}  // namespace

SignerPool::SignerPool(int threads) {
  SALLYPORT_CHECK(threads > 0);
  for (int index = 0; index < threads; ++index) {
    threads_.emplace_back([this, index] { Run(index); });
  }
}

SignerPool::~SignerPool() { Stop(); }

bool SignerPool::Add(SignatureJob* job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= kSignatureQueueMax) return false;
    queue_.push_back(std::move(*job));
  }
  changed_.notify_one();
  return true;
}

void SignerPool::Stop() {
  std::deque<SignatureJob> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(queue_);
  }
  changed_.notify_all();
  for (SignatureJob& job : left) job.inbox->Put({job.owner, {}});
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void SignerPool::Run(int index) {
  DressThread(index);
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    SignatureJob job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    job.inbox->Put({job.owner, job.request.Sign()});
    lock.lock();
  }
}

}  // namespace sallyport
