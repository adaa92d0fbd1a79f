#include "proxy/config/command_line.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "proxy/config/assignment.h"
#include "proxy/config/flags.h"
#include "proxy/config/options.h"
#include "proxy/config/toml_file.h"
#include "proxy/config/usage.h"
#include "proxy/config/values.h"
#include "proxy/config/version.h"
#include "proxy/log/escape.h"

namespace sallyport {
namespace {

constexpr size_t kFileMax = 1 << 20;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

CommandLine PrintAndExit(std::string text) {
  CommandLine result;
  result.text = std::move(text);
  return result;
}

CommandLine Refuse(std::string error) {
  CommandLine result;
  result.error = std::move(error);
  result.exit_code = kExitBadConfig;
  return result;
}

// Sets what one source (the file, or the flags) gives. A list it gives replaces what the sources
// before it gave.
absl::Status Apply(const std::vector<Assignment>& assignments, CommandLine* result) {
  std::set<const Option*> begun;
  for (const Assignment& assignment : assignments) {
    const Option& option = *assignment.option;
    if (option.is_list() && begun.insert(&option).second) ClearOption(option, &result->config);
    result->places.insert_or_assign(std::string(option.name), assignment.place);
    absl::Status status = SetOption(option, assignment.text, &result->config);
    if (!status.ok()) return absl::InvalidArgumentError(assignment.place + ": " + Message(status));
  }
  return absl::OkStatus();
}

absl::Status ApplyFile(const std::string& file, const FileReader& read_file, CommandLine* result) {
  const absl::StatusOr<std::string> text = read_file(file);
  if (!text.ok()) {
    return absl::InvalidArgumentError("--config: " + EscapeControls(file) + ": " +
                                      Message(text.status()));
  }
  const absl::StatusOr<std::vector<Assignment>> assignments = ReadToml(*text, file);
  if (!assignments.ok()) return assignments.status();
  return Apply(*assignments, result);
}

// What SetOption let through parses again.
Endpoint Parsed(std::string_view address) {
  constexpr AddressRules kAny = {.unix_socket = true, .port_zero = true, .any_host = true};
  return ParseAddress(address, kAny).value_or(Endpoint{});
}

// Options that are each good but do not go together: the option to name, and why.
std::optional<std::pair<std::string, std::string>> FindContradiction(const Config& config) {
  if (!config.tls_cert.empty() && config.tls_key.empty()) {
    return {{"tls_cert", "needs tls_key as well"}};
  }
  if (!config.tls_key.empty() && config.tls_cert.empty()) {
    return {{"tls_key", "needs tls_cert as well"}};
  }
  if (config.sandbox == SandboxMode::kOn && config.core_dumps) {
    return {{"core_dumps", "needs sandbox off: nothing can be written inside"}};
  }
  for (size_t i = 0; i < config.listen.size(); ++i) {
    const Endpoint listen = Parsed(config.listen[i]);
    for (size_t k = 0; k < i; ++k) {
      if (!SamePlace(Parsed(config.listen[k]), listen)) continue;
      return {{"listen", Quoted(config.listen[i]) + " is there twice"}};
    }
    for (const std::string& server : config.server) {
      // Each connection would open the next, until all ports are gone.
      if (!IsServedBy(Parsed(server), listen)) continue;
      return {{"server", Quoted(server) + " is the proxy itself (listen has " +
                             Quoted(config.listen[i]) + ")"}};
    }
    if (!config.admin.empty() && SamePlace(Parsed(config.admin), listen)) {
      return {{"admin", Quoted(config.admin) + " is in listen as well"}};
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return absl::NotFoundError(std::strerror(errno));
  std::string contents;
  struct stat status {};
  const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  // All the room at once: what it holds may be a key, and a string that grows leaves copies behind.
  const bool sized = regular && static_cast<uint64_t>(status.st_size) <= kFileMax;
  contents.resize((sized ? static_cast<size_t>(status.st_size) : kFileMax) + 1);
  size_t size = 0;
  ssize_t count = 0;
  while (size < contents.size()) {
    count = read(fd, contents.data() + size, contents.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    size += static_cast<size_t>(count);
  }
  const int error = errno;
  close(fd);
  if (count < 0) return absl::UnavailableError(std::strerror(error));
  if (size == contents.size()) return absl::OutOfRangeError("is too long (over 1 MiB), or growing");
  contents.resize(size);
  return contents;
}

std::string CommandLine::Complaint(std::string_view option, std::string_view what) const {
  const auto place = places.find(option);
  std::string line = "sallyport: ";
  line += place != places.end() ? std::string_view(place->second) : option;
  line += ": " + EscapeControls(what) + "\n";
  return line;
}

CommandLine ParseCommandLine(int argc, const char* const* argv, const FileReader& read_file) {
  const absl::StatusOr<Flags> flags = ReadFlags(argc, argv);
  if (!flags.ok()) return Refuse("sallyport: " + Message(flags.status()) + "\n");
  if (flags->help) return PrintAndExit(HelpText());
  if (flags->version) return PrintAndExit("sallyport " + std::string(kVersion) + "\n");

  CommandLine result;
  absl::Status status;
  result.config_file = flags->config_file.value_or("");
  if (flags->config_file.has_value()) status = ApplyFile(*flags->config_file, read_file, &result);
  if (status.ok()) status = Apply(flags->assignments, &result);
  if (!status.ok()) return Refuse("sallyport: " + Message(status) + "\n");
  if (const auto contradiction = FindContradiction(result.config); contradiction.has_value()) {
    return Refuse(result.Complaint(contradiction->first, contradiction->second));
  }

  result.action = CommandLine::Action::kRun;
  if (flags->check_config) {
    result.action = CommandLine::Action::kCheckConfig;
    result.text = ConfigToml(result.config);
  }
  return result;
}

}  // namespace sallyport
