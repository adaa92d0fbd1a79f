// The command line and the configuration file: text in, a checked Config or one line of complaint
// out.
#ifndef PROXY_CONFIG_COMMAND_LINE_H_
#define PROXY_CONFIG_COMMAND_LINE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/config/config.h"

namespace sallyport {

// Exit codes of the process.
inline constexpr int kExitFailedStart = 1;
inline constexpr int kExitBadConfig = 2;

// ReadFile returns what the file holds; the error's message is for an operator ("No such file or
// directory"). Files over 1 MiB are refused: a configuration or a certificate is never that long.
absl::StatusOr<std::string> ReadFile(const std::string& path);

using FileReader = std::function<absl::StatusOr<std::string>(const std::string& path)>;

// What the command line asks for.
struct CommandLine {
  enum class Action {
    kRun,          // Start with `config`.
    kCheckConfig,  // Check what `config` points to (certificate files), then print `text`, exit 0.
    kSessions,     // Print the sessions of the proxy whose admin address `config` has.
    kExit,         // Print `text` to stdout and `error` to stderr, exit with `exit_code`.
  };

  Action action = Action::kExit;
  Config config;
  std::string config_file;  // That --config names; empty without.
  std::string text;         // Whole lines.
  std::string error;        // Empty, or one line with its end.
  int exit_code = 0;

  // Complaint is the line for stderr, its end included, about an option whose value turned out bad
  // later ("tls_cert", "the certificate expired ..."). It names where the value came from:
  // "sallyport: sallyport.toml:3: tls_cert: ...", "sallyport: --tls_cert: ...". `listener`: whose
  // value, of config.listeners; nobody's means the process's.
  static constexpr size_t kNoListener = SIZE_MAX;
  std::string Complaint(std::string_view option, std::string_view what,
                        size_t listener = kNoListener) const;
  // PlaceOf is how that line begins: the option's name alone, where nobody gave it.
  std::string PlaceOf(std::string_view option, size_t listener = kNoListener) const;

  // Where values came from, by option; those at their default are not in it.
  using Places = std::map<std::string, std::string, std::less<>>;
  Places places;
  struct ListenerPlaces {
    std::string table;  // Where its [[listener]] begins; empty: there is none.
    Places places;      // What it took from above the tables too.
  };
  std::vector<ListenerPlaces> listener_places = {ListenerPlaces{}};
};

// ParseCommandLine reads the arguments, the configuration file that --config names, and checks the
// whole: defaults, then the file's keys, then those of its [[listener]] tables, then flags, which
// win over every table. It never fails: bad arguments are a kExit with kExitBadConfig. It reads
// nothing but what `read_file` gives it. argv[0] is not looked at.
CommandLine ParseCommandLine(int argc, const char* const* argv,
                             const FileReader& read_file = ReadFile);

}  // namespace sallyport

#endif  // PROXY_CONFIG_COMMAND_LINE_H_
