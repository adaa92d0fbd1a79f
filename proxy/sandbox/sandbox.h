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

// LiesBelow says whether all that ReadableFolders names for `file` is in or below `folders`, which
// are its result for others.
bool LiesBelow(const std::vector<std::string>& folders, const std::string& file);

// WritablePlaces is what must stay writable so that `file`, which exists, can be made anew after
// somebody moved it away: its folder, by its path and by where a link leads; of what is no regular
// file (a device, a pipe) only itself.
std::vector<std::string> WritablePlaces(const std::string& file);

// EnterSandbox confines the calling thread, and all threads and processes that it starts from then
// on, for good. Of files they may open only
//   for reading: those below `readable`, and what the resolver of names reads (/etc/hosts, ...) and
//     loads (the system's folders of libraries);
//   for writing: those in and below `writable`, where they may also make regular files.
// They may remove, move, cut and run none. Sockets, those with a path too, are not its business.
// Threads that run already are not confined; what is open stays usable. What is not there is left
// out of both lists, and a file that is replaced by another of its name (not: a folder's file) is
// not the one that was allowed.
// kUnavailable, with the kernel's word, where it has no Landlock; nothing was given up then.
// kInternal where entering failed halfway: this thread can then gain no new privileges, and no
// more.
absl::Status EnterSandbox(const std::vector<std::string>& readable,
                          const std::vector<std::string>& writable = {});

}  // namespace sallyport

#endif  // PROXY_SANDBOX_SANDBOX_H_
