// The proof that bytes come in order when Recv and RecvNow read the same sockets: several
// connections at once, both directions, sizes from a byte to a megabyte, every byte checked. In
// between, on purpose, everything that could upset the order: a submission queue that fills in the
// middle of a batch, batches too small for what completed, shared memory that runs out, ops that
// are cancelled and armed again while bytes are on their way.
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "tests/ring/ring_test.h"

namespace sallyport {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kStreamBytes = 6'000'000;
#else
constexpr uint64_t kStreamBytes = 12'000'000;
#endif
constexpr uint32_t kConnections = 8;
// For the whole, and for a peer to wait: its turn comes late where a sanitizer or others are slow.
constexpr int kPatienceMs = 100'000;
// More than a submission queue holds.
constexpr uint32_t kFlood = 600;
constexpr uint32_t kFloodSlot = 1000;

using Random = std::minstd_rand;

size_t Below(Random* random, size_t bound) { return (*random)() % bound; }

// From a byte to a megabyte, each order of magnitude as often as another.
size_t SomeSize(Random* random) {
  return std::max<size_t>(1, (static_cast<size_t>(1) << Below(random, 21)) - Below(random, 2));
}

// Stream is an endless sequence of bytes, of which each depends on its place in eight bytes'
// detail.
class Stream {
 public:
  explicit Stream(uint64_t seed) : seed_(seed) {}

  uint8_t At(uint64_t place) const {
    uint64_t word = (place / 8 + seed_) * 0x9E3779B97F4A7C15u;
    word ^= word >> 29;
    return static_cast<uint8_t>(word >> (place % 8 * 8));
  }
  void Fill(uint64_t place, std::span<uint8_t> bytes) const {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = At(place + i);
  }
  // Match: how many bytes are right.
  size_t Match(uint64_t place, std::span<const uint8_t> bytes) const {
    size_t i = 0;
    while (i < bytes.size() && bytes[i] == At(place + i)) ++i;
    return i;
  }

 private:
  uint64_t seed_;
};

// Peer is the other end of a connection: a thread that sends one stream and checks the other.
class Peer {
 public:
  Peer(int fd, uint64_t seed) : fd_(fd), seed_(seed), thread_([this] { Run(); }) {}
  ~Peer() { Join(); }

  // GiveUp: the test has failed, nobody sends or reads any more.
  void GiveUp() {
    given_up_ = true;
    shutdown(fd_, SHUT_RDWR);
  }
  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  // After Join: whether all came, in order, and how much of it.
  bool right() const { return right_; }
  uint64_t received() const { return received_; }

 private:
  void Run() {
    Random random(static_cast<uint32_t>(seed_) + 1);
    std::vector<uint8_t> room(1 << 20);
    while (!given_up_ && (!end_seen_ || sent_ < kStreamBytes)) {
      pollfd ready{.fd = fd_, .events = 0, .revents = 0};
      if (!end_seen_) ready.events |= POLLIN;
      if (sent_ < kStreamBytes) ready.events |= POLLOUT;
      if (poll(&ready, 1, kPatienceMs) <= 0) return;
      if ((ready.revents & POLLERR) != 0) return;
      if ((ready.revents & POLLOUT) != 0 && !Send(&random, room)) return;
      if ((ready.revents & (POLLIN | POLLHUP)) != 0 && !Receive(&random, room)) return;
      if (Below(&random, 8) == 0) usleep(static_cast<useconds_t>(Below(&random, 2000)));
    }
    right_ = received_ == kStreamBytes;
  }

  bool Send(Random* random, std::span<uint8_t> room) {
    const size_t size = std::min<uint64_t>(SomeSize(random), kStreamBytes - sent_);
    Stream(seed_).Fill(sent_, room.first(size));
    const ssize_t sent = send(fd_, room.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    sent_ += static_cast<uint64_t>(sent);
    if (sent_ == kStreamBytes) shutdown(fd_, SHUT_WR);
    return true;
  }

  bool Receive(Random* random, std::span<uint8_t> room) {
    const ssize_t received = recv(fd_, room.data(), SomeSize(random), MSG_DONTWAIT);
    if (received < 0) return errno == EAGAIN;
    if (received == 0) end_seen_ = true;
    const size_t size = static_cast<size_t>(received);
    if (Stream(~seed_).Match(received_, room.first(size)) != size) return false;
    received_ += size;
    return true;
  }

  const int fd_;
  const uint64_t seed_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  bool end_seen_ = false;
  bool right_ = false;
  std::atomic<bool> given_up_ = false;
  std::thread thread_;
};

class ByteOrderTest : public RingTest {
 protected:
  struct Connection {
    int fd = -1;
    uint64_t seed = 0;
    uint64_t received = 0;
    uint64_t sent = 0;
    bool recv_in_flight = false;
    bool poll_in_flight = false;
    bool end_seen = false;
    bool drain = false;
    bool done() const {
      return end_seen && !recv_in_flight && !poll_in_flight && sent == kStreamBytes;
    }
  };

  void Run(uint32_t seed);
  void Begin(uint32_t seed);
  void OnBatch(std::span<const Completion> batch);
  void End();
  void ArmRecv(uint32_t slot);
  void OnLast(const Completion& completion);
  void Take(Connection* connection, std::span<const uint8_t> bytes);
  void Drain(Connection* connection);
  void Send(uint32_t slot);
  void Flood();

  Random random_;
  std::vector<Connection> connections_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<uint8_t> room_ = std::vector<uint8_t>(1 << 20);
  int ready_ = -1;  // An eventfd that is always readable.
  uint32_t flood_in_flight_ = 0;
  size_t drains_ = 0, drained_ = 0, refusals_ = 0, starved_ = 0, cancels_ = 0, floods_ = 0;
};
INSTANTIATE_ENGINES(ByteOrderTest);

void ByteOrderTest::ArmRecv(uint32_t slot) {
  connections_[slot].recv_in_flight = true;
  ring().Recv(connections_[slot].fd, RecvTag(slot));
}

void ByteOrderTest::OnLast(const Completion& completion) {
  Connection* const connection = &connections_[completion.tag.slot];
  connection->recv_in_flight = false;
  if (completion.result == 0) {
    connection->end_seen = true;
    return;
  }
  if (completion.result == -ENOBUFS) ++starved_;
  if (completion.result == -ECANCELED) ++cancels_;
  ASSERT_TRUE(completion.result > 0 || completion.result == -ENOBUFS ||
              completion.result == -ECANCELED)
      << completion.result;
  ArmRecv(completion.tag.slot);
}

void ByteOrderTest::Take(Connection* connection, std::span<const uint8_t> bytes) {
  const size_t right = Stream(connection->seed).Match(connection->received, bytes);
  ASSERT_EQ(right, bytes.size()) << "wrong byte at " << connection->received + right
                                 << " of stream " << connection->seed;
  connection->received += bytes.size();
}

void ByteOrderTest::Drain(Connection* connection) {
  // Up to a few reads of any size; sometimes until nothing is left, sometimes not.
  for (size_t i = Below(&random_, 6); i < 6; ++i) {
    if (!ring().DrainAllowed(connection->fd)) {
      ++refusals_;
      return;
    }
    ++drains_;
    const int32_t result =
        ring().RecvNow(connection->fd, std::span(room_).first(SomeSize(&random_)));
    if (result == -EAGAIN) return;
    ASSERT_GE(result, 0);
    if (result == 0) {
      connection->end_seen = true;
      return;
    }
    drained_ += static_cast<size_t>(result);
    Take(connection, std::span(room_).first(static_cast<size_t>(result)));
    // Something that may submit, between two drains.
    if (Below(&random_, 50) == 0) Flood();
  }
}

void ByteOrderTest::Send(uint32_t slot) {
  Connection* const connection = &connections_[slot];
  while (connection->sent < kStreamBytes) {
    const size_t size = std::min<uint64_t>(SomeSize(&random_), kStreamBytes - connection->sent);
    Stream(~connection->seed).Fill(connection->sent, std::span(room_).first(size));
    const size_t cut = Below(&random_, size + 1);
    const iovec parts[] = {{room_.data(), cut}, {room_.data() + cut, size - cut}};
    const int32_t result = ring().SendNow(connection->fd, parts);
    if (result == -EAGAIN) {
      connection->poll_in_flight = true;
      return ring().Poll(connection->fd, POLLOUT, PollTag(slot));
    }
    ASSERT_GT(result, 0);
    connection->sent += static_cast<uint64_t>(result);
    if (connection->sent == kStreamBytes) ring().ShutdownSend(connection->fd);
  }
}

// Flood fills the submission queue, so that all that was armed before is submitted at once, in the
// middle of a batch; and its completions are more than a batch holds.
void ByteOrderTest::Flood() {
  if (flood_in_flight_ > 0) return;
  ++floods_;
  flood_in_flight_ = kFlood;
  for (uint32_t i = 0; i < kFlood; ++i) ring().Poll(ready_, POLLIN, PollTag(kFloodSlot + i));
}

void ByteOrderTest::Begin(uint32_t seed) {
  random_.seed(seed);
  ready_ = Own(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  for (uint32_t i = 0; i < kConnections; ++i) {
    const Pair pair = i % 4 == 3 ? UnixPair() : TcpPair();
    // A test is no place for pacing.
    const SocketTuning tuning{.congestion_control = "reno"};
    ring().Tune(pair.ours, tuning);
    ring().Tune(pair.peer, tuning);
    connections_.push_back({.fd = pair.ours, .seed = uint64_t{seed} * 1000 + i});
    peers_.push_back(std::make_unique<Peer>(pair.peer, connections_[i].seed));
  }
  for (uint32_t i = 0; i < kConnections; ++i) {
    ArmRecv(i);
    Send(i);
  }
}

void ByteOrderTest::OnBatch(std::span<const Completion> batch) {
  // What ends is armed again before the batch's bytes are looked at: the bytes must stay.
  for (const Completion& completion : batch) {
    if (completion.tag.verb == Verb::kRecv && !completion.more) OnLast(completion);
  }
  if (Below(&random_, 5) == 0) Flood();
  std::vector<uint32_t> writable;
  for (const Completion& completion : batch) {
    const uint32_t slot = completion.tag.slot;
    if (completion.tag.verb == Verb::kPoll && slot >= kFloodSlot) {
      --flood_in_flight_;
    } else if (completion.tag.verb == Verb::kPoll) {
      connections_[slot].poll_in_flight = false;
      writable.push_back(slot);
    } else if (completion.result > 0) {
      Take(&connections_[slot], completion.data);
      connections_[slot].drain = completion.more_data || Below(&random_, 4) == 0;
      if (Below(&random_, 4) == 0) ring().Cancel(completion.tag);
    }
  }
  for (const uint32_t slot : writable) Send(slot);
  for (Connection& connection : connections_) {
    if (connection.drain && !connection.end_seen) Drain(&connection);
    connection.drain = false;
  }
}

void ByteOrderTest::End() {
  for (const Connection& connection : connections_) {
    EXPECT_EQ(connection.received, kStreamBytes) << "stream " << connection.seed;
  }
  for (const std::unique_ptr<Peer>& peer : peers_) {
    if (HasFailure()) peer->GiveUp();
    peer->Join();
    EXPECT_TRUE(peer->right()) << peer->received();
  }
  printf("drains %zu (%zu bytes), not allowed %zu, -ENOBUFS %zu, cancelled %zu, floods %zu\n",
         drains_, drained_, refusals_, starved_, cancels_, floods_);
  // Each of the dangers was there.
  EXPECT_GT(drained_, kStreamBytes / 2);
  EXPECT_GT(cancels_, 0u);
  EXPECT_GT(floods_, 0u);
  if (is_uring()) {
    EXPECT_GT(refusals_, 0u);
    EXPECT_GT(starved_, 0u);
  }
}

void ByteOrderTest::Run(uint32_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Begin(seed);
  const auto done = [](const Connection& connection) { return connection.done(); };
  const uint64_t deadline_ms = ring().now_ms() + kPatienceMs;
  // After a failure it doesn't go on: the peers would wait for each other.
  while (!HasFailure() && ring().now_ms() < deadline_ms &&
         !std::all_of(connections_.begin(), connections_.end(), done)) {
    OnBatch(ring().Wait(ring().now_ms() + 10'000));
  }
  End();
}

TEST_P(ByteOrderTest, HoldsSeed1) { Run(1); }
TEST_P(ByteOrderTest, HoldsSeed2) { Run(2); }
TEST_P(ByteOrderTest, HoldsSeed3) { Run(3); }

}  // namespace
}  // namespace sallyport
