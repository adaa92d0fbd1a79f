// The arguments of the process into assignments.
#ifndef PROXY_CONFIG_FLAGS_H_
#define PROXY_CONFIG_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/config/assignment.h"

namespace sallyport {

struct Flags {
  bool help = false;  // With either of these, what stood behind it was not looked at.
  bool version = false;
  bool check_config = false;
  bool sessions = false;
  std::optional<std::string> config_file;
  std::vector<Assignment> assignments;
};

// ReadFlags reads --name=value, --name value, --name and --no-name (of what is true or false), '-'
// and '_' alike, -h, -V, "--" before what is no flag, and the four arguments LISTEN_PORT
// SERVER_PORT CERTIFICATE KEY. kInvalidArgument, naming the flag: an unknown one, a value missing
// or not wanted.
absl::StatusOr<Flags> ReadFlags(int argc, const char* const* argv);

}  // namespace sallyport

#endif  // PROXY_CONFIG_FLAGS_H_
