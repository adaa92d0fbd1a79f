#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <set>

#include "tests/ring/ring_test.h"

namespace sallyport {
namespace {

class AcceptTest : public RingTest {};
class ConnectTest : public RingTest {};
INSTANTIATE_ENGINES(AcceptTest);
INSTANTIATE_ENGINES(ConnectTest);

TEST_P(AcceptTest, TakesEveryConnectionOnceThoughTheyAreMoreThanABatch) {
  constexpr size_t kClients = 700;
  Address address;
  const int listener = ListenTcp(&address);
  for (size_t i = 0; i < kClients; ++i) Client(address);
  ring().Accept(listener, AcceptTag(1));
  std::set<int> fds;
  while (fds.size() < kClients) {
    const Seen seen = Next(AcceptTag(1));
    ASSERT_GE(seen.result, 0);
    ASSERT_TRUE(seen.more);
    EXPECT_TRUE(fds.insert(Own(seen.result)).second) << "the same fd twice";
  }
  EXPECT_TRUE(Quiet(20));
}

TEST_P(AcceptTest, GivesNonBlockingCloseOnExecSockets) {
  Address address;
  const int listener = ListenTcp(&address);
  ring().Accept(listener, AcceptTag(1));
  const int client = Client(address);
  const int fd = Own(Next(AcceptTag(1)).result);
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(ring().PeerAddress(fd).ToString(), LocalAddress(client).ToString());
}

TEST_P(AcceptTest, GoesOnForConnectionsThatComeLater) {
  Address address;
  const int listener = ListenTcp(&address);
  ring().Accept(listener, AcceptTag(1));
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(Quiet(1));
    Client(address);
    const Seen seen = Next(AcceptTag(1));
    ASSERT_GE(seen.result, 0);
    EXPECT_TRUE(seen.more);
    Own(seen.result);
  }
}

TEST_P(AcceptTest, EndsOnceWithoutFdsAndGoesOnWhenThereAreSomeAgain) {
  Address address;
  const int listener = ListenTcp(&address);
  constexpr int kClients = 20;
  for (int i = 0; i < kClients; ++i) Client(address);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = dup(listener);
  close(lowest_free);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(lowest_free) + 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);

  int accepted = 0;
  const auto take = [&] {
    for (;;) {
      const Seen seen = Next(AcceptTag(1));
      if (seen.result >= 0) {
        Own(seen.result);
        ++accepted;
      }
      if (!seen.more || accepted == kClients) return seen;
    }
  };
  ring().Accept(listener, AcceptTag(1));
  Seen last = take();
  EXPECT_EQ(last.result, -EMFILE);
  EXPECT_GE(accepted, 1);
  EXPECT_LE(accepted, 3);
  // Nothing spins: one completion, and none until it is armed again, then one again.
  EXPECT_TRUE(Quiet(30));
  const int before_second = accepted;
  ring().Accept(listener, AcceptTag(1));
  last = take();
  EXPECT_EQ(last.result, -EMFILE);
  EXPECT_FALSE(last.more);
  EXPECT_EQ(accepted, before_second);
  EXPECT_TRUE(Quiet(30));

  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ring().Accept(listener, AcceptTag(1));
  take();
  EXPECT_EQ(accepted, kClients);
}

TEST_P(AcceptTest, FailsOnASocketThatDoesNotListen) {
  const int fd = Own(ring().OpenSocket(Loopback()));
  ring().Accept(fd, AcceptTag(1));
  const Seen seen = Next(AcceptTag(1));
  EXPECT_EQ(seen.result, -EINVAL);
  EXPECT_FALSE(seen.more);
}

TEST_P(AcceptTest, InheritsWhatTheListenerWasTuned) {
  Address address;
  const int listener = ListenTcp(&address);
  SocketTuning tuning;
  tuning.keepalive_idle_s = 61;
  tuning.keepalive_interval_s = 7;
  tuning.keepalive_count = 3;
  tuning.user_timeout_ms = 12345;
  tuning.congestion_control = "reno";
  ring().Tune(listener, tuning);
  ring().Accept(listener, AcceptTag(1));
  Client(address);
  int fd = Own(Next(AcceptTag(1)).result);
  const auto option = [&fd](int level, int name) {
    int value = 0;
    socklen_t size = sizeof(value);
    EXPECT_EQ(getsockopt(fd, level, name, &value, &size), 0);
    return value;
  };
  EXPECT_NE(option(IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_NE(option(SOL_SOCKET, SO_KEEPALIVE), 0);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 61);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 7);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 3);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
  char name[16] = "";
  socklen_t size = sizeof(name);
  EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
  EXPECT_STREQ(name, "reno");
  // And what it was tuned to next.
  ring().Tune(listener, SocketTuning{});
  Client(address);
  fd = Own(Next(AcceptTag(1)).result);
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 0);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
}

TEST_P(ConnectTest, Succeeds) {
  Address address;
  const int listener = ListenTcp(&address);
  const int fd = Own(ring().OpenSocket(address));
  ring().Connect(fd, &address, ConnectTag(1));
  const Seen seen = Next(ConnectTag(1));
  EXPECT_EQ(seen.result, 0);
  EXPECT_FALSE(seen.more);
  const int peer = Own(accept4(listener, nullptr, nullptr, 0));
  // The socket is of use: in both directions, and without another Connect's help.
  ring().Recv(fd, RecvTag(1));
  PeerSend(peer, "greeting");
  EXPECT_EQ(Next(RecvTag(1)).bytes, "greeting");
  char byte = 'x';
  const iovec part{&byte, 1};
  EXPECT_EQ(ring().SendNow(fd, {&part, 1}), 1);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(ConnectTest, IsRefused) {
  Address address;
  const int listener = ListenTcp(&address);
  Close(listener);
  const int fd = Own(ring().OpenSocket(address));
  ring().Connect(fd, &address, ConnectTag(1));
  EXPECT_EQ(Next(ConnectTag(1)).result, -ECONNREFUSED);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(ConnectTest, IsUnreachable) {
  // The broadcast address: the kernel itself refuses, no packet leaves.
  sockaddr_in nobody{};
  nobody.sin_family = AF_INET;
  nobody.sin_addr.s_addr = INADDR_BROADCAST;
  nobody.sin_port = htons(3306);
  const Address address(reinterpret_cast<const sockaddr*>(&nobody), sizeof(nobody));
  const int fd = Own(ring().OpenSocket(address));
  ring().Connect(fd, &address, ConnectTag(1));
  EXPECT_EQ(Next(ConnectTag(1)).result, -ENETUNREACH);
}

TEST_P(ConnectTest, ReachesAUnixSocket) {
  const Address address = (*ResolveAddress("unix:@sallyport_ring_test"))[0];
  const int listener = Own(Listen(address, 10).value());
  ring().Accept(listener, AcceptTag(1));
  const int fd = Own(ring().OpenSocket(address));
  ring().Connect(fd, &address, ConnectTag(2));
  EXPECT_EQ(Next(ConnectTag(2)).result, 0);
  const int accepted = Own(Next(AcceptTag(1)).result);
  ring().Tune(accepted, SocketTuning{.keepalive_idle_s = 10});  // Ignored.
  EXPECT_EQ(ring().PeerAddress(accepted).ToString(), "unix:");
  ring().Recv(accepted, RecvTag(1));
  PeerSend(fd, "hello");
  EXPECT_EQ(Next(RecvTag(1)).bytes, "hello");
}

TEST_P(ConnectTest, FailsOnAUnixSocketNobodyListensOn) {
  const Address address = (*ResolveAddress("unix:/nonexistent/mysqld.sock"))[0];
  const int fd = Own(ring().OpenSocket(address));
  ring().Connect(fd, &address, ConnectTag(1));
  EXPECT_EQ(Next(ConnectTag(1)).result, -ENOENT);
}

TEST_P(ConnectTest, FailsOnAUnixSocketWithAFullBacklog) {
  const Address address = (*ResolveAddress("unix:@sallyport_ring_test"))[0];
  Own(Listen(address, 0).value());
  const int first = Own(ring().OpenSocket(address));
  ring().Connect(first, &address, ConnectTag(1));
  EXPECT_EQ(Next(ConnectTag(1)).result, 0);
  const int second = Own(ring().OpenSocket(address));
  ring().Connect(second, &address, ConnectTag(2));
  EXPECT_EQ(Next(ConnectTag(2)).result, -EAGAIN);
}

TEST_P(ConnectTest, ManyAtOnceBothEndsInOneRing) {
  constexpr uint32_t kConnections = 400;
  Address address;
  const int listener = ListenTcp(&address);
  ring().Accept(listener, AcceptTag(0));
  for (uint32_t i = 0; i < kConnections; ++i) {
    ring().Connect(Own(ring().OpenSocket(address)), &address, ConnectTag(i));
  }
  for (uint32_t i = 0; i < kConnections; ++i) EXPECT_EQ(Next(ConnectTag(i)).result, 0);
  for (uint32_t i = 0; i < kConnections; ++i) Own(Next(AcceptTag(0)).result);
  EXPECT_TRUE(Quiet(20));
}

}  // namespace
}  // namespace sallyport
