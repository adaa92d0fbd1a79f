// Where the log goes: stderr, a file, or the journal.
#ifndef PROXY_LOG_TARGET_H_
#define PROXY_LOG_TARGET_H_

#include <string>

#include "absl/status/statusor.h"

namespace sallyport {

struct LogTarget {
  int fd = 2;
  bool owned = false;    // To be closed.
  bool journal = false;  // One datagram an entry, in the journal's own protocol.
};

inline constexpr char kLogToJournal[] = "journal";
// OpenLogTarget: "" is stderr; kLogToJournal the journal's socket; all else a file, which is made
// where there is none and appended to. The error's message is for an operator.
absl::StatusOr<LogTarget> OpenLogTarget(const std::string& name);

inline constexpr char kJournalSocket[] = "/run/systemd/journal/socket";
// OpenJournal connects to the journal's socket, wherever it is.
absl::StatusOr<LogTarget> OpenJournal(const std::string& path);

}  // namespace sallyport

#endif  // PROXY_LOG_TARGET_H_
