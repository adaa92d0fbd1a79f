// The configuration file: TOML text into assignments.
#ifndef PROXY_CONFIG_TOML_FILE_H_
#define PROXY_CONFIG_TOML_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/config/assignment.h"

namespace sallyport {

// A [[listener]] of the file.
struct TomlListener {
  std::string place;  // Where it begins, for complaints: "sallyport.toml:7: listener".
  std::vector<Assignment> assignments;
};

struct TomlFile {
  std::vector<Assignment> assignments;  // Above all tables.
  std::vector<TomlListener> listeners;
};

// ReadToml returns the file's assignments in the order of its lines. kInvalidArgument: not TOML, an
// unknown key, one in the wrong place, a key given twice, a value of the wrong type; the message
// names file, line and key. Whether a value is good is for SetOption to say.
absl::StatusOr<TomlFile> ReadToml(std::string_view text, std::string_view file);

}  // namespace sallyport

#endif  // PROXY_CONFIG_TOML_FILE_H_
