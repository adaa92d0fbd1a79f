#include "tests/session/freed_memory.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

namespace sallyport::tests {
namespace {

std::string_view wanted;
int found_count = 0;

// A block's size stands in front of it: the allocator's own idea of it includes bytes that nobody
// wrote.
constexpr size_t kPrefix = alignof(std::max_align_t);

void* Allocate(size_t size) {
  auto* block = static_cast<char*>(std::malloc(kPrefix + size));
  if (block == nullptr) std::abort();
  std::memcpy(block, &size, sizeof(size));
  std::memset(block + kPrefix, 0xCD, size);  // Nobody else's secret is in it.
  return block + kPrefix;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  char* block = static_cast<char*>(memory) - kPrefix;
  size_t size = 0;
  std::memcpy(&size, block, sizeof(size));
  if (!wanted.empty()) {
    const std::string_view bytes(static_cast<char*>(memory), size);
    if (bytes.find(wanted) != std::string_view::npos) ++found_count;
  }
  std::free(block);
}

}  // namespace

FreedMemory::FreedMemory(std::string_view secret) { wanted = secret; }
FreedMemory::~FreedMemory() { wanted = {}; }
int FreedMemory::found() { return found_count; }

}  // namespace sallyport::tests

void* operator new(size_t size) { return sallyport::tests::Allocate(size); }
void* operator new[](size_t size) { return sallyport::tests::Allocate(size); }
void operator delete(void* memory) noexcept { sallyport::tests::Free(memory); }
void operator delete[](void* memory) noexcept { sallyport::tests::Free(memory); }
void operator delete(void* memory, size_t) noexcept { sallyport::tests::Free(memory); }
void operator delete[](void* memory, size_t) noexcept { sallyport::tests::Free(memory); }
