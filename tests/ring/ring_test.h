// RingTest: a fixture that runs each test over both engines, on real sockets.
#ifndef TESTS_RING_RING_TEST_H_
#define TESTS_RING_RING_TEST_H_

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/ring/ring.h"

namespace sallyport {

// Seen is a completion that outlives its batch.
struct Seen {
  OpTag tag;
  int32_t result = 0;
  bool more = false;
  bool more_data = false;
  std::string bytes;
};

struct Pair {
  int ours = -1;  // Given to the ring.
  int peer = -1;  // Driven by the test with plain calls.
};

constexpr OpTag Tag(Verb verb, uint32_t slot, uint16_t generation = 0) {
  return OpTag{.slot = slot, .generation = generation, .verb = verb};
}
constexpr OpTag AcceptTag(uint32_t slot, uint16_t generation = 0) {
  return Tag(Verb::kAccept, slot, generation);
}
constexpr OpTag ConnectTag(uint32_t slot, uint16_t generation = 0) {
  return Tag(Verb::kConnect, slot, generation);
}
constexpr OpTag RecvTag(uint32_t slot, uint16_t generation = 0) {
  return Tag(Verb::kRecv, slot, generation);
}
constexpr OpTag PollTag(uint32_t slot, uint16_t generation = 0) {
  return Tag(Verb::kPoll, slot, generation);
}

class RingTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override;
  // TearDown fails the test if a file descriptor is left over.
  void TearDown() override;

  static std::unique_ptr<Ring> MakeRing();
  static bool is_uring() { return std::string_view(GetParam()) == "io_uring"; }
  Ring& ring() { return *ring_; }
  void DestroyRing() { ring_.reset(); }

  // Own: fd is closed at the end of the test, after the ring.
  int Own(int fd);
  // Close closes fd through the ring now.
  void Close(int fd, bool reset = false);

  // Non-blocking, owned. UnixPair and TcpPair are connected.
  Pair UnixPair();
  Pair TcpPair();
  int ListenTcp(Address* address, int backlog = 1024);
  // Client is connected with connect(2), blocking, by somebody who isn't the ring.
  int Client(const Address& address);

  // Turn waits once, `ms` at most, and adds what came to seen().
  size_t Turn(uint64_t ms);
  std::vector<Seen>& seen() { return seen_; }
  // Next waits for the next completion of the op and removes it from seen(). Completions of others
  // stay there. After five seconds it ends the test.
  Seen Next(OpTag tag);
  // Last takes completions of the op, bytes collected, up to the last one.
  Seen Last(OpTag tag);
  // Quiet: nothing completes for `ms`, and Wait doesn't return often for nothing.
  bool Quiet(uint64_t ms);

  // By the peer, with plain calls. PeerSend sends all of it or fails the test.
  void PeerSend(int fd, std::string_view bytes);
  // PeerFill sends until the socket takes no more: how much that was.
  static size_t PeerFill(int fd);
  static size_t PeerDrain(int fd);

  static size_t OpenFds();

 private:
  std::unique_ptr<Ring> ring_;
  std::vector<int> owned_;
  std::vector<Seen> seen_;
  size_t open_before_ = 0;
};

// Pattern is `size` bytes of which each depends on its place.
std::string Pattern(size_t size, uint64_t seed = 1);

Address Loopback(int port = 0);

}  // namespace sallyport

#define INSTANTIATE_ENGINES(Suite)                                                 \
  INSTANTIATE_TEST_SUITE_P(Engines, Suite, ::testing::Values("io_uring", "epoll"), \
                           [](const auto& engine) { return std::string(engine.param); })

#endif  // TESTS_RING_RING_TEST_H_
