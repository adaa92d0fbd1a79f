// What an operator's tools read, over a real socket.
#include "proxy/admin/admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proxy/config/version.h"
#include "tests/admin/http_client.h"

namespace sallyport {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class AdminTest : public testing::Test {
 protected:
  AdminTest() : admin_(*Admin::Start("127.0.0.1:0", Source())) {
    address_ = ResolveAddress(admin_->address())->front();
  }

  // Two workers, one session (id 7) and one server.
  AdminSource Source() {
    AdminSource source{{&workers_[0], &workers_[1]}, "epoll", {}, {}, {}, {}};
    source.list_sessions = [this](uint64_t after, uint32_t count_max) {
      asked_ = {after, count_max};
      SessionInfo session;
      session.id = 7;
      session.client = "10.0.0.1:99";
      return SessionList{{session}, std::nullopt, 0};
    };
    source.close_session = [this](uint64_t id) {
      closed_.push_back(id);
      return id == 7   ? CloseOutcome::kClosed
             : id == 8 ? CloseOutcome::kNoAnswer
                       : CloseOutcome::kNoSuchSession;
    };
    source.drain_server = [this](std::string_view server, bool drained) {
      if (server != "127.0.0.1:3306") return false;
      drained_ = drained;
      return true;
    };
    source.listeners = [this] {
      ListenerFacts facts;
      facts.servers.push_back({"127.0.0.1:3306", drained_});
      return std::vector<ListenerFacts>{facts};
    };
    return source;
  }

  // A request with headers of its own, each with its line's end.
  std::string Request(const std::string& line, const std::string& headers) {
    HttpClient client(address_);
    client.Send(line + " HTTP/1.1\r\n" + headers + "\r\n");
    return client.ReadAll();
  }
  std::string Post(const std::string& path) {
    return Request("POST " + path, "Host: localhost\r\nX-Sallyport: 1\r\n");
  }

  // The value of a metric without labels, -1 where there is none.
  double Scrape(const std::string& name) {
    const std::string body = BodyOf(Ask(address_, "GET", "/metrics"));
    const size_t at = body.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(body.substr(at + name.size() + 2));
  }

  Stats workers_[2];
  std::atomic<bool> drained_{false};
  std::vector<uint64_t> closed_;
  std::pair<uint64_t, uint32_t> asked_;
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

TEST_F(AdminTest, KnowsItsPathsAndTheirMethods) {
  for (const char* path : {"/health", "/healthz/", "/metrics/x", "//metrics", "/HEALTHZ", "*",
                           "/status.html", "/sessions", "/../status.js"}) {
    EXPECT_EQ(StatusOf(Ask(address_, "GET", path)), 404) << path;
  }
  EXPECT_EQ(StatusOf(Ask(address_, "GET", "/metrics?name=x")), 200);
  for (const char* path : {"/healthz", "/metrics", "/readyz"}) {
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

TEST_F(AdminTest, IsReadyWhileAServerIsInUse) {
  EXPECT_EQ(BodyOf(Ask(address_, "GET", "/readyz")), "ok");
  drained_ = true;
  std::string reply = Ask(address_, "GET", "/readyz");
  EXPECT_EQ(StatusOf(reply), 503);
  EXPECT_EQ(BodyOf(reply), "drained");
  EXPECT_EQ(StatusOf(Ask(address_, "GET", "/healthz")), 200);  // No reason to be restarted.
  drained_ = false;
  admin_->SetStopping();
  EXPECT_EQ(StatusOf(Ask(address_, "GET", "/readyz")), 503);
}

TEST_F(AdminTest, ListsSessions) {
  const std::string reply = Request("GET /sessions.json", "Host: 127.0.0.1:6034\r\n");
  EXPECT_EQ(StatusOf(reply), 200);
  EXPECT_THAT(reply, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(BodyOf(reply), HasSubstr("\"id\":\"7\""));
  EXPECT_EQ(asked_, std::pair(uint64_t{0}, 100u));
  Request("GET /sessions.json?limit=1000&after=18446744073709551615", "Host: localhost\r\n");
  EXPECT_EQ(asked_, std::pair(UINT64_MAX, 1000u));
  for (const char* query : {"limit=0", "limit=1001", "limit=x", "limit=", "limit=-1", "limit=1%20",
                            "after=x", "after=18446744073709551616", "after=", "after=1.5"}) {
    EXPECT_EQ(StatusOf(Request(std::string("GET /sessions.json?") + query, "Host: localhost\r\n")),
              400)
        << query;
  }
}

TEST_F(AdminTest, ClosesASession) {
  EXPECT_EQ(StatusOf(Post("/sessions/close?id=7")), 200);
  EXPECT_EQ(StatusOf(Post("/sessions/close?id=8")), 503);
  EXPECT_EQ(StatusOf(Post("/sessions/close?id=9")), 404);
  EXPECT_EQ(StatusOf(Post("/sessions/close")), 400);
  EXPECT_EQ(StatusOf(Post("/sessions/close?id=")), 400);
  EXPECT_EQ(StatusOf(Post("/sessions/close?id=7x")), 400);
  EXPECT_EQ(closed_, (std::vector<uint64_t>{7, 8, 9}));
}

TEST_F(AdminTest, DrainsAServerAndUsesItAgain) {
  EXPECT_EQ(StatusOf(Post("/servers/drain?server=127.0.0.1:3306")), 200);
  EXPECT_TRUE(drained_);
  EXPECT_EQ(StatusOf(Post("/servers/undrain?server=127.0.0.1%3A3306")), 200);
  EXPECT_FALSE(drained_);
  EXPECT_EQ(StatusOf(Post("/servers/drain?server=nobody:1")), 404);
  EXPECT_EQ(StatusOf(Post("/servers/drain")), 400);
}

TEST_F(AdminTest, ChangesNothingForAPageOfOthers) {
  const std::string path = "/sessions/close?id=7";
  const std::string good = "Host: localhost\r\nX-Sallyport: 1\r\n";
  for (const std::string& headers :
       {std::string("Host: localhost\r\n"), good + "Origin: http://evil.example\r\n",
        good + "Origin: null\r\n", good + "Sec-Fetch-Site: cross-site\r\n"}) {
    EXPECT_EQ(StatusOf(Request("POST " + path, headers)), 403) << headers;
  }
  EXPECT_EQ(StatusOf(Request("POST " + path, "Host: evil.example\r\nX-Sallyport: 1\r\n")), 421);
  EXPECT_EQ(StatusOf(Request("GET " + path, good)), 405);  // No link does it.
  EXPECT_EQ(StatusOf(Request("OPTIONS " + path, good + "Origin: http://evil.example\r\n")), 405);
  EXPECT_TRUE(closed_.empty());
}

TEST_F(AdminTest, ShowsSessionsOnlyUnderNamesThatNobodyElseOwns) {
  for (const char* path : {"/", "/status.js", "/status.json", "/sessions.json"}) {
    EXPECT_EQ(StatusOf(Request(std::string("GET ") + path, "Host: evil.example:6034\r\n")), 421);
    EXPECT_EQ(StatusOf(Request(std::string("GET ") + path, "Host: [::1]:6034\r\n")), 200);
  }
  EXPECT_EQ(StatusOf(Request("GET /metrics", "Host: proxy.example:6034\r\n")), 200);
}

TEST_F(AdminTest, ServesThePageUnderAStrictPolicy) {
  const std::string page = Request("GET /", "Host: localhost\r\n");
  EXPECT_THAT(page, HasSubstr("\r\nContent-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(page,
              HasSubstr("\r\nContent-Security-Policy: default-src 'none'; script-src 'self';"));
  EXPECT_THAT(page, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(page, testing::Not(HasSubstr("unsafe")));
  EXPECT_THAT(BodyOf(page), StartsWith("<!doctype html>"));
  EXPECT_THAT(Request("GET /status.js", "Host: localhost\r\n"),
              HasSubstr("\r\nContent-Type: text/javascript; charset=utf-8\r\n"));
  EXPECT_THAT(Request("GET /status.css", "Host: localhost\r\n"),
              HasSubstr("\r\nContent-Type: text/css; charset=utf-8\r\n"));
}

TEST_F(AdminTest, CountsClientsForThePageNowAndThen) {
  const std::string reply = Request("GET /status.json", "Host: localhost\r\n");
  EXPECT_THAT(BodyOf(reply), HasSubstr("\"client\":\"10.0.0.1\""));
  asked_ = {};
  Request("GET /status.json", "Host: localhost\r\n");
  EXPECT_EQ(asked_, (std::pair<uint64_t, uint32_t>()));  // Workers were not asked again.
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
