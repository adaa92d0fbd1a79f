#include "proxy/servers/server_state.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "proxy/limits.h"
#include "proxy/servers/server_registry.h"

namespace sallyport {
namespace {

constexpr uint64_t kNow = 5'000'000;

TEST(ServerState, IsUpAtFirst) {
  ServerState state("a:1");
  EXPECT_FALSE(state.down());
  EXPECT_EQ(state.retry_at_ms(), 0u);
  EXPECT_FALSE(state.TryClaim(kNow));
  EXPECT_FALSE(state.Answered());
}

TEST(ServerState, AFailureBeginsAQuarantineAndIsToldOnce) {
  ServerState state("a:1");
  EXPECT_TRUE(state.Failed(kNow));
  EXPECT_TRUE(state.down());
  EXPECT_EQ(state.retry_at_ms(), kNow + kQuarantineMsMin);
  // Others that were under way prolong nothing.
  EXPECT_FALSE(state.Failed(kNow + 500));
  EXPECT_EQ(state.retry_at_ms(), kNow + kQuarantineMsMin);
  EXPECT_EQ(state.failures(), 2u);
}

TEST(ServerState, OneMayTryAfterTheQuarantine) {
  ServerState state("a:1");
  state.Failed(kNow);
  EXPECT_FALSE(state.TryClaim(kNow + kQuarantineMsMin - 1));
  EXPECT_TRUE(state.TryClaim(kNow + kQuarantineMsMin));
  EXPECT_FALSE(state.TryClaim(kNow + kQuarantineMsMin));
}

TEST(ServerState, TheQuarantineDoublesUpToItsLimitAndBeginsAnewAfterAnAnswer) {
  ServerState state("a:1");
  uint64_t now = kNow;
  state.Failed(now);
  uint64_t expected = kQuarantineMsMin;
  for (int round = 0; round < 40; ++round) {
    EXPECT_EQ(state.retry_at_ms() - now, expected) << round;
    now = state.retry_at_ms();
    ASSERT_TRUE(state.TryClaim(now));
    EXPECT_FALSE(state.Failed(now + 3));
    expected = std::min(2 * expected, kQuarantineMsMax);
  }
  EXPECT_EQ(expected, kQuarantineMsMax);
  EXPECT_TRUE(state.Answered());
  EXPECT_FALSE(state.Answered());
  EXPECT_TRUE(state.Failed(now));
  EXPECT_EQ(state.retry_at_ms() - now, kQuarantineMsMin);
}

// A client that leaves in the middle of its attempt must not keep the server out for ever.
TEST(ServerState, AClaimThatComesToNothingLapses) {
  ServerState state("a:1");
  state.Failed(kNow);
  const uint64_t first = state.retry_at_ms();
  ASSERT_TRUE(state.TryClaim(first));
  EXPECT_TRUE(state.TryClaim(first + 2 * kQuarantineMsMin));
}

TEST(ServerState, AConnectionDoesNotOverruleAHealthCheck) {
  ServerState state("a:1");
  EXPECT_TRUE(state.CheckFailed());
  EXPECT_FALSE(state.CheckFailed());
  EXPECT_TRUE(state.down());
  EXPECT_FALSE(state.Failed(kNow)) << "that it is down was told already";
  EXPECT_FALSE(state.TryClaim(kNow + kQuarantineMsMax));
  EXPECT_FALSE(state.Answered());
  EXPECT_TRUE(state.down());
  EXPECT_TRUE(state.CheckPassed());
  EXPECT_FALSE(state.down());
  EXPECT_FALSE(state.CheckPassed());
}

TEST(ServerState, APassedCheckEndsAQuarantine) {
  ServerState state("a:1");
  state.Failed(kNow);
  EXPECT_TRUE(state.CheckPassed());
  EXPECT_FALSE(state.down());
}

TEST(ServerState, WithoutChecksTheirVerdictIsForgottenButNotTheQuarantine) {
  ServerState state("a:1");
  EXPECT_FALSE(state.Unchecked());
  state.CheckFailed();
  EXPECT_TRUE(state.Unchecked());
  EXPECT_FALSE(state.down());
  state.CheckFailed();
  state.Failed(kNow);
  EXPECT_FALSE(state.Unchecked());
  EXPECT_TRUE(state.down());
  EXPECT_TRUE(state.Answered());
}

TEST(ServerState, ConnectTimesFallIntoTheirBuckets) {
  ServerState state("a:1");
  for (const uint64_t ms : {0u, 1u, 2u, 3u, 5000u, 5001u, 70000u}) state.CountConnectTime(ms);
  EXPECT_EQ(state.connect_times(0), 2u);
  EXPECT_EQ(state.connect_times(1), 1u);
  EXPECT_EQ(state.connect_times(2), 1u);
  EXPECT_EQ(state.connect_times(kConnectTimeBuckets.size() - 1), 1u);
  EXPECT_EQ(state.connect_times(kConnectTimeBuckets.size()), 2u);
  EXPECT_EQ(state.connect_ms_sum(), 80007u);
}

// However many threads see the same: one of them is told, and one may claim.
TEST(ServerState, ThreadsAgreeOnWhoTellsAndWhoClaims) {
  for (int round = 0; round < 200; ++round) {
    ServerState state("a:1");
    std::atomic<int> down{0}, claims{0}, back{0};
    const auto on_all = [](const auto& act) {
      std::vector<std::thread> threads;
      for (int i = 0; i < 4; ++i) threads.emplace_back(act);
      for (std::thread& thread : threads) thread.join();
    };
    on_all([&] { down += state.Failed(kNow); });
    on_all([&] { claims += state.TryClaim(kNow + kQuarantineMsMin); });
    on_all([&] { back += state.Answered(); });
    EXPECT_EQ(down, 1);
    EXPECT_EQ(claims, 1);
    EXPECT_EQ(back, 1);
    EXPECT_FALSE(state.down());
  }
}

TEST(ServerRegistry, AServerKeepsItsStateAsLongAsSomebodyHoldsIt) {
  ServerRegistry registry;
  std::shared_ptr<ServerState> first = registry.Get("a:1");
  EXPECT_EQ(registry.Get("a:1"), first);
  EXPECT_NE(registry.Get("b:1"), first);
  first->Failed(kNow);
  EXPECT_TRUE(registry.Get("a:1")->down());
  EXPECT_EQ(registry.All().size(), 1u);
  first.reset();
  EXPECT_TRUE(registry.All().empty());
  EXPECT_FALSE(registry.Get("a:1")->down());
}

}  // namespace
}  // namespace sallyport
