#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/ring/ring.h"

namespace sallyport {
namespace {

std::string Resolve(std::string_view text) {
  const absl::StatusOr<std::vector<Address>> addresses = ResolveAddress(text);
  if (!addresses.ok()) return std::string(addresses.status().message());
  std::string result;
  for (const Address& address : *addresses) {
    result += (result.empty() ? "" : " ") + address.ToString();
  }
  return result;
}

TEST(Address, IsNoneByDefault) {
  EXPECT_EQ(Address().ToString(), "-");
  EXPECT_EQ(Address().port(), 0);
  EXPECT_EQ(Address().family(), AF_UNSPEC);
}

TEST(ResolveAddress, ReadsWhatItWrites) {
  for (const char* text :
       {"127.0.0.1:3306", "[::1]:3306", "[2001:db8::7]:0", "0.0.0.0:65535",
        "unix:/run/mysqld/mysqld.sock", "unix:@abstract", "unix:relative.sock"}) {
    EXPECT_EQ(Resolve(text), text);
  }
}

TEST(ResolveAddress, TellsPortAndFamily) {
  EXPECT_EQ((*ResolveAddress("127.0.0.1:3306"))[0].port(), 3306);
  EXPECT_EQ((*ResolveAddress("[::1]:3307"))[0].port(), 3307);
  EXPECT_EQ((*ResolveAddress("unix:/x"))[0].port(), 0);
  EXPECT_TRUE((*ResolveAddress("unix:/x"))[0].is_unix());
  EXPECT_FALSE((*ResolveAddress("[::1]:3307"))[0].is_unix());
}

TEST(ResolveAddress, WithoutAHostMeansAllInterfaces) {
  const std::string addresses = Resolve(":6033");
  EXPECT_TRUE(addresses == "0.0.0.0:6033 [::]:6033" || addresses == "0.0.0.0:6033") << addresses;
}

TEST(ResolveAddress, LooksUpNames) {
  EXPECT_NE(Resolve("localhost:3306").find("127.0.0.1:3306"), std::string::npos);
}

TEST(ResolveAddress, SaysWhatIsWrong) {
  const std::string long_path(108, 'x');
  const std::pair<std::string, std::string> cases[] = {
      {"", "a port is missing, as in host:3306"},
      {"localhost", "a port is missing, as in host:3306"},
      {"localhost:", "the port is no number"},
      {"localhost:mysql", "the port is no number"},
      {"localhost:65536", "the port is no number"},
      {"localhost:-1", "the port is no number"},
      {"localhost:+1", "the port is no number"},
      {"localhost: 1", "the port is no number"},
      {"localhost:99999999999999999999", "the port is no number"},
      {"::1:3306", "an IPv6 address stands in brackets"},
      {"[::1]", "a port is missing, as in [::1]:3306"},
      {"[::1]3306", "a port is missing, as in [::1]:3306"},
      {"[::1", "a ] is missing"},
      {"[]:3306", "an address is missing between [ and ]"},
      {"[localhost]:3306", "no IPv6 address stands in the brackets"},
      {"[127.0.0.1]:3306", "no IPv6 address stands in the brackets"},
      {"unix:", "a path is missing after unix:"},
      {"unix:@", "a path is missing after unix:"},
      {"unix:/" + long_path, "the path of a unix socket has at most 107 bytes"},
      {std::string("unix:/a\0b", 9), "a path has no NUL in it"},
  };
  for (const auto& [text, reason] : cases) {
    const absl::StatusOr<std::vector<Address>> addresses = ResolveAddress(text);
    EXPECT_EQ(addresses.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(Resolve(text).find(reason), std::string::npos) << Resolve(text);
    EXPECT_EQ(Resolve(text).find("'" + text + "': "), 0u) << Resolve(text);
  }
}

TEST(ResolveAddress, SaysThatANameHasNoAddress) {
  // A name that no resolver is asked about: it is no legal one.
  const absl::StatusOr<std::vector<Address>> addresses = ResolveAddress("a..b:3306");
  EXPECT_EQ(addresses.status().code(), absl::StatusCode::kUnavailable);
}

class ListenTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // A unix socket's path is short; a test runner's folder may be deep.
    std::string name = "/tmp/sallyport-ring.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ + "/s";
  }
  void TearDown() override {
    for (const int fd : fds_) close(fd);
    unlink(path_.c_str());
    rmdir(folder_.c_str());
  }

  absl::StatusOr<int> TryListen(const Address& address) {
    const absl::StatusOr<int> fd = Listen(address, 10);
    if (fd.ok()) fds_.push_back(*fd);
    return fd;
  }
  Address UnixAddress() { return (*ResolveAddress("unix:" + path_))[0]; }

  std::string folder_, path_;
  std::vector<int> fds_;
};

TEST_F(ListenTest, TellsThePortThatZeroBecame) {
  const absl::StatusOr<int> fd = TryListen((*ResolveAddress("127.0.0.1:0"))[0]);
  ASSERT_TRUE(fd.ok()) << fd.status();
  EXPECT_GT(LocalAddress(*fd).port(), 0);
  EXPECT_EQ(LocalAddress(-1).ToString(), "-");
}

TEST_F(ListenTest, EveryWorkerListensOnTheSamePort) {
  const absl::StatusOr<int> first = TryListen((*ResolveAddress("127.0.0.1:0"))[0]);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(TryListen(LocalAddress(*first)).ok());
}

TEST_F(ListenTest, BothFamiliesListenOnTheSamePort) {
  const absl::StatusOr<int> v4 = TryListen((*ResolveAddress("0.0.0.0:0"))[0]);
  ASSERT_TRUE(v4.ok());
  const std::string port = std::to_string(LocalAddress(*v4).port());
  const std::vector<Address> both = *ResolveAddress(":" + port);
  if (both.size() < 2) GTEST_SKIP() << "this kernel has no IPv6";
  const absl::StatusOr<int> v6 = TryListen(both[1]);
  EXPECT_TRUE(v6.ok()) << v6.status();
}

TEST_F(ListenTest, SaysThatAPortIsTaken) {
  // By somebody who doesn't share it.
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  fds_.push_back(fd);
  const Address any = (*ResolveAddress("127.0.0.1:0"))[0];
  ASSERT_EQ(bind(fd, any.get(), any.size()), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  const absl::StatusOr<int> refused = TryListen(LocalAddress(fd));
  EXPECT_EQ(refused.status().message(),
            LocalAddress(fd).ToString() + ": bind: Address already in use");
}

TEST_F(ListenTest, SaysThatAnAddressIsNotOurs) {
  const absl::StatusOr<int> refused = TryListen((*ResolveAddress("192.0.2.1:0"))[0]);
  EXPECT_EQ(refused.status().message(), "192.0.2.1:0: bind: Cannot assign requested address");
}

TEST_F(ListenTest, ReplacesASocketFileThatACrashLeft) {
  const int dead = Listen(UnixAddress(), 10).value();
  close(dead);
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0) << "the file is to stay";
  const absl::StatusOr<int> fd = TryListen(UnixAddress());
  ASSERT_TRUE(fd.ok()) << fd.status();
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  fds_.push_back(client);
  EXPECT_EQ(connect(client, UnixAddress().get(), UnixAddress().size()), 0);
}

TEST_F(ListenTest, LeavesASocketFileAloneThatIsInUse) {
  const absl::StatusOr<int> first = TryListen(UnixAddress());
  ASSERT_TRUE(first.ok());
  const absl::StatusOr<int> second = TryListen(UnixAddress());
  EXPECT_EQ(second.status().message(),
            "unix:" + path_ + ": another process listens on this socket");
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  fds_.push_back(client);
  EXPECT_EQ(connect(client, UnixAddress().get(), UnixAddress().size()), 0);
}

TEST_F(ListenTest, LeavesAFileAloneThatIsNoSocket) {
  FILE* const file = fopen(path_.c_str(), "w");
  ASSERT_NE(file, nullptr);
  fclose(file);
  const absl::StatusOr<int> refused = TryListen(UnixAddress());
  EXPECT_EQ(refused.status().message(),
            "unix:" + path_ + ": a file that is no socket is in the way");
  struct stat info;
  EXPECT_EQ(stat(path_.c_str(), &info), 0);
}

TEST_F(ListenTest, ReplacesNoAbstractSocket) {
  const Address address = (*ResolveAddress("unix:@sallyport_listen_test"))[0];
  ASSERT_TRUE(TryListen(address).ok());
  EXPECT_EQ(TryListen(address).status().message(),
            "unix:@sallyport_listen_test: bind: Address already in use");
}

TEST(Address, KnowsWhatIsNear) {
  for (const char* near :
       {"127.0.0.1:1", "127.9.9.9:1", "10.0.0.1:1", "172.16.0.1:1", "172.31.255.255:1",
        "192.168.1.1:1", "169.254.1.1:1", "[::1]:1", "[fd00::1]:1", "[fe80::1]:1",
        "[::ffff:10.0.0.1]:1", "unix:/run/mysqld.sock"}) {
    EXPECT_TRUE(ResolveAddress(near).value()[0].is_near()) << near;
  }
  for (const char* far : {"128.0.0.1:1", "11.0.0.1:1", "172.15.255.255:1", "172.32.0.1:1",
                          "192.169.0.1:1", "8.8.8.8:1", "[2001:db8::1]:1", "[::ffff:8.8.8.8]:1"}) {
    EXPECT_FALSE(ResolveAddress(far).value()[0].is_near()) << far;
  }
}

}  // namespace
}  // namespace sallyport
