// The configuration file: TOML text into assignments.
#ifndef PROXY_CONFIG_TOML_FILE_H_
#define PROXY_CONFIG_TOML_FILE_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/config/assignment.h"

namespace sallyport {

// ReadToml returns the file's assignments in the order of its lines. kInvalidArgument: not TOML, an
// unknown key, a key given twice, a value of the wrong type; the message names file, line and key.
// Whether a value is good is for SetOption to say.
absl::StatusOr<std::vector<Assignment>> ReadToml(std::string_view text, std::string_view file);

}  // namespace sallyport

#endif  // PROXY_CONFIG_TOML_FILE_H_
