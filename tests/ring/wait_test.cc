#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <set>

#include "tests/ring/ring_test.h"

namespace sallyport {
namespace {

class WaitTest : public RingTest {
 protected:
  static uint64_t ClockMs() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
  }
};
class LifetimeTest : public RingTest {};
INSTANTIATE_ENGINES(WaitTest);
INSTANTIATE_ENGINES(LifetimeTest);

TEST_P(WaitTest, TellsTheTime) {
  EXPECT_GE(ClockMs(), ring().now_ms());
  EXPECT_LE(ClockMs() - ring().now_ms(), 1000u);
  usleep(20'000);
  const uint64_t before = ring().now_ms();
  ring().Wait(0);
  EXPECT_GE(ring().now_ms(), before + 20);
}

TEST_P(WaitTest, KeepsTheDeadline) {
  for (const uint64_t ms : {1, 7, 50}) {
    const uint64_t begin = ClockMs();
    const uint64_t deadline = begin + ms;
    // It may come back early, as the kernel interrupts a thread whose last io_uring was just
    // closed.
    int waits = 0;
    while (ring().now_ms() < deadline) {
      EXPECT_TRUE(ring().Wait(deadline).empty());
      ASSERT_LT(++waits, 5);
    }
    EXPECT_GE(ClockMs(), deadline);
    EXPECT_LT(ClockMs(), deadline + 500);
  }
}

TEST_P(WaitTest, WithADeadlineInThePastOnlyLooks) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  const uint64_t begin = ClockMs();
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(ring().Wait(0).empty());
  EXPECT_LT(ClockMs() - begin, 1000u);
  PeerSend(pair.peer, "x");
  usleep(1000);
  EXPECT_EQ(ring().Wait(0).size(), 1u);
}

TEST_P(WaitTest, CostsNoProcessorTimeWhileNothingHappens) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  const clock_t before = clock();
  EXPECT_TRUE(Quiet(300));
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 20);
}

TEST_P(WaitTest, ReturnsAfterASignal) {
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
  const Pair pair = TcpPair();
  for (int i = 0; i < 3; ++i) {
    // With something to submit, and without.
    if (i == 1) ring().Recv(pair.ours, RecvTag(1));
    const itimerval timer{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 20'000}};
    ASSERT_EQ(setitimer(ITIMER_REAL, &timer, nullptr), 0);
    const uint64_t begin = ClockMs();
    EXPECT_TRUE(ring().Wait(begin + 3000).empty());
    EXPECT_LT(ClockMs() - begin, 2000u);
  }
  ASSERT_EQ(sigaction(SIGALRM, &before, nullptr), 0);
}

TEST_P(WaitTest, TenThousandOpsInOneTurn) {
  // Far more than a submission queue holds, and than a completion queue holds.
  constexpr uint32_t kOps = 10'000;
  const int fd = Own(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  const std::string bytes = Pattern(100'000);
  PeerSend(pair.peer, bytes);
  for (uint32_t i = 0; i < kOps; ++i) ring().Poll(fd, POLLIN, PollTag(i));
  std::vector<int> completions(kOps);
  std::string received;
  for (uint32_t count = 0; count < kOps || received.size() < bytes.size();) {
    ASSERT_GT(Turn(5000), 0u);
    for (const Seen& seen : seen()) {
      received += seen.bytes;
      if (seen.tag == RecvTag(1) && !seen.more) ring().Recv(pair.ours, RecvTag(1));
      if (seen.tag.verb != Verb::kPoll) continue;
      EXPECT_EQ(seen.result, POLLIN);
      EXPECT_FALSE(seen.more);
      ++completions[seen.tag.slot];
      ++count;
    }
    seen().clear();
  }
  for (const int count : completions) ASSERT_EQ(count, 1);
  EXPECT_TRUE(received == bytes);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(WaitTest, TenThousandOpsAndAsManyCancels) {
  constexpr uint32_t kOps = 10'000;
  const int fd = Own(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  for (uint32_t i = 0; i < kOps; ++i) ring().Poll(fd, POLLIN, PollTag(i));
  for (uint32_t i = 0; i < kOps; ++i) ring().Cancel(PollTag(i));
  std::vector<int> completions(kOps);
  for (uint32_t count = 0; count < kOps;) {
    ASSERT_GT(Turn(5000), 0u);
    for (const Seen& seen : seen()) {
      EXPECT_EQ(seen.result, -ECANCELED);
      ++completions[seen.tag.slot];
      ++count;
    }
    seen().clear();
  }
  for (const int count : completions) ASSERT_EQ(count, 1);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(LifetimeTest, AnFdIsUsedAgainAndTheOldTagIsSilent) {
  int reused = 0;
  for (uint16_t generation = 0; generation < 100; ++generation) {
    const Pair pair = TcpPair();
    ring().Recv(pair.ours, RecvTag(1, generation));
    PeerSend(pair.peer, Pattern(100, generation));
    EXPECT_EQ(Next(RecvTag(1, generation)).bytes, Pattern(100, generation));
    // Bytes that arrive after the cancel belong to nobody.
    ring().Cancel(RecvTag(1, generation));
    PeerSend(pair.peer, "late");
    Last(RecvTag(1, generation));
    Close(pair.ours);
    Close(pair.peer);
    const Pair next = TcpPair();
    if (next.ours == pair.ours) ++reused;
    PeerSend(next.peer, "next");
    ring().Recv(next.ours, RecvTag(2, generation));
    EXPECT_EQ(Next(RecvTag(2, generation)).bytes, "next");
    ring().Cancel(RecvTag(2, generation));
    EXPECT_EQ(Last(RecvTag(2, generation)).result, -ECANCELED);
    EXPECT_TRUE(seen().empty());
    Close(next.ours);
    Close(next.peer);
  }
  EXPECT_GT(reused, 50);
}

TEST_P(LifetimeTest, AnFdThatWasPolledIsUsedAgain) {
  for (int i = 0; i < 20; ++i) {
    const Pair pair = UnixPair();
    ring().Poll(pair.ours, POLLIN, PollTag(1));
    PeerSend(pair.peer, "x");
    EXPECT_EQ(Next(PollTag(1)).result, POLLIN);
    Close(pair.ours);
    Close(pair.peer);
    // A connection that is accepted gets the lowest number, the one just closed.
    Address address;
    const int listener = ListenTcp(&address);
    ring().Accept(listener, AcceptTag(1));
    const int client = Client(address);
    const int fd = Next(AcceptTag(1)).result;
    ring().Recv(fd, RecvTag(1));
    PeerSend(client, "y");
    EXPECT_EQ(Next(RecvTag(1)).bytes, "y");
    ring().Cancel(RecvTag(1));
    ring().Cancel(AcceptTag(1));
    EXPECT_EQ(Last(RecvTag(1)).result, -ECANCELED);
    EXPECT_EQ(Last(AcceptTag(1)).result, -ECANCELED);
    Close(fd);
    Close(client);
    Close(listener);
  }
}

TEST_P(LifetimeTest, TheDestructorEndsWhatIsInFlightAndClosesWhatNobodyGot) {
  Address address;
  const int listener = ListenTcp(&address);
  std::vector<int> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(Client(address));
  ring().Accept(listener, AcceptTag(1));
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  PeerFill(pair.peer);
  const int event = Own(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  for (uint32_t i = 0; i < 1000; ++i) ring().Poll(event, POLLIN, PollTag(i));
  // One batch, which holds less than all; what is in it is ours. TearDown counts the rest.
  Turn(1000);
  for (const Seen& seen : seen()) {
    if (seen.tag == AcceptTag(1)) Own(seen.result);
  }
  DestroyRing();
  // Nothing reads or accepts any more.
  close(Client(address));
  std::erase_if(seen(), [](const Seen&) { return true; });
  usleep(1000);
  const int queued = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  EXPECT_GE(queued, 0) << "the connection was taken by a ring that is gone";
  close(queued);
}

TEST_P(LifetimeTest, TheDestructorFreesThePortAtOnce) {
  for (int i = 0; i < 10; ++i) {
    std::unique_ptr<Ring> other = MakeRing();
    ASSERT_TRUE(other->Start().ok());
    const int listener = Listen(Loopback(), 10).value();
    const Address address = LocalAddress(listener);
    other->Accept(listener, AcceptTag(1));
    other->Wait(0);
    other.reset();
    close(listener);
    // Without SO_REUSEPORT: the port must be free.
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(fd, address.get(), address.size()), 0) << strerror(errno);
    close(fd);
  }
}

TEST_P(LifetimeTest, RingsComeAndGo) {
  for (int i = 0; i < 50; ++i) {
    const std::unique_ptr<Ring> other = MakeRing();
    if (i % 5 == 0) continue;  // One that never started goes too.
    ASSERT_TRUE(other->Start().ok());
  }
}

TEST_P(LifetimeTest, MisuseStopsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(ring().RecvNow(0, {}), "RecvNow into an empty room");
  EXPECT_DEATH(ring().Close(12345, false), "Close of an fd that is not open");
}

}  // namespace
}  // namespace sallyport
