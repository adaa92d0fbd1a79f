// FitFileLimit: enough file descriptors for max_connections, or a promise that can be kept.
#ifndef PROXY_FILE_LIMIT_H_
#define PROXY_FILE_LIMIT_H_

#include <string>

#include "proxy/config/config.h"

namespace sallyport {

// FitFileLimit raises the limits of open files to what max_connections needs, the hard one where
// the process may. Where that is not enough: false, and `*why` says what is needed, if the operator
// gave max_connections (`given`) or next to nothing is left; else the default is lowered to what
// there is.
bool FitFileLimit(int workers, bool given, Config* config, std::string* why);

}  // namespace sallyport

#endif  // PROXY_FILE_LIMIT_H_
