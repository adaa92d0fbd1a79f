// FreedMemory looks for a secret in memory that the code under test gives back unwiped. Linking it
// replaces operator new and delete for the whole test.
#ifndef TESTS_SESSION_FREED_MEMORY_H_
#define TESTS_SESSION_FREED_MEMORY_H_

#include <string_view>

namespace sallyport::tests {

// While one lives, every block that is freed is searched for `secret`, which must outlive it.
class FreedMemory {
 public:
  explicit FreedMemory(std::string_view secret);
  ~FreedMemory();
  FreedMemory(const FreedMemory&) = delete;
  FreedMemory& operator=(const FreedMemory&) = delete;

  // How often the secret was found since the start of the process.
  static int found();
};

}  // namespace sallyport::tests

#endif  // TESTS_SESSION_FREED_MEMORY_H_
