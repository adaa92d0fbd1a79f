// The HTTP server under clients that mean no good.
#include "proxy/admin/http_server.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/admin/http_client.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

std::unique_ptr<HttpServer> StartEcho(const HttpLimits& limits = {},
                                      const std::string& address = "127.0.0.1:0") {
  auto server = HttpServer::Start(
      *ResolveAddress(address),
      [](const HttpRequest& request) {
        if (request.path == "/large") return HttpReply{.body = std::string(20'000'000, 'x')};
        std::string body = std::string(request.method) + " " + std::string(request.path);
        for (const auto& told : {request.Argument("a"), request.Header("X-Told")}) {
          if (told.has_value()) body += " " + std::string(*told);
        }
        return HttpReply{.body = body, .headers = {{"X-Answer", "42"}}};
      },
      limits);
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

int CountFds() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

TEST(HttpServer, AnswersAndCloses) {
  const auto server = StartEcho();
  const std::string reply = Ask(server->address(), "GET", "/a/b?query=1");
  EXPECT_EQ(StatusOf(reply), 200);
  EXPECT_EQ(BodyOf(reply), "GET /a/b");
  EXPECT_THAT(reply, HasSubstr("\r\nContent-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(reply, HasSubstr("\r\nContent-Length: 8\r\n"));
  EXPECT_THAT(reply, HasSubstr("\r\nConnection: close\r\n"));
}

TEST(HttpServer, HandsOnArgumentsAndHeaders) {
  const auto server = StartEcho();
  HttpClient client(server->address());
  client.Send("POST /x?b=1&a=%3Ctwo+words%3E HTTP/1.1\r\nHost: a\r\nx-told: this\r\n\r\n");
  const std::string reply = client.ReadAll();
  EXPECT_EQ(BodyOf(reply), "POST /x <two words> this");
  EXPECT_THAT(reply, HasSubstr("\r\nX-Answer: 42\r\n"));
}

TEST(HttpServer, SendsNoBodyForHead) {
  const auto server = StartEcho();
  const std::string reply = Ask(server->address(), "HEAD", "/");
  EXPECT_EQ(StatusOf(reply), 200);
  EXPECT_EQ(BodyOf(reply), "");
  EXPECT_THAT(reply, HasSubstr("\r\nContent-Length: 6\r\n"));
}

TEST(HttpServer, ReadsARequestByteByByte) {
  const auto server = StartEcho();
  HttpClient client(server->address());
  for (const char c : std::string("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")) {
    ASSERT_TRUE(client.Send(std::string_view(&c, 1)));
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(BodyOf(client.ReadAll()), "GET /slow");
}

TEST(HttpServer, ServesBothFamilies) {
  EXPECT_EQ(BodyOf(Ask(StartEcho({}, "127.0.0.1:0")->address(), "GET", "/")), "GET /");
  const absl::StatusOr<std::unique_ptr<HttpServer>> v6 = HttpServer::Start(
      *ResolveAddress("[::1]:0"), [](const auto&) { return HttpReply{.body = "v6"}; });
  if (!v6.ok()) GTEST_SKIP() << "no IPv6 here: " << v6.status();
  EXPECT_EQ(BodyOf(Ask((*v6)->address(), "GET", "/")), "v6");
  EXPECT_THAT((*v6)->address().ToString(), HasSubstr("[::1]:"));
}

TEST(HttpServer, SaysWhyItDoesNotStart) {
  const auto first = StartEcho();
  const int fds = CountFds();
  const absl::Status status =
      HttpServer::Start({first->address()}, [](const auto&) { return HttpReply{}; }).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), first->address().ToString() + ": Address already in use");
  // An address of the documentation's network (RFC 5737): no machine has it.
  const absl::Status foreign = HttpServer::Start(*ResolveAddress("192.0.2.1:0"), [](const auto&) {
                                 return HttpReply{};
                               }).status();
  EXPECT_EQ(foreign.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(foreign.message(), "192.0.2.1:0: Cannot assign requested address");
  EXPECT_EQ(CountFds(), fds);
}

TEST(HttpServer, GoesOnToTheNextAddressWhereThisMachineLacksOne) {
  std::vector<Address> addresses = *ResolveAddress("192.0.2.1:0");
  addresses.push_back(ResolveAddress("127.0.0.1:0")->front());
  const auto server =
      HttpServer::Start(addresses, [](const auto&) { return HttpReply{.body = "here"}; });
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(BodyOf(Ask((*server)->address(), "GET", "/")), "here");
}

TEST(HttpServer, RefusesWhatIsNotARequest) {
  const auto server = StartEcho();
  const std::string nonsense[] = {
      "\r\n\r\n\r\n\r\nnonsense\r\n\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),  // TLS.
      "GET / HTTP/9.9\r\n\r\n",
      "GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(100'000, 'a') + "\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
  };
  for (const std::string& request : nonsense) {
    HttpClient client(server->address());
    client.Send(request);
    const std::string reply = client.ReadAll();
    EXPECT_TRUE(reply.empty() || StatusOf(reply) >= 400) << reply.substr(0, 200);
  }
  EXPECT_EQ(BodyOf(Ask(server->address(), "GET", "/still")), "GET /still");
}

TEST(HttpServer, DropsAClientThatDripsItsRequest) {
  const auto server = StartEcho({.connection_time_max = milliseconds(300)});
  HttpClient client(server->address());
  const steady_clock::time_point start = steady_clock::now();
  client.Send("GET / HTTP/1.1\r\n");
  while (client.Send("X: y\r\n") && steady_clock::now() - start < std::chrono::seconds(10)) {
    std::this_thread::sleep_for(milliseconds(20));  // Never quiet for long.
  }
  const auto lasted = steady_clock::now() - start;
  EXPECT_GE(lasted, milliseconds(300));
  EXPECT_LT(lasted, std::chrono::seconds(3));
}

TEST(HttpServer, DropsAClientThatNeverReads) {
  const auto server = StartEcho({.connections_max = 1, .connection_time_max = milliseconds(300)});
  HttpClient sleeper(server->address());
  sleeper.Send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  std::this_thread::sleep_for(milliseconds(50));
  // Its place is the only one; whoever comes next gets it when the time is over.
  EXPECT_EQ(BodyOf(Ask(server->address(), "GET", "/next")), "GET /next");
}

TEST(HttpServer, HoldsNoMoreConnectionsThanItMay) {
  const auto server = StartEcho({.connections_max = 4, .connection_time_max = milliseconds(500)});
  const int fds = CountFds();
  std::vector<std::unique_ptr<HttpClient>> idlers;
  for (int i = 0; i < 40; ++i) {
    idlers.push_back(std::make_unique<HttpClient>(server->address()));
    EXPECT_TRUE(idlers.back()->connected());  // In the backlog, at no cost to the process.
  }
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_LE(CountFds() - fds, 40 + 4);
}

TEST(HttpServer, ComesThroughAStormOfConnections) {
  const auto server = StartEcho({.connections_max = 8, .connection_time_max = milliseconds(200)});
  std::vector<std::thread> storm;
  for (int i = 0; i < 4; ++i) {
    storm.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) {
        HttpClient client(server->address());
        if ((k + i) % 3 == 0) client.Send("GET / HT");
        if ((k + i) % 3 == 1) client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      }
    });
  }
  for (std::thread& thread : storm) thread.join();
  EXPECT_EQ(BodyOf(Ask(server->address(), "GET", "/after")), "GET /after");
}

TEST(HttpServer, StopsAtOnceWithConnectionsOpen) {
  const int fds = CountFds();
  {
    const auto server = StartEcho();
    HttpClient half(server->address()), idle(server->address()), unread(server->address());
    half.Send("GET / HT");
    unread.Send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(50));
    const steady_clock::time_point start = steady_clock::now();
    server->Stop();
    EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(2));
    bool closed = false;
    idle.ReadAll(&closed);
    EXPECT_TRUE(closed);
    EXPECT_FALSE(HttpClient(server->address()).connected());
    server->Stop();  // Nothing.
  }
  EXPECT_EQ(CountFds(), fds);
}

}  // namespace
}  // namespace sallyport
