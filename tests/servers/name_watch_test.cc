#include "proxy/servers/name_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"

namespace sallyport {
namespace {

using ::testing::ElementsAre;
using Result = absl::StatusOr<std::vector<Address>>;

std::vector<Address> Numbers(const std::vector<std::string>& texts) {
  std::vector<Address> addresses;
  for (const std::string& text : texts) {
    const Result one = ResolveAddress(text);
    EXPECT_TRUE(one.ok()) << text;
    addresses.insert(addresses.end(), one->begin(), one->end());
  }
  return addresses;
}

std::vector<std::string> Texts(const ResolvedName& name) {
  std::vector<std::string> texts;
  for (const Address& address : name.addresses) texts.push_back(address.ToString());
  return texts;
}

TEST(IsName, TellsNamesFromAddresses) {
  EXPECT_TRUE(IsName("db.internal:3306"));
  EXPECT_TRUE(IsName("localhost:3306"));
  EXPECT_TRUE(IsName("1a:1"));
  EXPECT_FALSE(IsName("10.1.2.3:3306"));
  EXPECT_FALSE(IsName("[::1]:3306"));
  EXPECT_FALSE(IsName("unix:/run/db.sock"));
}

TEST(TakeLookUp, AnotherOrderIsNoChange) {
  ResolvedName name = {"db:1", Numbers({"10.0.0.1:1", "10.0.0.2:1"})};
  EXPECT_EQ(TakeLookUp(Numbers({"10.0.0.2:1", "10.0.0.1:1", "10.0.0.1:1"}), &name), LookUp::kSame);
  EXPECT_THAT(Texts(name), ElementsAre("10.0.0.1:1", "10.0.0.2:1"));
}

TEST(TakeLookUp, AnotherSetIsTakenInItsOrder) {
  ResolvedName name = {"db:1", Numbers({"10.0.0.1:1"})};
  EXPECT_EQ(TakeLookUp(Numbers({"10.0.0.3:1", "10.0.0.1:1"}), &name), LookUp::kChanged);
  EXPECT_THAT(Texts(name), ElementsAre("10.0.0.3:1", "10.0.0.1:1"));
}

TEST(TakeLookUp, AFailureOrAnEmptyAnswerKeepsTheOldAddresses) {
  ResolvedName name = {"db:1", Numbers({"10.0.0.1:1"})};
  EXPECT_EQ(TakeLookUp(absl::UnavailableError("no"), &name), LookUp::kFailed);
  EXPECT_EQ(TakeLookUp(std::vector<Address>{}, &name), LookUp::kFailed);
  EXPECT_THAT(Texts(name), ElementsAre("10.0.0.1:1"));
}

// A resolver that says what the test wants, and what came of it.
class Desk {
 public:
  Result Resolve(std::string_view text) {
    const std::lock_guard lock(mutex_);
    ++asked_;
    changed_.notify_all();
    EXPECT_EQ(text, "db:1");
    if (answer_.ok()) return answer_;
    // A Status of its own: abseil isn't compiled here, so TSan sees no reference being counted.
    return absl::Status(answer_.status().code(), answer_.status().message());
  }
  void Answer(Result answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  void OnChanged(uint64_t generation, size_t listener, const std::vector<ResolvedName>& names) {
    const std::lock_guard lock(mutex_);
    generation_ = generation;
    listener_ = listener;
    names_ = names;
    ++changes_;
    changed_.notify_all();
  }
  NameWatch MakeWatch() {
    return NameWatch(
        [this](std::string_view text) { return Resolve(text); },
        [this](uint64_t generation, size_t listener, const std::vector<ResolvedName>& names) {
          OnChanged(generation, listener, names);
        });
  }
  bool WaitChanges(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return changes_ >= count; });
  }
  bool WaitAsked(int more) {
    std::unique_lock lock(mutex_);
    const int count = asked_ + more;
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return asked_ >= count; });
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  int changes() {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

  uint64_t generation_ = 0;
  size_t listener_ = 99;
  std::vector<ResolvedName> names_;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Result answer_ = Numbers({"10.0.0.1:1"});
  int asked_ = 0;
  int changes_ = 0;
};

WatchedNames Watched(uint32_t interval_ms) {
  return {{{"10.9.9.9:1", Numbers({"10.9.9.9:1"})}, {"db:1", Numbers({"10.0.0.1:1"})}},
          interval_ms,
          {}};
}

TEST(NameWatch, TellsAChangeWithAllNamesOfTheListenerAndItsGeneration) {
  Desk desk;
  NameWatch watch = desk.MakeWatch();
  const uint64_t generation = watch.Set({Watched(0), Watched(10)});
  ASSERT_TRUE(desk.WaitAsked(1));
  EXPECT_EQ(desk.changes(), 0);
  desk.Answer(Numbers({"10.0.0.2:1", "10.0.0.3:1"}));
  ASSERT_TRUE(desk.WaitChanges(1));
  EXPECT_EQ(desk.generation_, generation);
  EXPECT_EQ(desk.listener_, 1u);
  ASSERT_EQ(desk.names_.size(), 2u);
  EXPECT_THAT(Texts(desk.names_[0]), ElementsAre("10.9.9.9:1"));
  EXPECT_THAT(Texts(desk.names_[1]), ElementsAre("10.0.0.2:1", "10.0.0.3:1"));
}

TEST(NameWatch, AFailingResolverChangesNothingAndIsAskedAgain) {
  Desk desk;
  desk.Answer(absl::UnavailableError("no"));
  NameWatch watch = desk.MakeWatch();
  watch.Set({Watched(10)});
  ASSERT_TRUE(desk.WaitAsked(2));
  EXPECT_EQ(desk.changes(), 0);
  desk.Answer(Numbers({"10.0.0.7:1"}));
  ASSERT_TRUE(desk.WaitChanges(1));
}

TEST(NameWatch, AFailureOfAServerIsAReasonToLook) {
  Desk desk;
  auto state = std::make_shared<ServerState>("10.0.0.1:1");
  WatchedNames watched = Watched(3'600'000);
  watched.states = {state};
  NameWatch watch = desk.MakeWatch();
  watch.Set({watched});
  desk.Answer(Numbers({"10.0.0.2:1"}));
  EXPECT_EQ(desk.asked(), 0);
  state->Failed(1);
  EXPECT_TRUE(desk.WaitChanges(1));
}

TEST(NameWatch, ZeroMeansNeverAndAddressesNeedNoThread) {
  Desk desk;
  NameWatch watch = desk.MakeWatch();
  watch.Set({Watched(0)});
  WatchedNames numbers = Watched(1);
  numbers.names.pop_back();
  watch.Set({numbers});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(desk.asked(), 0);
}

TEST(NameWatch, SetMayBeCalledFromWithinChanged) {
  Desk desk;
  NameWatch* self = nullptr;
  std::atomic<int> changes{0};
  NameWatch watch([&](std::string_view text) { return desk.Resolve(text); },
                  [&](uint64_t, size_t, const std::vector<ResolvedName>& names) {
                    self->Set({{names, 10, {}}});
                    ++changes;
                  });
  self = &watch;
  watch.Set({Watched(10)});
  for (const char* address : {"10.0.0.2:1", "10.0.0.3:1", "10.0.0.2:1"}) {
    const int before = changes;
    desk.Answer(Numbers({address}));
    for (int i = 0; i < 2000 && changes == before; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(changes, before + 1) << address;
  }
}

// getaddrinfo may take half a minute: the end of the process doesn't wait for it.
TEST(NameWatch, ItsEndDoesNotWaitForTheResolver) {
  struct Shared {
    std::atomic<bool> asked{false}, let_go{false}, changed{false}, done{false};
  };
  auto shared = std::make_shared<Shared>();
  {
    NameWatch watch(
        [shared](std::string_view) -> Result {
          shared->asked = true;
          while (!shared->let_go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
          shared->done = true;
          return Numbers({"10.0.0.2:1"});
        },
        [shared](uint64_t, size_t, const std::vector<ResolvedName>&) { shared->changed = true; });
    watch.Set({Watched(10)});
    while (!shared->asked) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  shared->let_go = true;
  while (!shared->done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(shared->changed);
}

}  // namespace
}  // namespace sallyport
