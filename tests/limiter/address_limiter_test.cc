#include "proxy/limiter/address_limiter.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace sallyport {
namespace {

using Answer = AddressLimiter::Answer;

constexpr size_t kPlaces = 1024;
constexpr uint64_t kSeed = 7;
constexpr uint64_t kStart = 1'000'000;

AddressKey Key(std::string_view address, uint32_t listener = 0) {
  return AddressKey(ParseIpAddress(address).value(), listener);
}

AddressKey Numbered(uint32_t number) {
  const std::array<uint8_t, 4> bytes = {10, static_cast<uint8_t>(number >> 16),
                                        static_cast<uint8_t>(number >> 8),
                                        static_cast<uint8_t>(number)};
  return AddressKey(IpAddress::FromV4(bytes), 0);
}

class AddressLimiterTest : public testing::Test {
 protected:
  Answer Admit(std::string_view address, uint32_t listener = 0) {
    return limiter_.Admit(Key(address, listener), limits_, now_).answer;
  }
  bool Fail(std::string_view address) {
    return limiter_.CountLoginFailure(Key(address), limits_, now_);
  }

  AddressLimiter limiter_{kPlaces, kSeed};
  AddressLimits limits_;
  uint64_t now_ = kStart;
};

TEST_F(AddressLimiterTest, WithoutLimitsAllAreWelcome) {
  EXPECT_FALSE(limits_.any());
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
}

TEST_F(AddressLimiterTest, OpenConnectionsAreLimitedUntilOneLeaves) {
  limits_.connections = 2;
  EXPECT_TRUE(limits_.any());
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kTooMany);
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kTooMany);
  limiter_.Leave(Key("192.0.2.1"));
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kTooMany);
}

TEST_F(AddressLimiterTest, AddressesAndListenersAreApart) {
  limits_.connections = 1;
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  EXPECT_EQ(Admit("192.0.2.2"), Answer::kWelcome);
  EXPECT_EQ(Admit("192.0.2.1", 1), Answer::kWelcome);
  EXPECT_EQ(Admit("192.0.2.1", 1), Answer::kTooMany);
  EXPECT_EQ(Admit("::ffff:192.0.2.1"), Answer::kTooMany);
}

TEST_F(AddressLimiterTest, AnIpv6NetworkOf64BitsIsOne) {
  limits_.connections = 1;
  EXPECT_EQ(Admit("2001:db8:0:1::1"), Answer::kWelcome);
  EXPECT_EQ(Admit("2001:db8:0:1:ffff::2"), Answer::kTooMany);
  EXPECT_EQ(Admit("2001:db8:0:2::1"), Answer::kWelcome);
  EXPECT_NE(Key("::"), Key("0.0.0.0"));
}

TEST_F(AddressLimiterTest, ASecondsWorthComesAtOnceThenEachInItsTime) {
  limits_.connections_per_second = 4;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome) << i;
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kTooFast);
  now_ += 249;
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kTooFast);
  now_ += 1;
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kTooFast);
  now_ += 10'000;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome) << i;
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kTooFast);
}

TEST_F(AddressLimiterTest, HighAndLowRatesHold) {
  for (const uint32_t rate : {1u, 3u, 1000u, 100'000u}) {
    AddressLimiter limiter(kPlaces, kSeed);
    limits_.connections_per_second = rate;
    uint32_t welcome = 0;
    // Ten seconds, asked too often.
    for (uint64_t ms = 0; ms < 10'000; ++ms) {
      for (uint32_t i = 0; i < rate / 500 + 1; ++i) {
        const auto admission = limiter.Admit(Key("192.0.2.1"), limits_, kStart + ms);
        welcome += admission.answer == Answer::kWelcome ? 1 : 0;
      }
    }
    EXPECT_GE(welcome, 10 * rate) << rate;
    EXPECT_LE(welcome, 11 * rate + 1) << rate;
  }
}

TEST_F(AddressLimiterTest, HandshakesAreLimitedAtTheDoorAndLater) {
  limits_.handshakes_per_second = 2;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(limiter_.MayHandshake(Key("192.0.2.1"), limits_, now_));
    limiter_.CountHandshake(Key("192.0.2.1"), limits_, now_);
  }
  EXPECT_FALSE(limiter_.MayHandshake(Key("192.0.2.1"), limits_, now_));
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kTooManyHandshakes);
  now_ += 500;
  EXPECT_TRUE(limiter_.MayHandshake(Key("192.0.2.1"), limits_, now_));
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
}

TEST_F(AddressLimiterTest, FailuresBlockForAWhile) {
  limits_.login_failures = 3;
  limits_.block_ms = 1000;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  EXPECT_FALSE(Fail("192.0.2.1"));
  EXPECT_FALSE(Fail("192.0.2.1"));
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  EXPECT_TRUE(Fail("192.0.2.1"));
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kBlocked);
  EXPECT_EQ(Admit("192.0.2.2"), Answer::kWelcome);
  now_ += 999;
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kBlocked);
  now_ += 1;
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  EXPECT_FALSE(Fail("192.0.2.1"));  // It begins anew.
}

TEST_F(AddressLimiterTest, OldFailuresAreForgotten) {
  limits_.login_failures = 2;
  limits_.block_ms = 1000;
  EXPECT_EQ(Admit("192.0.2.1"), Answer::kWelcome);
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(Fail("192.0.2.1"));
    now_ += 1000;
  }
}

TEST_F(AddressLimiterTest, AFullTableForgetsWhoeverIsForgottenFirst) {
  constexpr size_t kWays = AddressLimiter::kWays;
  AddressLimiter limiter(kWays, kSeed);  // All are in one set.
  limits_.login_failures = 1;
  limits_.connections_per_second = 1;
  limits_.block_ms = 60'000;
  const auto admit = [&](uint32_t number) {
    return limiter.Admit(Numbered(number), limits_, now_);
  };
  // One is blocked, one stays open, and the others come and go.
  EXPECT_TRUE(admit(0).counted);
  EXPECT_TRUE(limiter.CountLoginFailure(Numbered(0), limits_, now_));
  limiter.Leave(Numbered(0));
  EXPECT_TRUE(admit(1).counted);
  for (uint32_t number = 2; number < 1000; ++number) {
    ++now_;
    EXPECT_TRUE(admit(number).counted);
    limiter.Leave(Numbered(number));
  }
  EXPECT_EQ(admit(0).answer, Answer::kBlocked);
  limiter.Leave(Numbered(1));  // It is still known.
}

TEST_F(AddressLimiterTest, WithNoPlaceLeftOthersComeInUncounted) {
  AddressLimiter limiter(AddressLimiter::kWays, kSeed);
  limits_.connections = 1;
  for (uint32_t number = 0; number < AddressLimiter::kWays; ++number) {
    EXPECT_TRUE(limiter.Admit(Numbered(number), limits_, now_).counted);
  }
  const AddressLimiter::Admission admission = limiter.Admit(Numbered(100), limits_, now_);
  EXPECT_EQ(admission.answer, Answer::kWelcome);
  EXPECT_FALSE(admission.counted);
  EXPECT_EQ(limiter.Admit(Numbered(3), limits_, now_).answer, Answer::kTooMany);
  limiter.Leave(Numbered(3));
  EXPECT_TRUE(limiter.Admit(Numbered(100), limits_, now_).counted);
}

TEST_F(AddressLimiterTest, ThreadsCountTogether) {
  limits_.connections = 100;
  std::vector<std::thread> threads;
  std::atomic<int> welcome = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k) {
        const auto admission = limiter_.Admit(Key("192.0.2.1"), limits_, now_);
        if (admission.answer == Answer::kWelcome) ++welcome;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(welcome, 100);
}

}  // namespace
}  // namespace sallyport
