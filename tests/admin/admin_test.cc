// What an operator's tools read, over a real socket.
#include "proxy/admin/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "proxy/config/version.h"
#include "tests/admin/http_client.h"

namespace sallyport {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class AdminTest : public testing::Test {
 protected:
  AdminTest() : admin_(*Admin::Start("127.0.0.1:0", {{&workers_[0], &workers_[1]}, "epoll"})) {
    address_ = ResolveAddress(admin_->address())->front();
  }

  // The value of a metric without labels, -1 where there is none.
  double Scrape(const std::string& name) {
    const std::string body = BodyOf(Ask(address_, "GET", "/metrics"));
    const size_t at = body.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(body.substr(at + name.size() + 2));
  }

  Stats workers_[2];
  std::unique_ptr<Admin> admin_;
  Address address_;
};

TEST_F(AdminTest, TellsItsRealPort) {
  EXPECT_THAT(admin_->address(), MatchesRegex("127.0.0.1:[1-9][0-9]*"));
}

TEST_F(AdminTest, IsHealthyUntilItStops) {
  std::string reply = Ask(address_, "GET", "/healthz");
  EXPECT_EQ(StatusOf(reply), 200);
  EXPECT_EQ(BodyOf(reply), "ok");
  admin_->SetStopping();
  reply = Ask(address_, "GET", "/healthz");
  EXPECT_EQ(StatusOf(reply), 503);
  EXPECT_EQ(BodyOf(reply), "stopping");
  EXPECT_EQ(StatusOf(Ask(address_, "GET", "/metrics")), 200);  // The end is worth a look too.
}

TEST_F(AdminTest, SumsTheWorkers) {
  workers_[0].throwaway_logins.Add(3);
  workers_[1].throwaway_logins.Add(4);
  workers_[0].connections_open.Add(5);
  workers_[0].connections_open.Subtract(2);
  EXPECT_EQ(Scrape("sallyport_throwaway_logins_total"), 7);
  EXPECT_EQ(Scrape("sallyport_connections_open"), 3);
  EXPECT_EQ(Scrape("sallyport_workers"), 2);
  workers_[1].throwaway_logins.Add();
  EXPECT_EQ(Scrape("sallyport_throwaway_logins_total"), 8);
}

TEST_F(AdminTest, SaysWhatRunsAndSinceWhen) {
  const std::string reply = Ask(address_, "GET", "/metrics");
  EXPECT_THAT(reply, HasSubstr("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(BodyOf(reply), StartsWith("# HELP "));
  EXPECT_THAT(BodyOf(reply),
              HasSubstr("\nsallyport_build_info{version=\"" + std::string(kVersion) + "\","));
  EXPECT_THAT(BodyOf(reply), HasSubstr("io_engine=\"epoll\"} 1\n"));
  const double now = static_cast<double>(time(nullptr));
  EXPECT_NEAR(Scrape("process_start_time_seconds"), now, 60);
}

// Under --config=tsan this is the test that scrapes and workers meet in the counters without a
// race.
TEST_F(AdminTest, IsReadWhileWorkersCount) {
  std::atomic<bool> done{false};
  const auto count = [&](Stats* stats) {
    while (!done) {
      stats->connections_accepted.Add();
      stats->bytes_received.At(Side::kClient, Way::kTls).Add(1000);
      stats->loop_lag.Observe(100);
    }
  };
  std::thread first(count, &workers_[0]), second(count, &workers_[1]);
  double last = 0;
  for (int i = 0; i < 50; ++i) {
    const double accepted = Scrape("sallyport_connections_accepted_total");
    EXPECT_GE(accepted, last);
    last = accepted;
  }
  done = true;
  first.join();
  second.join();
  EXPECT_EQ(Scrape("sallyport_connections_accepted_total"),
            static_cast<double>(workers_[0].connections_accepted.value() +
                                workers_[1].connections_accepted.value()));
}

TEST_F(AdminTest, KnowsTwoPathsAndTwoMethods) {
  for (const char* path :
       {"/", "/health", "/healthz/", "/metrics/x", "//metrics", "/HEALTHZ", "*"}) {
    EXPECT_EQ(StatusOf(Ask(address_, "GET", path)), 404) << path;
  }
  EXPECT_EQ(StatusOf(Ask(address_, "GET", "/metrics?name=x")), 200);
  for (const char* path : {"/healthz", "/metrics"}) {
    EXPECT_EQ(StatusOf(Ask(address_, "HEAD", path)), 200);
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "BREW"}) {
      const std::string reply = Ask(address_, method, path);
      EXPECT_EQ(StatusOf(reply), 405) << method;
      EXPECT_THAT(reply, HasSubstr("\r\nAllow: GET, HEAD\r\n"));
    }
  }
  HttpClient poster(address_);
  poster.Send("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\nbody");
  EXPECT_EQ(StatusOf(poster.ReadAll()), 405);
}

TEST_F(AdminTest, StopsTwiceAndIsGone) {
  admin_->Stop();
  EXPECT_FALSE(HttpClient(address_).connected());
  admin_->Stop();
}

TEST_F(AdminTest, AColonAndAPortIsAllInterfaces) {
  const auto all = Admin::Start(":0", {});
  ASSERT_TRUE(all.ok()) << all.status();
  const std::string address = (*all)->address();
  const std::string port = address.substr(address.rfind(':'));
  EXPECT_EQ(BodyOf(Ask(ResolveAddress("127.0.0.1" + port)->front(), "GET", "/healthz")), "ok");
  if (address.starts_with("[")) {
    EXPECT_EQ(BodyOf(Ask(ResolveAddress("[::1]" + port)->front(), "GET", "/healthz")), "ok");
  }
}

TEST_F(AdminTest, RefusesWhatItCannotListenOn) {
  EXPECT_EQ(Admin::Start("unix:/tmp/admin", {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Admin::Start("nonsense", {}).status().code(), absl::StatusCode::kInvalidArgument);
  const absl::Status taken = Admin::Start(admin_->address(), {}).status();
  EXPECT_EQ(taken.message(), admin_->address() + ": Address already in use");
}

}  // namespace
}  // namespace sallyport
