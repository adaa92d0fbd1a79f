#include "proxy/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace sallyport {
namespace {

// Rights that are newer than Debian 12's <linux/landlock.h>. Source: the kernel's
// Documentation/userspace-api/landlock.rst.
constexpr uint64_t kAccessFsRefer = 1ULL << 13;     // ABI 2: to link or move across folders.
constexpr uint64_t kAccessFsTruncate = 1ULL << 14;  // ABI 3.
constexpr uint64_t kAccessFsIoctlDev = 1ULL << 15;  // ABI 5: ioctl on a device opened later.

constexpr uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kReadBelow = kReadFile | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr uint64_t kWriteBelow = kWriteFile | LANDLOCK_ACCESS_FS_MAKE_REG;

// What getaddrinfo reads, and the folders of what it loads, as /etc/nsswitch.conf says. (Without
// them names of /etc/hosts, localhost among them, are unknown.)
constexpr const char* kResolverFiles[] = {
    "/etc/hosts",    "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf",
    "/etc/gai.conf", "/etc/services",    "/etc/ld.so.cache",   "/lib",
    "/lib64",        "/usr/lib",         "/usr/lib64"};

// All rights to files that the kernel knows: what isn't handled is allowed.
uint64_t HandledRights(long abi) {
  uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;  // ABI 1: bits 0 to 12.
  if (abi >= 2) rights |= kAccessFsRefer;
  if (abi >= 3) rights |= kAccessFsTruncate;
  if (abi >= 5) rights |= kAccessFsIoctlDev;
  return rights;
}

absl::Status Error(absl::StatusCode code, const char* what) {
  return absl::Status(code, std::string(what) + ": " + std::strerror(errno));
}

bool Allow(int ruleset, const std::string& path, uint64_t of_file, uint64_t of_folder) {
  const int fd = open(path.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return true;  // Not there, so not needed.
  struct stat file {};
  landlock_path_beneath_attr rule{};
  rule.parent_fd = fd;
  rule.allowed_access = fstat(fd, &file) == 0 && S_ISDIR(file.st_mode) ? of_folder : of_file;
  const bool ok =
      syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  close(fd);
  return ok;
}

bool Restrict(int ruleset, const std::vector<std::string>& readable,
              const std::vector<std::string>& writable) {
  for (const std::string& path : readable) {
    if (!Allow(ruleset, path, kReadFile, kReadBelow)) return false;
  }
  for (const char* path : kResolverFiles) {
    if (!Allow(ruleset, path, kReadFile, kReadBelow)) return false;
  }
  for (const std::string& path : writable) {
    if (!Allow(ruleset, path, kWriteFile, kWriteBelow)) return false;
  }
  // The kernel's condition, so that no program with more rights is started inside the sandbox.
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

std::string FolderOf(const std::string& file) {
  const size_t slash = file.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : file.substr(0, slash);
}

}  // namespace

std::vector<std::string> ReadableFolders(const std::vector<std::string>& files) {
  std::vector<std::string> folders;
  for (const std::string& file : files) {
    if (file.empty()) continue;
    const std::unique_ptr<char, decltype(&std::free)> real(realpath(file.c_str(), nullptr),
                                                           std::free);
    for (const std::string& path : {file, std::string(real == nullptr ? "" : real.get())}) {
      if (path.empty()) continue;
      const std::unique_ptr<char, decltype(&std::free)> folder(
          realpath(FolderOf(path).c_str(), nullptr), std::free);
      if (folder != nullptr) folders.emplace_back(folder.get());
    }
  }
  std::sort(folders.begin(), folders.end());
  folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
  return folders;
}

bool LiesBelow(const std::vector<std::string>& folders, const std::string& file) {
  const std::vector<std::string> needed = ReadableFolders({file});
  return std::all_of(needed.begin(), needed.end(), [&](const std::string& folder) {
    return std::any_of(folders.begin(), folders.end(), [&](const std::string& open) {
      const bool begins = folder.starts_with(open);
      return begins && (open == "/" || folder.size() == open.size() || folder[open.size()] == '/');
    });
  });
}

std::vector<std::string> WritablePlaces(const std::string& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return {};
  return S_ISREG(status.st_mode) ? ReadableFolders({file}) : std::vector<std::string>{file};
}

absl::Status EnterSandbox(const std::vector<std::string>& readable,
                          const std::vector<std::string>& writable) {
  const long abi =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return Error(absl::StatusCode::kUnavailable, "no Landlock");
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = HandledRights(abi);
  const auto ruleset = static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0));
  if (ruleset < 0) return Error(absl::StatusCode::kUnavailable, "no Landlock ruleset");
  const absl::Status status = Restrict(ruleset, readable, writable)
                                  ? absl::OkStatus()
                                  : Error(absl::StatusCode::kInternal, "Landlock");
  close(ruleset);
  return status;
}

}  // namespace sallyport
