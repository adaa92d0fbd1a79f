// ServerDrains: which servers an operator has taken out of use, for all listeners and workers. A
// server is known by its text ("127.0.0.1:3306"), so that a reload forgets nothing.
#ifndef PROXY_SERVER_DRAINS_H_
#define PROXY_SERVER_DRAINS_H_

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace sallyport {

class ServerDrains {
 public:
  // Of gives the server's switch, which lives as long as this; true: no new connections to it.
  const std::atomic<bool>* Of(std::string_view server) {
    const std::lock_guard lock(mutex_);
    return &drained_.try_emplace(std::string(server), false).first->second;
  }
  // Set. Workers see it a moment later.
  void Set(std::string_view server, bool drained) {
    const std::lock_guard lock(mutex_);
    drained_[std::string(server)].store(drained, std::memory_order_relaxed);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::atomic<bool>, std::less<>> drained_;
};

}  // namespace sallyport

#endif  // PROXY_SERVER_DRAINS_H_
