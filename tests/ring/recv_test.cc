#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "tests/ring/ring_test.h"

namespace sallyport {
namespace {

class RecvTest : public RingTest {
 protected:
  std::string Drain(int fd, size_t room_size = 1 << 18) {
    std::string bytes;
    std::vector<uint8_t> room(room_size);
    for (;;) {
      const int32_t result = ring().RecvNow(fd, room);
      if (result <= 0) {
        EXPECT_EQ(result, -EAGAIN);
        return bytes;
      }
      bytes.append(room.begin(), room.begin() + result);
    }
  }
};
INSTANTIATE_ENGINES(RecvTest);

TEST_P(RecvTest, DeliversWhatWasThereBefore) {
  const Pair pair = TcpPair();
  PeerSend(pair.peer, "early");
  ring().Recv(pair.ours, RecvTag(1));
  const Seen seen = Next(RecvTag(1));
  EXPECT_EQ(seen.bytes, "early");
  EXPECT_EQ(seen.result, 5);
  EXPECT_TRUE(seen.more);
  EXPECT_FALSE(seen.more_data);
}

TEST_P(RecvTest, DeliversAgainAndAgain) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  for (int i = 0; i < 500; ++i) {
    const std::string bytes = Pattern(static_cast<size_t>(i % 100 + 1), static_cast<uint64_t>(i));
    PeerSend(pair.peer, bytes);
    const Seen seen = Next(RecvTag(1));
    ASSERT_EQ(seen.bytes, bytes);
    ASSERT_TRUE(seen.more);
  }
  EXPECT_TRUE(Quiet(20));
}

TEST_P(RecvTest, LetsTheOwnerEditTheBytes) {
  const Pair pair = UnixPair();
  ring().Recv(pair.ours, RecvTag(1));
  PeerSend(pair.peer, "abc");
  std::span<const Completion> batch;
  while (batch.empty()) batch = ring().Wait(ring().now_ms() + 1000);
  ASSERT_EQ(batch[0].data.size(), 3u);
  batch[0].data[0] = 'x';
  EXPECT_EQ(batch[0].data[0], 'x');
}

TEST_P(RecvTest, EndsOnceAtTheEndOfTheStream) {
  for (const Pair& pair : {TcpPair(), UnixPair()}) {
    ring().Recv(pair.ours, RecvTag(1));
    PeerSend(pair.peer, "the end");
    shutdown(pair.peer, SHUT_WR);
    const Seen last = Last(RecvTag(1));
    EXPECT_EQ(last.bytes, "the end");
    EXPECT_EQ(last.result, 0);
    EXPECT_TRUE(Quiet(20));
    // Half a connection is still one.
    char byte = 'x';
    const iovec part{&byte, 1};
    EXPECT_EQ(ring().SendNow(pair.ours, {&part, 1}), 1);
    EXPECT_EQ(PeerDrain(pair.peer), 1u);
  }
}

TEST_P(RecvTest, SeesTheEndThatFollowsAShortReadLater) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  PeerSend(pair.peer, "bytes");
  EXPECT_EQ(Next(RecvTag(1)).bytes, "bytes");
  shutdown(pair.peer, SHUT_WR);
  EXPECT_EQ(Next(RecvTag(1)).result, 0);
}

TEST_P(RecvTest, TellsAReset) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  Close(pair.peer, /*reset=*/true);
  const Seen seen = Next(RecvTag(1));
  EXPECT_EQ(seen.result, -ECONNRESET);
  EXPECT_FALSE(seen.more);
  EXPECT_TRUE(Quiet(20));
}

TEST_P(RecvTest, FailsOnWhatIsNoSocket) {
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  Own(fds[0]);
  Own(fds[1]);
  ASSERT_EQ(write(fds[1], "x", 1), 1);
  ring().Recv(fds[0], RecvTag(1));
  EXPECT_EQ(Next(RecvTag(1)).result, -ENOTSOCK);
}

TEST_P(RecvTest, ReadsPastUrgentData) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  PeerSend(pair.peer, "before");
  ASSERT_EQ(send(pair.peer, "!", 1, MSG_OOB), 1);
  PeerSend(pair.peer, "after");
  std::string bytes;
  while (bytes.size() < 11) {
    const Seen seen = Next(RecvTag(1));
    ASSERT_GT(seen.result, 0);
    bytes += seen.bytes;
  }
  EXPECT_EQ(bytes, "beforeafter");
}

TEST_P(RecvTest, SaysMoreDataExactlyWhenDrainingFindsSome) {
  const Pair pair = TcpPair();
  const std::string small = Pattern(4095), big = Pattern(2'000'000);
  PeerSend(pair.peer, small);
  usleep(2000);
  ring().Recv(pair.ours, RecvTag(1));
  Seen seen = Next(RecvTag(1));
  EXPECT_TRUE(seen.bytes == small);
  EXPECT_FALSE(seen.more_data);
  const size_t sent = PeerFill(pair.peer);
  ASSERT_GT(sent, kRecvBytesMax);
  seen = Next(RecvTag(1));
  EXPECT_TRUE(seen.more_data);
}

TEST_P(RecvTest, HandsOutAFloodInOrderThroughFewBuffers) {
  // Many more bytes than the shared memory has; nobody drains with RecvNow.
  const Pair pair = TcpPair();
  const std::string bytes = Pattern(8'000'000);
  std::string received;
  size_t sent = 0;
  ring().Recv(pair.ours, RecvTag(1));
  while (received.size() < bytes.size()) {
    const ssize_t now = send(pair.peer, bytes.data() + sent, bytes.size() - sent, MSG_DONTWAIT);
    if (now > 0) sent += static_cast<size_t>(now);
    const Seen seen = Next(RecvTag(1));
    received += seen.bytes;
    ASSERT_TRUE(seen.result > 0 || seen.result == -ENOBUFS) << seen.result;
    if (!seen.more) ring().Recv(pair.ours, RecvTag(1));
  }
  EXPECT_TRUE(received == bytes);
}

TEST_P(RecvTest, ServesMoreBusyConnectionsThanThereAreBuffers) {
  constexpr uint32_t kPairs = 200;
  std::vector<Pair> pairs;
  for (uint32_t i = 0; i < kPairs; ++i) {
    pairs.push_back(UnixPair());
    PeerSend(pairs[i].peer, Pattern(5000, i));
  }
  for (uint32_t i = 0; i < kPairs; ++i) ring().Recv(pairs[i].ours, RecvTag(i));
  std::vector<std::string> received(kPairs);
  size_t complete = 0;
  size_t starved = 0;
  for (int turn = 0; turn < 1000 && complete < kPairs; ++turn) {
    Turn(1000);
    for (const Seen& seen : seen()) {
      const uint32_t i = seen.tag.slot;
      received[i] += seen.bytes;
      if (seen.result == -ENOBUFS) ++starved;
      if (seen.result > 0 && received[i].size() == 5000) ++complete;
      if (!seen.more) ring().Recv(pairs[i].ours, RecvTag(i));
    }
    seen().clear();
  }
  for (uint32_t i = 0; i < kPairs; ++i) EXPECT_TRUE(received[i] == Pattern(5000, i));
  EXPECT_EQ(is_uring(), starved > 0);
}

TEST_P(RecvTest, GivesEveryoneATurnBesideABulkStream) {
  const Pair bulk = TcpPair();
  std::vector<Pair> small;
  for (uint32_t i = 0; i < 50; ++i) {
    small.push_back(TcpPair());
    ring().Recv(small[i].ours, RecvTag(i));
  }
  ring().Recv(bulk.ours, RecvTag(1000));
  PeerFill(bulk.peer);
  for (const Pair& pair : small) PeerSend(pair.peer, "ping");
  usleep(2000);
  // A few turns are enough for all, however much the bulk stream sends meanwhile.
  std::vector<bool> served(50);
  for (int turn = 0; turn < 20; ++turn) {
    Turn(100);
    for (const Seen& seen : seen()) {
      const bool is_bulk = seen.tag.slot == 1000;
      if (!is_bulk && seen.bytes == "ping") served[seen.tag.slot] = true;
      if (!seen.more) ring().Recv(is_bulk ? bulk.ours : small[seen.tag.slot].ours, seen.tag);
    }
    seen().clear();
    PeerFill(bulk.peer);
  }
  EXPECT_EQ(std::count(served.begin(), served.end(), true), 50);
}

TEST_P(RecvTest, GoesOnAfterTheOwnerDrained) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  for (int i = 0; i < 50; ++i) {
    const std::string first = Pattern(100, 1), second = Pattern(30'000, 2);
    PeerSend(pair.peer, first);
    EXPECT_EQ(Next(RecvTag(1)).bytes, first);
    PeerSend(pair.peer, second);
    usleep(1000);
    ASSERT_TRUE(ring().DrainAllowed(pair.ours));
    ASSERT_TRUE(Drain(pair.ours, i % 2 == 0 ? 1 << 18 : 1000) == second);
    ASSERT_TRUE(Quiet(1));
  }
}

TEST_P(RecvTest, GoesOnAfterTheOwnerDrainedAPart) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  const std::string bytes = Pattern(3000);
  PeerSend(pair.peer, bytes);
  usleep(1000);
  std::vector<uint8_t> room(1000);
  ASSERT_TRUE(ring().DrainAllowed(pair.ours));
  ASSERT_EQ(ring().RecvNow(pair.ours, room), 1000);
  EXPECT_TRUE(Next(RecvTag(1)).bytes == bytes.substr(1000));
}

TEST_P(RecvTest, DrainingMeetsTheEndAndRecvEndsToo) {
  const Pair pair = TcpPair();
  ring().Recv(pair.ours, RecvTag(1));
  EXPECT_TRUE(Quiet(5));
  shutdown(pair.peer, SHUT_WR);
  usleep(1000);
  std::vector<uint8_t> room(1000);
  EXPECT_EQ(ring().RecvNow(pair.ours, room), 0);
  EXPECT_EQ(Next(RecvTag(1)).result, 0);
}

TEST_P(RecvTest, DrainingIsNotAllowedWhileABatchWasTooSmall) {
  // 400 completions, of which one batch has room for 256: bytes may stand in the rest.
  std::vector<Pair> pairs;
  for (uint32_t i = 0; i < 400; ++i) pairs.push_back(UnixPair());
  // End-of-stream completions need no buffer, so that there are 400 at once.
  for (const Pair& pair : pairs) shutdown(pair.peer, SHUT_WR);
  const Pair last = UnixPair();
  PeerSend(last.peer, "first ");
  for (uint32_t i = 0; i < 400; ++i) ring().Recv(pairs[i].ours, RecvTag(i));
  ring().Recv(last.ours, RecvTag(1000));
  Turn(1000);
  PeerSend(last.peer, "second");
  std::string bytes;
  std::vector<uint8_t> room(1000);
  while (bytes.size() < 12) {
    for (const Seen& seen : seen()) bytes += seen.bytes;
    seen().clear();
    if (ring().DrainAllowed(last.ours)) {
      const int32_t result = ring().RecvNow(last.ours, room);
      if (result > 0) bytes.append(room.begin(), room.begin() + result);
    }
    Turn(100);
  }
  EXPECT_EQ(bytes, "first second");
}

TEST_P(RecvTest, ThousandsOfConnections) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit before = limit;
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < 7000) GTEST_SKIP() << "RLIMIT_NOFILE is " << limit.rlim_cur;
  constexpr uint32_t kPairs = 3000;
  std::vector<Pair> pairs;
  for (uint32_t i = 0; i < kPairs; ++i) {
    pairs.push_back(UnixPair());
    ring().Recv(pairs[i].ours, RecvTag(i));
  }
  for (uint32_t round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < kPairs; ++i) PeerSend(pairs[i].peer, Pattern(100, i));
    std::vector<std::string> received(kPairs);
    for (size_t total = 0; total < kPairs * 100;) {
      ASSERT_GT(Turn(5000), 0u);
      for (const Seen& seen : seen()) {
        received[seen.tag.slot] += seen.bytes;
        total += seen.bytes.size();
        if (!seen.more) ring().Recv(pairs[seen.tag.slot].ours, seen.tag);
      }
      seen().clear();
    }
    for (uint32_t i = 0; i < kPairs; ++i) ASSERT_EQ(received[i], Pattern(100, i));
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace sallyport
