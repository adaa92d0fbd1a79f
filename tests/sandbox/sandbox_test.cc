#include "proxy/sandbox/sandbox.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "proxy/ring/address.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

// What a call came to: 0, or errno.
int Errno(int64_t result) { return result >= 0 ? 0 : errno; }

int Open(const std::string& path, int flags = O_RDONLY) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0600);
  const int error = Errno(fd);
  if (fd >= 0) close(fd);
  return error;
}

// Open by IORING_OP_OPENAT; ENOSYS where io_uring is refused.
int OpenByRing(const std::string& path) {
  io_uring ring{};
  if (io_uring_queue_init(4, &ring, 0) != 0) return ENOSYS;
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  io_uring_prep_openat(sqe, AT_FDCWD, path.c_str(), O_RDONLY, 0);
  io_uring_cqe* cqe = nullptr;
  int result = io_uring_submit_and_wait(&ring, 1);
  if (result >= 0) result = io_uring_wait_cqe(&ring, &cqe);
  if (result >= 0) result = cqe->res;
  io_uring_queue_exit(&ring);
  return result >= 0 ? 0 : -result;
}

class Sandbox : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(inside_);
    fs::create_directories(outside_);
    for (const fs::path& folder : {inside_, outside_}) std::ofstream(folder / "file") << "text";
    if (Run([] { return 0; }) == kNoLandlock) GTEST_SKIP() << "this kernel has no Landlock";
  }
  void TearDown() override { fs::remove_all(home_); }

  // The result of `act` in a child that has entered: a sandbox is for good. Errors fit into an exit
  // code.
  int Run(const std::function<int()>& act) {
    const pid_t child = fork();
    if (child == 0) {
      const absl::Status status = EnterSandbox({inside_.string(), "/no/such/folder"}, writable_);
      _exit(absl::IsUnavailable(status) ? kNoLandlock : !status.ok() ? kFailed : act());
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  static constexpr int kNoLandlock = 200;
  static constexpr int kFailed = 201;
  const fs::path home_ = fs::path(testing::TempDir()) / "sandbox";
  const fs::path inside_ = home_ / "inside";
  const fs::path outside_ = home_ / "outside";
  std::vector<std::string> writable_;
};

TEST_F(Sandbox, ReadsOnlyWhatIsNamed) {
  EXPECT_EQ(Run([&] { return Open(inside_ / "file"); }), 0);
  EXPECT_EQ(Run([&] { return Open(outside_ / "file"); }), EACCES);
  EXPECT_EQ(Run([&] { return Open("/etc/passwd"); }), EACCES);
  EXPECT_EQ(Run([&] { return Open("/proc/self/environ"); }), EACCES);
  EXPECT_EQ(Run([&] { return Open(inside_, O_DIRECTORY); }), 0);
  EXPECT_EQ(Run([&] { return Open("/etc", O_DIRECTORY); }), EACCES);
}

TEST_F(Sandbox, ReadsAFileThatTookTheOldOnesPlace) {
  int steps[2];
  ASSERT_EQ(pipe(steps), 0);
  const pid_t child = fork();
  if (child == 0) {
    const absl::Status entered = EnterSandbox({inside_.string()});
    char step = 0;
    if (!entered.ok() || read(steps[0], &step, 1) != 1) _exit(kFailed);
    _exit(Open(inside_ / "file"));
  }
  std::ofstream(inside_ / "new") << "renewed";
  fs::rename(inside_ / "new", inside_ / "file");
  ASSERT_EQ(write(steps[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  close(steps[0]);
  close(steps[1]);
}

TEST_F(Sandbox, WritesMakesAndRemovesNothing) {
  const std::string file = inside_ / "file";
  EXPECT_EQ(Run([&] { return Open(file, O_WRONLY); }), EACCES);
  EXPECT_EQ(Run([&] { return Open(file, O_RDWR); }), EACCES);
  EXPECT_EQ(Run([&] { return Open(inside_ / "new", O_WRONLY | O_CREAT); }), EACCES);
  EXPECT_EQ(Run([&] { return Errno(mkdir((inside_ / "folder").c_str(), 0700)); }), EACCES);
  EXPECT_EQ(Run([&] { return Errno(unlink(file.c_str())); }), EACCES);
  EXPECT_EQ(Run([&] { return Errno(symlink("/etc", (inside_ / "link").c_str())); }), EACCES);
  EXPECT_NE(Run([&] { return Errno(rename(file.c_str(), (outside_ / "b").c_str())); }), 0);
  EXPECT_EQ(Run([] { return Open("/tmp/sallyport-sandbox-test", O_WRONLY | O_CREAT); }), EACCES);
}

TEST_F(Sandbox, WritesAndMakesWhereItMay) {
  writable_ = {outside_.string(), (home_ / "single").string()};
  std::ofstream(home_ / "single") << "text";
  EXPECT_EQ(Run([&] { return Open(outside_ / "file", O_WRONLY | O_APPEND); }), 0);
  EXPECT_EQ(Run([&] { return Open(outside_ / "new", O_WRONLY | O_APPEND | O_CREAT); }), 0);
  EXPECT_TRUE(fs::exists(outside_ / "new"));
  EXPECT_EQ(Run([&] { return Open(home_ / "single", O_WRONLY); }), 0);
  EXPECT_EQ(Run([&] { return Open(outside_ / "file"); }), EACCES) << "reading is not writing";
  EXPECT_EQ(Run([&] { return Errno(unlink((outside_ / "file").c_str())); }), EACCES);
  EXPECT_EQ(Run([&] { return Errno(truncate((inside_ / "file").c_str(), 0)); }), EACCES);
  EXPECT_EQ(Run([&] { return Open(inside_ / "new", O_WRONLY | O_CREAT); }), EACCES);
}

TEST_F(Sandbox, LoadsWhatTheResolverLoads) {
  EXPECT_EQ(Run([] { return dlopen("libnss_compat.so.2", RTLD_NOW) == nullptr ? 1 : 0; }), 0);
}

TEST_F(Sandbox, RunsNothing) {
  EXPECT_EQ(Run([] {
              execl("/bin/true", "true", nullptr);
              return errno;
            }),
            EACCES);
}

TEST_F(Sandbox, HoldsForThreadsThatStartLater) {
  EXPECT_EQ(Run([&] {
              int error = 0;
              std::thread([&] { error = Open(outside_ / "file"); }).join();
              return error;
            }),
            EACCES);
}

TEST_F(Sandbox, IsNotPassedByThroughIoUring) {
  const int inside = Run([&] { return OpenByRing(inside_ / "file"); });
  if (inside == ENOSYS) GTEST_SKIP() << "this machine refuses io_uring";
  EXPECT_EQ(inside, 0);
  EXPECT_EQ(Run([&] { return OpenByRing(outside_ / "file"); }), EACCES);
}

TEST_F(Sandbox, LetsOpenDescriptorsBe) {
  const int log = open((outside_ / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(log, 0);
  EXPECT_EQ(Run([&] { return Errno(write(log, "line\n", 5)); }), 0);
  close(log);
  EXPECT_EQ(fs::file_size(outside_ / "log"), 5u);
}

TEST_F(Sandbox, StillKnowsLocalNames) {
  EXPECT_EQ(Run([] { return ResolveAddress("localhost:3306").ok() ? 0 : 1; }), 0);
}

TEST(ReadableFolders, AreThoseOfTheFilesAndOfWhereLinksLead) {
  const fs::path home = fs::canonical(testing::TempDir()) / "folders";
  fs::create_directories(home / "live");
  fs::create_directories(home / "archive");
  std::ofstream(home / "archive/key1") << "key";
  fs::create_symlink("../archive/key1", home / "live/key");
  const std::vector<std::string> expected = {home / "archive", home / "live"};
  EXPECT_EQ(ReadableFolders({home / "live/key", "", home / "live/key"}), expected);
  EXPECT_EQ(ReadableFolders({"/no/such/folder/key"}), std::vector<std::string>());
  EXPECT_EQ(ReadableFolders({"in_this_folder"}),
            std::vector<std::string>{fs::current_path().string()});
  fs::remove_all(home);
}

TEST(LiesBelow, KnowsWhatAFolderHolds) {
  const fs::path home = fs::canonical(testing::TempDir()) / "below";
  fs::create_directories(home / "live/deep");
  fs::create_directories(home / "live2");
  fs::create_symlink("../live2/key", home / "live/link");
  const std::vector<std::string> live = {home / "live"};
  EXPECT_TRUE(LiesBelow(live, home / "live/key"));
  EXPECT_TRUE(LiesBelow(live, home / "live/deep/key"));
  EXPECT_FALSE(LiesBelow(live, home / "live2/key"));
  EXPECT_FALSE(LiesBelow(live, home / "key"));
  EXPECT_TRUE(LiesBelow(live, home / "live/link")) << "it leads nowhere yet";
  std::ofstream(home / "live2/key") << "key";
  EXPECT_FALSE(LiesBelow(live, home / "live/link"));
  EXPECT_TRUE(LiesBelow({"/"}, home / "live/link"));
  EXPECT_FALSE(LiesBelow({}, home / "live/key"));
  fs::remove_all(home);
}

TEST(WritablePlaces, AreTheFolderOfAFileOrTheDevice) {
  const fs::path home = fs::canonical(testing::TempDir()) / "writable";
  fs::create_directories(home);
  std::ofstream(home / "log") << "line";
  EXPECT_EQ(WritablePlaces(home / "log"), std::vector<std::string>{home.string()});
  EXPECT_EQ(WritablePlaces("/dev/null"), std::vector<std::string>{"/dev/null"});
  EXPECT_EQ(WritablePlaces(home / "absent"), std::vector<std::string>());
  fs::remove_all(home);
}

}  // namespace
}  // namespace sallyport
