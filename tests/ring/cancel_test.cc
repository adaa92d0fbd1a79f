#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/ring/ring_test.h"

namespace sallyport {
namespace {

class CancelTest : public RingTest {
 protected:
  // A connection that stays in progress: the listener's backlog is full, and the kernel drops its
  // SYN.
  int ConnectThatHangs(Address* address, OpTag tag) {
    ListenTcp(address, 0);
    Client(*address);
    const int fd = Own(ring().OpenSocket(*address));
    ring().Connect(fd, address, tag);
    return fd;
  }
};
INSTANTIATE_ENGINES(CancelTest);

TEST_P(CancelTest, EndsARecvThatWaits) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  ring().Cancel(RecvTag(1));
  const Seen seen = Next(RecvTag(1));
  EXPECT_EQ(seen.result, -ECANCELED);
  EXPECT_FALSE(seen.more);
  PeerSend(pair.peer, "nobody listens");
  EXPECT_TRUE(Quiet(20));
}

TEST_P(CancelTest, EndsARecvThatWasArmedAMomentAgo) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  ring().Cancel(RecvTag(1));
  EXPECT_EQ(Next(RecvTag(1)).result, -ECANCELED);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(CancelTest, NeverCompletesBeforeTheNextWait) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  PeerSend(pair.peer, "x");
  const std::span<const Completion> batch = ring().Wait(ring().now_ms() + 1000);
  ASSERT_EQ(batch.size(), 1u);
  ring().Cancel(RecvTag(1));
  EXPECT_EQ(batch[0].result, 1);
  EXPECT_EQ(batch[0].data[0], 'x');
  EXPECT_EQ(Next(RecvTag(1)).result, -ECANCELED);
}

TEST_P(CancelTest, LosesNoByteThatWasPending) {
  // Whatever wins, each byte comes once: with the op, or to whoever reads next.
  for (int i = 0; i < 100; ++i) {
    const Pair pair = i % 2 == 0 ? TcpPair() : UnixPair();
    ring().Recv(pair.ours, RecvTag(1));
    if (i % 3 == 0) Turn(0);
    const std::string bytes = Pattern(static_cast<size_t>(i) * 500 + 1);
    PeerSend(pair.peer, bytes);
    if (i % 5 == 0) Turn(0);
    ring().Cancel(RecvTag(1));
    const Seen last = Last(RecvTag(1));
    EXPECT_TRUE(last.result == -ECANCELED || last.result == -ENOBUFS) << last.result;
    std::string received = last.bytes;
    if (i % 2 == 0) {
      while (received.size() < bytes.size()) {
        std::vector<uint8_t> room(100'000);
        const int32_t result = ring().RecvNow(pair.ours, room);
        ASSERT_GT(result, 0);
        received.append(room.begin(), room.begin() + result);
      }
    } else if (received.size() < bytes.size()) {
      ring().Recv(pair.ours, RecvTag(2));
      while (received.size() < bytes.size()) received += Next(RecvTag(2)).bytes;
      ring().Cancel(RecvTag(2));
      EXPECT_EQ(Last(RecvTag(2)).result, -ECANCELED);
    }
    ASSERT_TRUE(received == bytes);
    Close(pair.ours);
    Close(pair.peer);
  }
}

TEST_P(CancelTest, TwiceIsOnce) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  ring().Cancel(RecvTag(1));
  ring().Cancel(RecvTag(1));
  EXPECT_EQ(Next(RecvTag(1)).result, -ECANCELED);
  EXPECT_TRUE(Quiet(20));
  ring().Cancel(RecvTag(1));
  EXPECT_TRUE(Quiet(20));
}

TEST_P(CancelTest, OfAnUnknownOpDoesNothing) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  ring().Cancel(RecvTag(1, /*generation=*/7));
  ring().Cancel(RecvTag(2));
  ring().Cancel(PollTag(1));
  EXPECT_TRUE(Quiet(20));
  PeerSend(pair.peer, "alive");
  EXPECT_EQ(Next(RecvTag(1)).bytes, "alive");
}

TEST_P(CancelTest, OfAnOpWhoseEndIsAlreadyInTheBatchDoesNothing) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  shutdown(pair.peer, SHUT_WR);
  while (Turn(1000) == 0) {
  }
  ring().Cancel(RecvTag(1));
  EXPECT_EQ(Next(RecvTag(1)).result, 0);
  // The tag is free again, and the old Cancel must not hit the new op.
  const Pair other = TcpPair();
  ring().Recv(other.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(20));
  PeerSend(other.peer, "new");
  EXPECT_EQ(Next(RecvTag(1)).bytes, "new");
}

TEST_P(CancelTest, ThenArmAgain) {
  const Pair pair = TcpPair();
  std::string received;
  for (int i = 0; i < 200; ++i) {
    ring().Recv(pair.ours, RecvTag(1));
    PeerSend(pair.peer, "0123456789");
    if (i % 2 == 0) Turn(10);
    ring().Cancel(RecvTag(1));
    const Seen last = Last(RecvTag(1));
    ASSERT_EQ(last.result, -ECANCELED);
    received += last.bytes;
  }
  ring().Recv(pair.ours, RecvTag(1));
  while (received.size() < 2000) received += Next(RecvTag(1)).bytes;
  std::string expected;
  for (int i = 0; i < 200; ++i) expected += "0123456789";
  EXPECT_TRUE(received == expected);
}

TEST_P(CancelTest, EndsAnAccept) {
  Address address;
  const int listener = ListenTcp(&address);
  ring().Accept(listener, AcceptTag(1));
  EXPECT_TRUE(Quiet(5));
  ring().Cancel(AcceptTag(1));
  EXPECT_EQ(Next(AcceptTag(1)).result, -ECANCELED);
  Client(address);
  EXPECT_TRUE(Quiet(20));
  // Again, and what came meanwhile was not lost.
  ring().Accept(listener, AcceptTag(1));
  Own(Next(AcceptTag(1)).result);
}

TEST_P(CancelTest, EndsAConnect) {
  Address address;
  const int fd = ConnectThatHangs(&address, ConnectTag(1));
  EXPECT_TRUE(Quiet(20));
  ring().Cancel(ConnectTag(1));
  EXPECT_EQ(Next(ConnectTag(1)).result, -ECANCELED);
  Close(fd);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(CancelTest, EndsAPoll) {
  const int fd = Own(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  ring().Poll(fd, POLLIN, PollTag(1));
  EXPECT_TRUE(Quiet(5));
  ring().Cancel(PollTag(1));
  EXPECT_EQ(Next(PollTag(1)).result, -ECANCELED);
  ASSERT_EQ(eventfd_write(fd, 1), 0);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(CancelTest, EndsAPollForRoomToWrite) {
  const Pair pair = TcpPair();
  PeerFill(pair.ours);
  ring().Poll(pair.ours, POLLOUT, PollTag(1));
  EXPECT_TRUE(Quiet(5));
  ring().Cancel(PollTag(1));
  const Seen seen = Next(PollTag(1));
  EXPECT_EQ(seen.result, -ECANCELED);
  EXPECT_FALSE(seen.more);
  PeerDrain(pair.peer);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(CancelTest, HitsOneOfSeveralOpsOnTheSameFd) {
  const Pair pair = TcpPair();
  PeerFill(pair.ours);
  ring().Recv(pair.ours, RecvTag(1));
  ring().Poll(pair.ours, POLLOUT, PollTag(1));
  EXPECT_TRUE(Quiet(5));
  ring().Cancel(RecvTag(1));
  EXPECT_EQ(Next(RecvTag(1)).result, -ECANCELED);
  EXPECT_TRUE(Quiet(5));
  PeerDrain(pair.peer);
  EXPECT_EQ(Next(PollTag(1)).result, POLLOUT);
}

}  // namespace
}  // namespace sallyport
