#include "tests/ring/ring_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#ifndef SPIN_US  // Set for the suite's run with rings that look before they block.
#define SPIN_US 0
#endif

namespace sallyport {

namespace {

// A machine that is busy with something else; no test waits that long when all is well.
constexpr uint64_t kPatienceMs = 5000;

}  // namespace

void RingTest::SetUp() {
  open_before_ = OpenFds();
  ring_ = MakeRing();
  const absl::Status status = ring_->Start();
  if (!status.ok() && is_uring()) GTEST_SKIP() << "io_uring is refused here: " << status;
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_STREQ(ring_->name(), GetParam());
}

void RingTest::TearDown() {
  ring_.reset();
  for (const int fd : owned_) close(fd);
  EXPECT_EQ(OpenFds(), open_before_) << "file descriptors leaked";
}

std::unique_ptr<Ring> RingTest::MakeRing() {
  constexpr RingOptions kOptions = {.spin_us = SPIN_US};
  return is_uring() ? MakeUringRing(kOptions) : MakeEpollRing(kOptions);
}

int RingTest::Own(int fd) {
  EXPECT_GE(fd, 0) << strerrordesc_np(fd < -1 ? -fd : errno);
  if (fd >= 0) owned_.push_back(fd);
  return fd;
}

void RingTest::Close(int fd, bool reset) {
  std::erase(owned_, fd);
  ring_->Close(fd, reset);
}

Pair RingTest::UnixPair() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  return {.ours = Own(fds[0]), .peer = Own(fds[1])};
}

Pair RingTest::TcpPair() {
  const int listener = Listen(Loopback(), 1).value();
  const int peer = Client(LocalAddress(listener));
  const int ours = Own(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  close(listener);
  EXPECT_EQ(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
  return {.ours = ours, .peer = peer};
}

int RingTest::ListenTcp(Address* address, int backlog) {
  const absl::StatusOr<int> fd = Listen(Loopback(), backlog);
  EXPECT_TRUE(fd.ok()) << fd.status();
  *address = LocalAddress(*fd);
  return Own(*fd);
}

int RingTest::Client(const Address& address) {
  const int fd = Own(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd, address.get(), address.size()), 0) << strerrordesc_np(errno);
  return fd;
}

size_t RingTest::Turn(uint64_t ms) {
  const std::span<const Completion> batch = ring_->Wait(ring_->now_ms() + ms);
  EXPECT_LE(batch.size(), kCompletionsPerWaitMax);
  for (const Completion& completion : batch) {
    Seen seen{completion.tag, completion.result, completion.more, completion.more_data, ""};
    seen.bytes.assign(completion.data.begin(), completion.data.end());
    EXPECT_EQ(seen.bytes.size(), completion.tag.verb == Verb::kRecv && completion.result > 0
                                     ? static_cast<size_t>(completion.result)
                                     : 0);
    EXPECT_LE(seen.bytes.size(), kRecvBytesMax);
    seen_.push_back(std::move(seen));
  }
  return batch.size();
}

Seen RingTest::Next(OpTag tag) {
  const uint64_t deadline_ms = ring_->now_ms() + kPatienceMs;
  for (;;) {
    const auto at = std::find_if(seen_.begin(), seen_.end(),
                                 [tag](const Seen& seen) { return seen.tag == tag; });
    if (at != seen_.end()) {
      Seen result = std::move(*at);
      seen_.erase(at);
      return result;
    }
    if (ring_->now_ms() >= deadline_ms) break;
    Turn(100);
  }
  // The one exception here: no test has anything left to do, and each would have to say so.
  throw std::runtime_error("no completion of verb " + std::to_string(static_cast<int>(tag.verb)) +
                           ", slot " + std::to_string(tag.slot));
}

Seen RingTest::Last(OpTag tag) {
  std::string bytes;
  for (;;) {
    Seen seen = Next(tag);
    bytes += seen.bytes;
    if (seen.more) continue;
    seen.bytes = std::move(bytes);
    return seen;
  }
}

bool RingTest::Quiet(uint64_t ms) {
  const size_t before = seen_.size();
  const uint64_t deadline_ms = ring_->now_ms() + ms;
  // An engine may come back for nothing a few times, not all the time.
  int empty = 0;
  while (ring_->now_ms() < deadline_ms && empty < 10) {
    Turn(deadline_ms - ring_->now_ms());
    ++empty;
  }
  EXPECT_LT(empty, 10) << "Wait returns for nothing";
  return seen_.size() == before;
}

void RingTest::PeerSend(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(sent, 0) << strerrordesc_np(errno);
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

size_t RingTest::PeerFill(int fd) {
  const std::string bytes = Pattern(65536);
  size_t total = 0;
  // Twice, because what is in flight over loopback makes room for a little more.
  for (int i = 0; i < 2; ++i) {
    ssize_t sent;
    while ((sent = send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
      total += static_cast<size_t>(sent);
    }
    usleep(5000);
  }
  return total;
}

size_t RingTest::PeerDrain(int fd) {
  std::string room(65536, '\0');
  size_t total = 0;
  ssize_t received;
  while ((received = recv(fd, room.data(), room.size(), MSG_DONTWAIT)) > 0) {
    total += static_cast<size_t>(received);
  }
  return total;
}

size_t RingTest::OpenFds() {
  DIR* const folder = opendir("/proc/self/fd");
  size_t count = 0;
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

std::string Pattern(size_t size, uint64_t seed) {
  std::string result(size, '\0');
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (char& byte : result) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return result;
}

Address Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return Address(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

}  // namespace sallyport
