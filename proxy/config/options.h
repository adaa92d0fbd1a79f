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
  kText,     // Words of a library's own, which it will check.
  kPath,
  kPaths,
  kChoice,  // One of `choices`; an enum's values are their places in it.
  kListenAddresses,
  kServerAddresses,
  kSniServers,
  kAdminAddress,
  kNetworks,
  kName,      // Of a listener; no flag.
};

// What an option is set in, or read from. Null: not that part.
template <typename Process, typename Listener>
struct OptionParts {
  Process* process = nullptr;
  Listener* listener = nullptr;
};
using OptionTarget = OptionParts<Config, ListenerConfig>;
using OptionSource = OptionParts<const Config, const ListenerConfig>;

struct Option {
  // For what counts twice.
  struct Both {
    uint32_t Config::*process;
    uint32_t ListenerConfig::*listener;
  };
  // A field of Config is the process's; one of ListenerConfig may also stand in a [[listener]].
  using Field =
      std::variant<std::monostate, bool Config::*, int Config::*, uint32_t Config::*,
                   std::string Config::*, std::vector<std::string> Config::*, IoEngine Config::*,
                   SandboxMode Config::*, LogFormat Config::*, bool ListenerConfig::*,
                   int ListenerConfig::*, uint32_t ListenerConfig::*, std::string ListenerConfig::*,
                   std::vector<std::string> ListenerConfig::*, TlsMode ListenerConfig::*,
                   TlsClientCertificates ListenerConfig::*, TlsClientUser ListenerConfig::*,
                   Balance ListenerConfig::*, KernelTlsMode ListenerConfig::*,
                   ProxyProtocolOut ListenerConfig::*, Both>;

  std::string_view name;  // With '_'; '-' is the same in flags and keys.
  std::string_view value_name;
  std::string_view help;
  OptionKind kind;
  Field field;
  int64_t min = 0;
  int64_t max = 0;
  std::span<const std::string_view> choices = {};

  bool is_flag() const;          // May stand on the command line.
  bool is_key() const;           // May stand in a configuration file,
  bool is_process_key() const;   // above all tables, where it is the process's,
  bool is_listener_key() const;  // or in a [[listener]].
  bool is_list() const;          // May be given more than once, and holds all of them.
  bool may_be_empty() const;     // A list that needs nothing in it.
  bool needs_restart() const;    // A reload can't change it.
};

// Options is the whole table, in the order --help shows it.
std::span<const Option> Options();

// FindOption takes either spelling. Null: no such option.
const Option* FindOption(std::string_view name);

// NearestOption is the name that takes the fewest edits (a letter put in, left out, changed, or
// swapped with the next) to become `name`, among those that may stand in that place.
enum class OptionPlace { kCommandLine, kFile, kListenerTable };
std::string_view NearestOption(std::string_view name, OptionPlace place);

// The name of the tables, in double brackets.
inline constexpr std::string_view kListenerTable = "listener";

// SetOption reads `text` into the option's field, in each part that has it and is given. A list
// takes what is between commas (of paths: all of it, or of an empty text nothing), one by one,
// behind what it holds. kInvalidArgument: what is wrong
// with the text; the field may have changed. REQUIRES: option.is_key().
absl::Status SetOption(const Option& option, std::string_view text, const OptionTarget& to);

// ClearOption empties a list. REQUIRES: option.is_list().
void ClearOption(const Option& option, const OptionTarget& to);

// CopyOption gives `to` the value that `from` has. REQUIRES: option.is_key(); the same parts.
void CopyOption(const Option& option, const OptionSource& from, const OptionTarget& to);

// OptionText is the field as a flag would give it; OptionToml as the configuration file would. What
// counts twice is read from the process's part, where that is given.
// REQUIRES: option.is_key(); the part that has the field is given.
std::string OptionText(const Option& option, const OptionSource& from);
std::string OptionToml(const Option& option, const OptionSource& from);

}  // namespace sallyport

#endif  // PROXY_CONFIG_OPTIONS_H_
