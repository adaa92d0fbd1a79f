// HeapWatch sees what the code under test does with memory: a secret that is given back unwiped,
// and how much is held. Linking it replaces operator new and delete for the whole test.
#ifndef TESTS_SESSION_HEAP_WATCH_H_
#define TESTS_SESSION_HEAP_WATCH_H_

#include <cstddef>
#include <string_view>

namespace sallyport::tests {

// While one lives, every block that is freed is searched for `secret`, which must outlive it and
// may be empty, and every block that is allocated is counted until it is freed.
class HeapWatch {
 public:
  explicit HeapWatch(std::string_view secret);
  ~HeapWatch();
  HeapWatch(const HeapWatch&) = delete;
  HeapWatch& operator=(const HeapWatch&) = delete;

  // How often a secret was found, and how many counted bytes aren't free, since the process began.
  static int secrets_found();
  static size_t bytes_held();
};

}  // namespace sallyport::tests

#endif  // TESTS_SESSION_HEAP_WATCH_H_
