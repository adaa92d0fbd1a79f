#include "proxy/servers/health_watch.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/session/packets.h"

namespace sallyport {
namespace {

using tests::AuthSwitch;
using tests::Err;
using tests::Packet;

// A server whose connections are served by `behave`, one at a time.
class Server {
 public:
  explicit Server(std::function<void(int fd)> behave) : behave_(std::move(behave)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&any), sizeof(any)), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    socklen_t size = sizeof(bound_);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&bound_), &size);
    thread_ = std::thread([this] { Run(); });
  }
  ~Server() {
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  Address address() const {
    return Address(reinterpret_cast<const sockaddr*>(&bound_), sizeof(bound_));
  }
  int served() const { return served_; }

 private:
  void Run() {
    while (!stopping_) {
      const int fd = accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      behave_(fd);
      close(fd);
      ++served_;
    }
  }

  const std::function<void(int fd)> behave_;
  int listener_;
  sockaddr_in bound_{};
  std::atomic<bool> stopping_{false};
  std::atomic<int> served_{0};
  std::thread thread_;
};

void Say(int fd, const std::string& bytes) {
  EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
}

// One packet's payload, or nothing at the end of the stream.
std::string Hear(int fd) {
  uint8_t header[4];
  if (recv(fd, header, sizeof(header), MSG_WAITALL) != 4) return "";
  std::string payload(header[0] | header[1] << 8 | header[2] << 16, '\0');
  if (!payload.empty()) recv(fd, payload.data(), payload.size(), MSG_WAITALL);
  return payload;
}

std::string Greeting() { return Packet(0, tests::Greeting().payload()); }

// Runs checks until one has changed nothing more; the verdict.
HealthCheck::Result Check(const std::function<void(int fd)>& behave, std::string* why,
                          int proxy_protocol = 0) {
  Server server(behave);
  HealthCheck check(server.address(), proxy_protocol);
  std::vector<uint8_t> room(kReceiveBytesMax);
  Outboxes outboxes;
  for (;;) {
    pollfd poll_fd = {check.fd(), check.events(), 0};
    EXPECT_EQ(poll(&poll_fd, 1, 5000), 1);
    const HealthCheck::Result result = check.Step(room, &outboxes);
    *why = check.why();
    if (result != HealthCheck::Result::kRunning) return result;
  }
}

// mysqld counts a handshake that was broken off: the log-in has to be whole.
TEST(HealthCheck, PassesWhereALogInIsRefused) {
  std::string login, after = "?", why;
  EXPECT_EQ(Check(
                [&](int fd) {
                  Say(fd, Greeting());
                  login = Hear(fd);
                  Say(fd, Packet(2, Err(1045)));
                  after = Hear(fd);
                },
                &why),
            HealthCheck::Result::kPassed);
  EXPECT_GT(login.size(), 32u);
  EXPECT_EQ(after, "");
}

TEST(HealthCheck, AnswersAnAuthSwitchRequest) {
  std::string answer = "?", why;
  EXPECT_EQ(Check(
                [&](int fd) {
                  Say(fd, Greeting());
                  Hear(fd);
                  Say(fd, Packet(2, AuthSwitch(tests::kNative, tests::kSwitchNonce)));
                  answer = Hear(fd);
                  Say(fd, Packet(4, Err(1045)));
                },
                &why),
            HealthCheck::Result::kPassed);
  EXPECT_EQ(answer, "");
}

// A server that wants a PROXY header says nothing before it.
TEST(HealthCheck, SendsAProxyHeaderFirst) {
  const std::string header = "PROXY UNKNOWN\r\n";
  std::string sent(header.size(), '\0'), why;
  EXPECT_EQ(Check(
                [&](int fd) {
                  recv(fd, sent.data(), sent.size(), MSG_WAITALL);
                  Say(fd, Greeting());
                  Hear(fd);
                  Say(fd, Packet(2, Err(1045)));
                },
                &why, 1),
            HealthCheck::Result::kPassed);
  EXPECT_EQ(sent, header);
}

TEST(HealthCheck, AFullServerIsAlive) {
  std::string why;
  EXPECT_EQ(Check([](int fd) { Say(fd, Packet(0, Err(1040, "Too many connections"))); }, &why),
            HealthCheck::Result::kPassed);
}

TEST(HealthCheck, ABlockedHostIsNot) {
  std::string why;
  EXPECT_EQ(Check([](int fd) { Say(fd, Packet(0, Err(1129, "Host is blocked"))); }, &why),
            HealthCheck::Result::kFailed);
  EXPECT_NE(why.find("1129"), std::string::npos) << why;
}

TEST(HealthCheck, FailsWhereTheServerGoesInTheMiddle) {
  std::string why;
  EXPECT_EQ(Check([](int) {}, &why), HealthCheck::Result::kFailed);
  EXPECT_EQ(Check(
                [](int fd) {
                  Say(fd, Greeting());
                  Hear(fd);
                },
                &why),
            HealthCheck::Result::kFailed);
  EXPECT_NE(why.find("closed"), std::string::npos) << why;
}

TEST(HealthCheck, FailsWhereSomethingElseListens) {
  std::string why;
  EXPECT_EQ(Check([](int fd) { Say(fd, Packet(0, "SSH-2.0-OpenSSH_9.2p1\r\n")); }, &why),
            HealthCheck::Result::kFailed);
  EXPECT_NE(why.find("no greeting"), std::string::npos) << why;
}

bool Becomes(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(HealthWatch, FindsServersThatHangRefuseAndRecover) {
  std::atomic<bool> hangs{true};
  Server server([&](int fd) {
    if (!hangs) {
      Say(fd, Greeting());
      Hear(fd);
      Say(fd, Packet(2, Err(1045)));
    }
    Hear(fd);
  });
  auto hanging = std::make_shared<ServerState>("hanging");
  auto refusing = std::make_shared<ServerState>("refusing");
  Address nobody;
  {
    Server gone([](int) {});
    nobody = gone.address();
  }
  HealthWatch watch;
  watch.Set({{server.address(), hanging, 20, 200}, {nobody, refusing, 20, 200}});
  EXPECT_TRUE(Becomes([&] { return hanging->down() && refusing->down(); }));
  hangs = false;
  EXPECT_TRUE(Becomes([&] { return !hanging->down(); }));
  EXPECT_TRUE(refusing->down());
  const int served = server.served();
  EXPECT_TRUE(Becomes([&] { return server.served() > served + 3; })) << "again and again";
  hangs = true;
  EXPECT_TRUE(Becomes([&] { return hanging->down(); }));
  // Whoever is not checked any more is taken at his word.
  watch.Set({});
  EXPECT_TRUE(Becomes([&] { return !hanging->down() && !refusing->down(); }));
}

// Without an interval: until the greeting is known, and no further.
TEST(HealthWatch, LearnsAGreetingAndLeavesItAtThat) {
  std::atomic<bool> hangs{true};
  Server server([&](int fd) {
    if (hangs) return;
    Say(fd, Greeting());
    Hear(fd);
    Say(fd, Packet(2, Err(1045)));
    Hear(fd);
  });
  auto state = std::make_shared<ServerState>("a");
  HealthWatch watch;
  watch.Set({{server.address(), state, 0, 200}});
  EXPECT_TRUE(Becomes([&] { return state->down(); }));
  EXPECT_FALSE(state->greeting().known());
  hangs = false;
  EXPECT_TRUE(Becomes([&] { return state->greeting().known() && !state->down(); }));
  ASSERT_NE(state->greeting().traits(), nullptr);
  EXPECT_EQ(state->greeting().traits()->server_version, "9.7.4-test");
  EXPECT_EQ(state->greeting().traits()->auth_plugin_name, tests::kCachingSha2);
  EXPECT_TRUE(Becomes([&] { return server.served() >= 2; }));
  const int served = server.served();
  watch.Set({{server.address(), state, 0, 200}});  // A reload is no reason to ask again.
  std::this_thread::sleep_for(std::chrono::milliseconds(1'200));
  EXPECT_EQ(server.served(), served);
}

TEST(HealthWatch, EndsWithACheckUnderWay) {
  Server server([](int fd) { Hear(fd); });
  auto state = std::make_shared<ServerState>("a");
  {
    HealthWatch watch;
    watch.Set({{server.address(), state, 20, 60'000}});
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_FALSE(state->down());
}

}  // namespace
}  // namespace sallyport
