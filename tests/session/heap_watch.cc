#include "tests/session/heap_watch.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace sallyport::tests {
namespace {

bool watching = false;
std::string_view wanted;
int found = 0;
size_t held = 0;

// In front of each block. The allocator's own idea of a size includes bytes that nobody wrote.
struct Prefix {
  size_t size;
  size_t counted;  // What the block adds to `held`.
};
static_assert(sizeof(Prefix) % alignof(std::max_align_t) == 0);

[[maybe_unused]] void* Allocate(size_t size) {
  auto* prefix = static_cast<Prefix*>(std::malloc(sizeof(Prefix) + size));
  if (prefix == nullptr) std::abort();
  *prefix = {size, watching ? size : 0};
  held += prefix->counted;
  void* memory = prefix + 1;
  std::memset(memory, 0xCD, size);  // Nobody else's secret is in it.
  return memory;
}

[[maybe_unused]] void Free(void* memory) {
  if (memory == nullptr) return;
  Prefix* prefix = static_cast<Prefix*>(memory) - 1;
  held -= prefix->counted;
  if (watching && !wanted.empty() &&
      std::string_view(static_cast<char*>(memory), prefix->size).find(wanted) != wanted.npos) {
    ++found;
  }
  std::free(prefix);
}

}  // namespace

HeapWatch::HeapWatch(std::string_view secret) {
  watching = true;
  wanted = secret;
}
HeapWatch::~HeapWatch() { watching = false; }
int HeapWatch::secrets_found() { return found; }
size_t HeapWatch::bytes_held() { return held; }

}  // namespace sallyport::tests

// libFuzzer brings a C++ library of its own, which gives ours blocks to free that it never made: so
// nothing is watched there.
#ifndef SALLYPORT_LIBFUZZER
void* operator new(size_t size) { return sallyport::tests::Allocate(size); }
void* operator new[](size_t size) { return sallyport::tests::Allocate(size); }
void operator delete(void* memory) noexcept { sallyport::tests::Free(memory); }
void operator delete[](void* memory) noexcept { sallyport::tests::Free(memory); }
void operator delete(void* memory, size_t) noexcept { sallyport::tests::Free(memory); }
void operator delete[](void* memory, size_t) noexcept { sallyport::tests::Free(memory); }
#endif
