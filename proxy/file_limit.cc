#include "proxy/file_limit.h"

#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sallyport {
namespace {

// Descriptors beside the two of each connection: rings, listeners, wake-ups, log, admin, and idle
// pipes.
constexpr rlim_t kFilesBeside = 256;
constexpr rlim_t kFilesPerWorker = 16;

// How many may be open, at the most that this process can reach; `needed` or less.
rlim_t Raise(rlim_t needed) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return needed;
  // Above the hard limit only the privileged get; all others as far as that.
  const rlimit wanted = {needed, std::max(needed, limit.rlim_max)};
  if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return needed;
  limit.rlim_cur = std::min(needed, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return std::min(needed, limit.rlim_cur);
}

}  // namespace

bool FitFileLimit(int workers, bool given, Config* config, std::string* why) {
  const rlim_t beside = kFilesBeside + kFilesPerWorker * static_cast<rlim_t>(workers);
  const rlim_t needed = 2 * static_cast<rlim_t>(config->max_connections) + beside;
  const rlim_t allowed = Raise(needed);
  if (allowed >= needed) return true;
  if (given || allowed < beside + 2) {
    *why = absl::StrCat(config->max_connections, " connections need ", needed,
                        " file descriptors, and the hard limit is ", allowed,
                        " (ulimit -Hn, systemd's LimitNOFILE=)");
    return false;
  }
  config->max_connections = static_cast<uint32_t>((allowed - beside) / 2);
  return true;
}

}  // namespace sallyport
