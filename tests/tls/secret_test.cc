// Secret: whatever held one is zero before its memory is anybody else's.
#include "tls/secret.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace {

// The memory this test watches. operator delete, below, looks at it a last time: the storage is
// still there then, which it no longer is when the caller gets it back.
void* g_watched = nullptr;
size_t g_watched_size = 0;
int g_freed_clean = 0;
int g_freed_dirty = 0;

void LastLook(void* memory) {
  if (memory != g_watched || memory == nullptr) {
    return;
  }
  const uint8_t* bytes = static_cast<const uint8_t*>(memory);
  const bool clean =
      std::all_of(bytes, bytes + g_watched_size, [](uint8_t byte) { return byte == 0; });
  ++(clean ? g_freed_clean : g_freed_dirty);
  g_watched = nullptr;
}

}  // namespace

void* operator new(size_t size) {
  if (void* memory = std::malloc(size == 0 ? 1 : size)) {
    return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  LastLook(memory);
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace sallyport::tls {
namespace {

const std::string kText = "correct horse battery staple";

Secret Make() {
  return Secret(
      std::span<const uint8_t>(reinterpret_cast<const uint8_t*>(kText.data()), kText.size()));
}

std::string Text(const Secret& secret) {
  return std::string(secret.bytes().begin(), secret.bytes().end());
}

class SecretTest : public ::testing::Test {
 protected:
  SecretTest() {
    g_watched = nullptr;
    g_freed_clean = 0;
    g_freed_dirty = 0;
  }

  void Watch(Secret* secret) {
    g_watched = secret->bytes().data();
    g_watched_size = secret->bytes().size();
  }
};

TEST_F(SecretTest, TheWatchSeesAnUnwipedOne) {
  std::vector<uint8_t>* plain = new std::vector<uint8_t>(16, 7);
  g_watched = plain->data();
  g_watched_size = plain->size();
  delete plain;
  EXPECT_EQ(g_freed_dirty, 1);
}

TEST_F(SecretTest, WipesWhenItGoes) {
  {
    Secret secret = Make();
    EXPECT_EQ(Text(secret), kText);
    Watch(&secret);
  }
  EXPECT_EQ(g_freed_clean, 1);
  EXPECT_EQ(g_freed_dirty, 0);
}

TEST_F(SecretTest, ClearWipesAndFrees) {
  Secret secret = Make();
  Watch(&secret);
  secret.Clear();
  EXPECT_TRUE(secret.empty());
  EXPECT_EQ(g_freed_clean, 1);
}

TEST_F(SecretTest, MovesWithoutACopy) {
  Secret from = Make();
  const uint8_t* memory = from.bytes().data();
  Secret to = std::move(from);
  EXPECT_EQ(to.bytes().data(), memory);
  EXPECT_EQ(Text(to), kText);
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): promised.
}

TEST_F(SecretTest, AssignmentWipesWhatWasThere) {
  Secret secret = Make();
  Watch(&secret);
  secret = Secret(size_t{4});
  EXPECT_EQ(g_freed_clean, 1);
  EXPECT_EQ(Text(secret), std::string(4, '\0'));
}

TEST_F(SecretTest, AssignmentToItselfKeepsIt) {
  Secret secret = Make();
  Secret& same = secret;
  secret = std::move(same);
  EXPECT_EQ(Text(secret), kText);
}

TEST_F(SecretTest, EmptyOnesAreFine) {
  Secret none;
  EXPECT_TRUE(none.empty());
  none.Clear();
  Secret also_none(std::span<const uint8_t>{});
  none = std::move(also_none);
  EXPECT_TRUE(none.empty());
  Wipe({});
}

TEST_F(SecretTest, WipeZeroes) {
  uint8_t bytes[] = {1, 2, 3};
  Wipe(std::span<uint8_t>(bytes).first(2));
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(bytes[1], 0);
  EXPECT_EQ(bytes[2], 3);
}

}  // namespace
}  // namespace sallyport::tls
