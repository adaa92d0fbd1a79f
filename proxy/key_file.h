// Who beside its owner may touch a private key's file.
#ifndef PROXY_KEY_FILE_H_
#define PROXY_KEY_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace sallyport {

// CheckKeyFile looks at the mode of the file at `path`, links followed. kPermissionDenied, with a
// message that has the mode, where everybody may write it: whoever does decides what key is served.
// Otherwise OK, and `*mode` is the mode in octal ("0644") where group or others may read or write,
// empty where the key is its owner's alone. A key of root's may be read by its group, where this
// process isn't root: else it couldn't be read at all. What is no regular file (a pipe) or can't be
// looked at is OK: reading it tells more.
absl::Status CheckKeyFile(const std::string& path, std::string* mode);

}  // namespace sallyport

#endif  // PROXY_KEY_FILE_H_
