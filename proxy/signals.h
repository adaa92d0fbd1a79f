// Signals: those that the process obeys, blocked in all its threads and read where it waits.
#ifndef PROXY_SIGNALS_H_
#define PROXY_SIGNALS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace sallyport {

class Signals {
 public:
  // Blocks them, and ignores SIGPIPE. REQUIRES: no other thread runs yet.
  explicit Signals(std::initializer_list<int> numbers);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Wait returns the next signal's number; 0 after `ms`, or once one of `others` is readable (-1
  // among them is skipped). At most kOthersMax.
  static constexpr size_t kOthersMax = 2;
  int Wait(uint32_t ms, std::span<const int> others = {});

 private:
  int fd_ = -1;
};

}  // namespace sallyport

#endif  // PROXY_SIGNALS_H_
