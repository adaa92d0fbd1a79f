// The sandbox: which files the process may still open once it serves.
#ifndef PROXY_SANDBOX_SANDBOX_H_
#define PROXY_SANDBOX_SANDBOX_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sallyport {

// ReadableFolders is what must stay readable so that these files can be read again: the folder of
// each, since a new file takes the old one's place, and the folder that a link leads to. Each once;
// empty paths and what does not exist are left out.
std::vector<std::string> ReadableFolders(const std::vector<std::string>& files);

// EnterSandbox confines the calling thread, and all threads and processes that it starts from then
// on, for good: of files they may open only those below `readable` and what the resolver of names
// reads (/etc/hosts, ...), for reading. They may write, make, remove, move, cut and run none.
// Threads that run already are not confined; what is open stays usable. What is not there is left
// out of `readable`.
// kUnavailable, with the kernel's word, where it has no Landlock; nothing was given up then.
// kInternal where entering failed halfway: this thread can then gain no new privileges, and no
// more.
absl::Status EnterSandbox(const std::vector<std::string>& readable);

}  // namespace sallyport

#endif  // PROXY_SANDBOX_SANDBOX_H_
