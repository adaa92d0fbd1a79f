#include "proxy/log/target.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sallyport {

absl::StatusOr<LogTarget> OpenLogTarget(const std::string& name) {
  if (name.empty()) return LogTarget{};
  if (name == kLogToJournal) return OpenJournal(kJournalSocket);
  constexpr mode_t kOwnerAndGroup = 0640;  // User names and addresses are nobody else's business.
  const int fd =
      open(name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, kOwnerAndGroup);
  if (fd < 0) return absl::UnavailableError(name + ": " + std::strerror(errno));
  return LogTarget{.fd = fd, .owned = true};
}

absl::StatusOr<LogTarget> OpenJournal(const std::string& path) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path)) return absl::UnavailableError(path + ": too long");
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::UnavailableError(path + ": " + std::strerror(errno));
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    close(fd);
    return absl::UnavailableError(path + ": " + std::strerror(error));
  }
  return LogTarget{.fd = fd, .owned = true, .journal = true};
}

}  // namespace sallyport
