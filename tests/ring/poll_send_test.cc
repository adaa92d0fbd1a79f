#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/ring/ring_test.h"

namespace sallyport {
namespace {

class PollTest : public RingTest {};
class SendTest : public RingTest {
 protected:
  int32_t Send(int fd, std::string_view bytes) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return ring().SendNow(fd, {&part, 1});
  }
};
INSTANTIATE_ENGINES(PollTest);
INSTANTIATE_ENGINES(SendTest);

TEST_P(PollTest, CompletesOnceForWhatIsThereAlready) {
  const Pair pair = TcpPair();
  PeerSend(pair.peer, "x");
  usleep(1000);
  ring().Poll(pair.ours, POLLIN, PollTag(1));
  ring().Poll(pair.ours, POLLOUT, PollTag(2));
  Seen seen = Next(PollTag(1));
  EXPECT_EQ(seen.result, POLLIN);
  EXPECT_FALSE(seen.more);
  seen = Next(PollTag(2));
  EXPECT_EQ(seen.result, POLLOUT);
  EXPECT_FALSE(seen.more);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(PollTest, CompletesForWhatComes) {
  const Pair pair = UnixPair();
  for (int i = 0; i < 20; ++i) {
    ring().Poll(pair.ours, POLLIN, PollTag(1));
    ASSERT_TRUE(Quiet(2));
    PeerSend(pair.peer, "x");
    ASSERT_EQ(Next(PollTag(1)).result, POLLIN);
    // Taken by somebody who is not the ring, as splice(2) would.
    ASSERT_EQ(PeerDrain(pair.ours), 1u);
  }
}

TEST_P(PollTest, ComesAgainWhileBytesRemain) {
  const Pair pair = UnixPair();
  PeerSend(pair.peer, "xyz");
  for (int i = 0; i < 5; ++i) {
    ring().Poll(pair.ours, POLLIN, PollTag(1));
    EXPECT_EQ(Next(PollTag(1)).result, POLLIN);
  }
}

TEST_P(PollTest, TellsThatThePeerIsGone) {
  const Pair pair = UnixPair();
  ring().Poll(pair.ours, POLLIN, PollTag(1));
  EXPECT_TRUE(Quiet(5));
  Close(pair.peer);
  const Seen seen = Next(PollTag(1));
  EXPECT_NE(seen.result & POLLHUP, 0);
}

TEST_P(PollTest, TellsAReset) {
  const Pair pair = TcpPair();
  PeerFill(pair.ours);
  ring().Poll(pair.ours, POLLOUT, PollTag(1));
  EXPECT_TRUE(Quiet(5));
  Close(pair.peer, /*reset=*/true);
  const Seen seen = Next(PollTag(1));
  EXPECT_NE(seen.result & (POLLERR | POLLHUP), 0);
  EXPECT_EQ(ring().SendNow(pair.ours, {}), -ECONNRESET);
}

TEST_P(PollTest, ForErrorsAloneTellsThemAndNothingElse) {
  for (const bool fin_first : {false, true}) {
    const Pair pair = TcpPair();
    if (fin_first) shutdown(pair.peer, SHUT_WR);
    PeerSend(pair.ours, "unread, so that closing is a reset");
    usleep(1000);
    ring().Poll(pair.ours, 0, PollTag(1));
    EXPECT_TRUE(Quiet(20));
    if (!fin_first) PeerSend(pair.peer, "unread, too");
    EXPECT_TRUE(Quiet(20));
    Close(pair.peer);
    const Seen seen = Next(PollTag(1));
    EXPECT_NE(seen.result & POLLERR, 0);
    EXPECT_EQ(seen.result & (POLLIN | POLLOUT | POLLRDHUP), 0);
    EXPECT_FALSE(seen.more);
    EXPECT_TRUE(Quiet(20));
  }
  const Pair pair = TcpPair();
  ring().Poll(pair.ours, 0, PollTag(1));
  EXPECT_TRUE(Quiet(5));
  ring().Cancel(PollTag(1));
  EXPECT_EQ(Next(PollTag(1)).result, -ECANCELED);
}

TEST_P(PollTest, OfSeveralEventsTakesTheFirst) {
  const Pair pair = TcpPair();
  PeerFill(pair.ours);
  ring().Poll(pair.ours, POLLIN | POLLOUT, PollTag(1));
  EXPECT_TRUE(Quiet(5));
  PeerSend(pair.peer, "x");
  EXPECT_EQ(Next(PollTag(1)).result, POLLIN);
}

// The kernel's poll reports such a peer's FIN whatever is asked, and would do so again and again.
TEST_P(PollTest, OfAFullSocketIsNotAnsweredByThePeersFin) {
  for (const bool fin_first : {false, true}) {
    const Pair pair = TcpPair();
    PeerFill(pair.ours);
    if (fin_first) shutdown(pair.peer, SHUT_WR);
    usleep(1000);
    ring().Poll(pair.ours, POLLOUT, PollTag(1));
    EXPECT_TRUE(Quiet(20));
    if (!fin_first) shutdown(pair.peer, SHUT_WR);
    EXPECT_TRUE(Quiet(50));
    PeerDrain(pair.peer);
    const Seen seen = Next(PollTag(1));
    EXPECT_EQ(seen.result, POLLOUT);
    EXPECT_FALSE(seen.more);
    EXPECT_TRUE(Quiet(20));
    // And it can be cancelled in that state.
    PeerFill(pair.ours);
    ring().Poll(pair.ours, POLLOUT, PollTag(1));
    EXPECT_TRUE(Quiet(20));
    ring().Cancel(PollTag(1));
    EXPECT_EQ(Next(PollTag(1)).result, -ECANCELED);
    EXPECT_TRUE(Quiet(20));
  }
}

// That FIN may have ended the kernel's poll before the kernel sees the Cancel, which finds nothing.
TEST_P(PollTest, IsCancelledWithoutAWaitBetween) {
  for (const uint32_t events : {POLLOUT, 0}) {
    for (const bool fin : {false, true}) {
      const Pair pair = TcpPair();
      PeerFill(pair.ours);
      if (fin) shutdown(pair.peer, SHUT_WR);
      usleep(1000);
      ring().Poll(pair.ours, events, PollTag(1));
      ring().Cancel(PollTag(1));
      const Seen seen = Next(PollTag(1));
      EXPECT_EQ(seen.result, -ECANCELED);
      EXPECT_FALSE(seen.more);
      EXPECT_TRUE(Quiet(20));
    }
  }
}

TEST_P(PollTest, IsWokenByAnotherThread) {
  const int fd = Own(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  for (int i = 0; i < 5; ++i) {
    ring().Poll(fd, POLLIN, PollTag(1));
    std::thread other([fd] {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      eventfd_write(fd, 1);
    });
    std::span<const Completion> batch;
    while (batch.empty()) batch = ring().Wait(UINT64_MAX);
    other.join();
    ASSERT_EQ(batch.size(), 1u);
    EXPECT_EQ(batch[0].tag, PollTag(1));
    eventfd_t value;
    EXPECT_EQ(eventfd_read(fd, &value), 0);
  }
}

TEST_P(PollTest, FailsOnAClosedFd) {
  const int fd = dup(0);
  close(fd);
  ring().Poll(fd, POLLIN, PollTag(1));
  EXPECT_EQ(Next(PollTag(1)).result, -EBADF);
}

TEST_P(SendTest, SendsPartsInOrder) {
  const Pair pair = TcpPair();
  std::string a = "Sally", b, c = "port";
  const iovec parts[] = {{a.data(), a.size()}, {b.data(), 0}, {c.data(), c.size()}};
  EXPECT_EQ(ring().SendNow(pair.ours, parts), 9);
  char room[100];
  EXPECT_EQ(std::string(room, static_cast<size_t>(recv(pair.peer, room, sizeof(room), 0))),
            "Sallyport");
}

TEST_P(SendTest, TakesAtMostWhatTheSystemCallTakes) {
  const Pair pair = UnixPair();
  char byte = 'x';
  const std::vector<iovec> parts(3000, iovec{&byte, 1});
  const int32_t sent = ring().SendNow(pair.ours, parts);
  EXPECT_GT(sent, 0);
  EXPECT_LE(sent, 3000);
  EXPECT_EQ(PeerDrain(pair.peer), static_cast<size_t>(sent));
}

TEST_P(SendTest, ASlowReaderMakesItSayAgainAndThenPollTells) {
  const Pair pair = TcpPair();
  const std::string bytes = Pattern(1'000'000);
  int32_t sent = 0;
  size_t total = 0;
  for (int i = 0; i < 1000 && (sent = Send(pair.ours, bytes)) > 0; ++i) {
    total += static_cast<size_t>(sent);
  }
  EXPECT_EQ(sent, -EAGAIN);
  EXPECT_GT(total, 0u);
  ring().Poll(pair.ours, POLLOUT, PollTag(1));
  EXPECT_TRUE(Quiet(50));
  EXPECT_GT(PeerDrain(pair.peer), 0u);
  EXPECT_EQ(Next(PollTag(1)).result, POLLOUT);
  EXPECT_GT(Send(pair.ours, bytes), 0);
}

TEST_P(SendTest, ToAPeerThatIsGoneIsAResultAndNoSignal) {
  const Pair pair = UnixPair();
  Close(pair.peer);
  EXPECT_EQ(Send(pair.ours, "x"), -EPIPE);
  char byte = 'x';
  const iovec parts[] = {{&byte, 1}, {&byte, 1}};
  EXPECT_EQ(ring().SendNow(pair.ours, parts), -EPIPE);
}

TEST_P(SendTest, SplicesBetweenSocketsThroughAPipe) {
  const Pair from = TcpPair(), to = UnixPair();
  int pipe_fds[2];
  ASSERT_GE(ring().OpenPipe(65536, &pipe_fds[0], &pipe_fds[1]), 4096);
  EXPECT_EQ(ring().SpliceNow(from.ours, pipe_fds[1], 65536), -EAGAIN);
  EXPECT_EQ(ring().SpliceNow(pipe_fds[0], to.ours, 65536), -EAGAIN);
  const std::string bytes = Pattern(20'000);
  PeerSend(from.peer, bytes);
  usleep(1000);
  size_t piped = 0;
  for (int32_t moved; (moved = ring().SpliceNow(from.ours, pipe_fds[1], 65536)) > 0;) {
    piped += static_cast<size_t>(moved);
  }
  ASSERT_EQ(piped, bytes.size());
  while (piped > 0) {
    const int32_t moved = ring().SpliceNow(pipe_fds[0], to.ours, piped);
    ASSERT_GT(moved, 0);
    piped -= static_cast<size_t>(moved);
  }
  EXPECT_EQ(PeerDrain(to.peer), bytes.size());
  // What was spliced away is gone for a Poll and for a Recv, and what comes next is there.
  ring().Poll(from.ours, POLLIN, PollTag(1));
  EXPECT_TRUE(Quiet(20));
  PeerSend(from.peer, "next");
  EXPECT_EQ(Next(PollTag(1)).result, POLLIN);
  ring().Recv(from.ours, RecvTag(1));
  EXPECT_EQ(Next(RecvTag(1)).bytes, "next");
  shutdown(from.peer, SHUT_WR);
  EXPECT_EQ(Next(RecvTag(1)).result, 0);
  EXPECT_EQ(ring().SpliceNow(from.ours, pipe_fds[1], 65536), 0);
  for (const int fd : pipe_fds) {
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ring().Close(fd, false);
    EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  }
}

TEST_P(SendTest, ShutdownSendEndsOneDirection) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_EQ(Send(pair.ours, "bye"), 3);
  ring().ShutdownSend(pair.ours);
  ring().ShutdownSend(pair.ours);  // Doesn't matter.
  usleep(1000);
  char room[10];
  EXPECT_EQ(recv(pair.peer, room, sizeof(room), 0), 3);
  EXPECT_EQ(recv(pair.peer, room, sizeof(room), 0), 0);
  PeerSend(pair.peer, "still here");
  EXPECT_EQ(Next(RecvTag(1)).bytes, "still here");
}

TEST_P(SendTest, CloseSendsFinOrReset) {
  Pair pair = TcpPair();
  Close(pair.ours);
  usleep(1000);
  char room[10];
  EXPECT_EQ(recv(pair.peer, room, sizeof(room), 0), 0);
  pair = TcpPair();
  Close(pair.ours, /*reset=*/true);
  usleep(1000);
  EXPECT_EQ(recv(pair.peer, room, sizeof(room), 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_P(SendTest, CloseAfterCancelSendsFinAtOnce) {
  // The kernel must not keep the socket for an op that has ended.
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  ring().Cancel(RecvTag(1));
  EXPECT_EQ(Next(RecvTag(1)).result, -ECANCELED);
  Close(pair.ours);
  pollfd fin{.fd = pair.peer, .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&fin, 1, 100), 1);
  char room[10];
  EXPECT_EQ(recv(pair.peer, room, sizeof(room), 0), 0);
}

}  // namespace
}  // namespace sallyport
