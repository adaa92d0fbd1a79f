// The table of options: from it come the flags, the keys of the configuration file, --help and
// --check_config.
#ifndef PROXY_CONFIG_OPTIONS_H_
#define PROXY_CONFIG_OPTIONS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "proxy/config/config.h"

namespace sallyport {

enum class OptionKind {
  kCommand,     // A bare flag that says what to do; not a key, not in Config.
  kConfigFile,  // --config FILE; not a key, not in Config.
  kBool,
  kCount,    // Whole numbers in min..max.
  kSeconds,  // Given in seconds, fractions allowed; kept, and limited by min..max, in milliseconds.
  kPath,
  kChoice,  // One of `choices`; an enum's values are their places in it.
  kListenAddresses,
  kServerAddresses,
  kAdminAddress,
};

struct Option {
  using Field = std::variant<std::monostate, bool Config::*, int Config::*, uint32_t Config::*,
                             std::string Config::*, std::vector<std::string> Config::*,
                             TlsMode Config::*, IoEngine Config::*, SandboxMode Config::*>;

  std::string_view name;  // With '_'; '-' is the same in flags and keys.
  std::string_view value_name;
  std::string_view help;
  OptionKind kind;
  Field field;
  int64_t min = 0;
  int64_t max = 0;
  std::span<const std::string_view> choices = {};

  bool is_key() const;   // May stand in a configuration file.
  bool is_list() const;  // May be given more than once, and holds all of them.
};

// Options is the whole table, in the order --help shows it.
std::span<const Option> Options();

// FindOption takes either spelling. Null: no such option.
const Option* FindOption(std::string_view name);

// NearestOption is the name that takes the fewest edits (a letter put in, left out, changed, or
// swapped with the next) to become `name`. keys_only: among those of the configuration file.
std::string_view NearestOption(std::string_view name, bool keys_only);

// SetOption reads `text` into the option's field. A list takes what is between commas, one by one,
// behind what it holds. kInvalidArgument: what is wrong with the text; the field may have changed.
// REQUIRES: option.is_key().
absl::Status SetOption(const Option& option, std::string_view text, Config* config);

// ClearOption empties a list. REQUIRES: option.is_list().
void ClearOption(const Option& option, Config* config);

// OptionText is the field as a flag would give it; OptionToml as the configuration file would.
// REQUIRES: option.is_key().
std::string OptionText(const Option& option, const Config& config);
std::string OptionToml(const Option& option, const Config& config);

}  // namespace sallyport

#endif  // PROXY_CONFIG_OPTIONS_H_
