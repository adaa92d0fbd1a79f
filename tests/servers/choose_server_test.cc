#include "proxy/servers/choose_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <vector>

#include "proxy/limits.h"

namespace sallyport {
namespace {

constexpr uint64_t kNow = 5'000'000;
constexpr Balance kBalances[] = {Balance::kFirstAvailable, Balance::kRoundRobin,
                                 Balance::kLeastConnections};

// What a server can be at kNow.
enum class Kind { kUp, kQuarantined, kDue, kUnhealthy };

ServerAddress Make(Kind kind, uint32_t open = 0) {
  ServerAddress server;
  server.text = "server";
  server.state = std::make_shared<ServerState>(server.text);
  for (uint32_t i = 0; i < open; ++i) server.state->Open();
  if (kind == Kind::kQuarantined) server.state->Failed(kNow - 1);
  if (kind == Kind::kDue) server.state->Failed(kNow - kQuarantineMsMin);
  if (kind == Kind::kUnhealthy) server.state->CheckFailed();
  return server;
}

std::vector<ServerAddress> MakeAll(const std::vector<Kind>& kinds,
                                   const std::vector<uint32_t>& open = {}) {
  std::vector<ServerAddress> servers;
  for (size_t i = 0; i < kinds.size(); ++i) {
    servers.push_back(Make(kinds[i], open.empty() ? 0 : open[i]));
  }
  return servers;
}

bool IsUsable(Kind kind) { return kind == Kind::kUp || kind == Kind::kDue; }

// Calls act(kinds) with every list of 1 to 4 kinds.
template <typename Act>
void ForEachMix(const Act& act) {
  for (size_t size = 1; size <= 4; ++size) {
    for (size_t number = 0; number < size_t{1} << (2 * size); ++number) {
      std::vector<Kind> kinds;
      for (size_t i = 0; i < size; ++i) kinds.push_back(static_cast<Kind>(number >> (2 * i) & 3));
      act(kinds);
    }
  }
}

TEST(ChooseServer, WhoIsUpOrDueGoesBeforeWhoIsNotUnderEveryPolicy) {
  for (const Balance balance : kBalances) {
    ForEachMix([balance](const std::vector<Kind>& kinds) {
      for (uint32_t turn = 0; turn < 5; ++turn) {
        const std::vector<ServerAddress> servers = MakeAll(kinds);
        const size_t place = ChooseServer(balance, servers, {}, turn, kNow);
        ASSERT_LT(place, servers.size());
        const bool any = std::any_of(kinds.begin(), kinds.end(), IsUsable);
        EXPECT_EQ(IsUsable(kinds[place]), any);
      }
    });
  }
}

TEST(ChooseServer, EachIsTriedOnceAndThenThereIsNone) {
  for (const Balance balance : kBalances) {
    ForEachMix([balance](const std::vector<Kind>& kinds) {
      const std::vector<ServerAddress> servers = MakeAll(kinds);
      std::vector<uint16_t> tried;
      bool out = false;
      for (size_t i = 0; i < servers.size(); ++i) {
        const size_t place = ChooseServer(balance, servers, tried, 3, kNow);
        ASSERT_LT(place, servers.size());
        EXPECT_EQ(std::count(tried.begin(), tried.end(), place), 0);
        EXPECT_FALSE(out && IsUsable(kinds[place])) << "those that are out come last";
        out = out || !IsUsable(kinds[place]);
        tried.push_back(static_cast<uint16_t>(place));
      }
      EXPECT_EQ(ChooseServer(balance, servers, tried, 3, kNow), kNoServer);
    });
  }
}

TEST(ChooseServer, FirstAvailableIsTheFirst) {
  ForEachMix([](const std::vector<Kind>& kinds) {
    const auto first = std::find_if(kinds.begin(), kinds.end(), IsUsable);
    if (first == kinds.end()) return;
    for (uint32_t turn = 0; turn < 5; ++turn) {
      const std::vector<ServerAddress> servers = MakeAll(kinds, {9, 0, 3, 0});
      EXPECT_EQ(ChooseServer(Balance::kFirstAvailable, servers, {}, turn, kNow),
                static_cast<size_t>(first - kinds.begin()));
    }
  });
}

TEST(ChooseServer, RoundRobinGivesAllThatAreUpTheSame) {
  ForEachMix([](const std::vector<Kind>& kinds) {
    const auto up = static_cast<size_t>(std::count(kinds.begin(), kinds.end(), Kind::kUp));
    // A claimed one is up for one connection only.
    if (up == 0 || std::count(kinds.begin(), kinds.end(), Kind::kDue) > 0) return;
    const std::vector<ServerAddress> servers = MakeAll(kinds);
    std::map<size_t, size_t> counts;
    for (uint32_t turn = 0; turn < 10 * up; ++turn) {
      ++counts[ChooseServer(Balance::kRoundRobin, servers, {}, turn, kNow)];
    }
    EXPECT_EQ(counts.size(), up);
    for (const auto& [place, count] : counts) EXPECT_EQ(count, 10u) << place;
  });
}

// The counter goes round after 4,294,967,295 connections.
TEST(ChooseServer, RoundRobinGoesOnBehindTheLargestTurn) {
  const std::vector<ServerAddress> servers = MakeAll(std::vector<Kind>(3, Kind::kUp));
  EXPECT_LT(ChooseServer(Balance::kRoundRobin, servers, {}, UINT32_MAX, kNow), 3u);
  EXPECT_EQ(ChooseServer(Balance::kRoundRobin, servers, {}, 0, kNow), 0u);
}

TEST(ChooseServer, LeastConnectionsTakesTheFewestAmongThoseThatAreUp) {
  for (uint32_t turn = 0; turn < 6; ++turn) {
    const std::vector<Kind> kinds = {Kind::kUp, Kind::kUnhealthy, Kind::kUp, Kind::kQuarantined};
    EXPECT_EQ(
        ChooseServer(Balance::kLeastConnections, MakeAll(kinds, {3, 0, 2, 1}), {}, turn, kNow), 2u);
  }
}

TEST(ChooseServer, LeastConnectionsTakesEqualsInTurn) {
  const std::vector<ServerAddress> servers = MakeAll(std::vector<Kind>(4, Kind::kUp), {1, 0, 1, 0});
  EXPECT_EQ(ChooseServer(Balance::kLeastConnections, servers, {}, 6, kNow), 1u);
  EXPECT_EQ(ChooseServer(Balance::kLeastConnections, servers, {}, 7, kNow), 3u);
}

// As the connections come, each counted where it went: never more than one apart.
TEST(ChooseServer, LeastConnectionsStaysLevel) {
  const std::vector<ServerAddress> servers = MakeAll(std::vector<Kind>(3, Kind::kUp), {5, 0, 2});
  for (uint32_t turn = 0; turn < 8; ++turn) {
    const size_t place = ChooseServer(Balance::kLeastConnections, servers, {}, turn, kNow);
    EXPECT_NE(place, 0u);
    servers[place].state->Open();
  }
  for (const ServerAddress& server : servers) EXPECT_EQ(server.state->open(), 5u);
}

TEST(ChooseServer, OneConnectionTriesAServerWhoseQuarantineIsOver) {
  for (const Balance balance : kBalances) {
    const std::vector<ServerAddress> servers = MakeAll({Kind::kDue, Kind::kUp}, {0, 5});
    size_t claims = 0;
    for (uint32_t turn = 0; turn < 20; ++turn) {
      claims += ChooseServer(balance, servers, {}, turn, kNow) == 0;
    }
    EXPECT_EQ(claims, 1u);
    EXPECT_GT(servers[0].state->retry_at_ms(), kNow);
  }
}

TEST(ChooseServer, OfThoseThatAreOutTheSoonestBackGoesFirstAndTheUnhealthyLast) {
  std::vector<ServerAddress> servers = MakeAll({Kind::kUnhealthy, Kind::kUp, Kind::kUp});
  servers[1].state->Failed(kNow - 10);
  servers[2].state->Failed(kNow - 20);
  for (const Balance balance : kBalances) {
    EXPECT_EQ(ChooseServer(balance, servers, {}, 0, kNow), 2u);
    const uint16_t tried[] = {2, 1};
    EXPECT_EQ(ChooseServer(balance, servers, std::span(tried).first(1), 0, kNow), 1u);
    EXPECT_EQ(ChooseServer(balance, servers, tried, 0, kNow), 0u);
  }
}

TEST(ChooseServer, ADrainedServerIsNeverChosen) {
  const std::atomic<bool> drain{true};
  std::vector<ServerAddress> servers = MakeAll({Kind::kUp, Kind::kQuarantined});
  servers[0].drain = &drain;
  for (const Balance balance : kBalances) {
    EXPECT_EQ(ChooseServer(balance, servers, {}, 0, kNow), 1u);
    const uint16_t tried[] = {1};
    EXPECT_EQ(ChooseServer(balance, servers, tried, 0, kNow), kNoServer);
  }
}

TEST(ChooseServer, TryingOneThatIsOutClaimsNothing) {
  const std::vector<ServerAddress> servers = MakeAll({Kind::kQuarantined});
  const uint64_t before = servers[0].state->retry_at_ms();
  EXPECT_EQ(ChooseServer(Balance::kFirstAvailable, servers, {}, 0, kNow), 0u);
  EXPECT_EQ(servers[0].state->retry_at_ms(), before);
}

}  // namespace
}  // namespace sallyport
