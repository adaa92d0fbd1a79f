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
#include "proxy/config/contradiction.h"
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

// Sets what one source (the file, a table, or the flags) gives. A list it gives replaces what the
// sources before it gave.
absl::Status Apply(const std::vector<Assignment>& assignments, const OptionTarget& to,
                   CommandLine::Places* places) {
  std::set<const Option*> begun;
  for (const Assignment& assignment : assignments) {
    const Option& option = *assignment.option;
    if (option.is_list() && begun.insert(&option).second) ClearOption(option, to);
    places->insert_or_assign(std::string(option.name), assignment.place);
    absl::Status status = SetOption(option, assignment.text, to);
    if (!status.ok()) return absl::InvalidArgumentError(assignment.place + ": " + Message(status));
  }
  return absl::OkStatus();
}

// The keys above the tables are where each table begins; without tables they are the listener.
absl::Status ApplyFile(const std::string& file, const FileReader& read_file, CommandLine* result) {
  const absl::StatusOr<std::string> text = read_file(file);
  if (!text.ok()) {
    return absl::InvalidArgumentError("--config: " + EscapeControls(file) + ": " +
                                      Message(text.status()));
  }
  const absl::StatusOr<TomlFile> toml = ReadToml(*text, file);
  if (!toml.ok()) return toml.status();
  Config& config = result->config;
  absl::Status status = Apply(toml->assignments, {&config, &config.listeners[0]}, &result->places);
  result->listener_places[0].places = result->places;
  if (!status.ok() || toml->listeners.empty()) return status;

  config.listeners.assign(toml->listeners.size(), ListenerConfig(config.listeners[0]));
  result->listener_places.assign(toml->listeners.size(), {"", result->places});
  for (size_t i = 0; i < toml->listeners.size() && status.ok(); ++i) {
    result->listener_places[i].table = toml->listeners[i].place;
    status = Apply(toml->listeners[i].assignments, {nullptr, &config.listeners[i]},
                   &result->listener_places[i].places);
  }
  return status;
}

absl::Status ApplyFlags(const std::vector<Assignment>& assignments, CommandLine* result) {
  Config& config = result->config;
  for (const Assignment& flag : assignments) {
    const bool ambiguous = flag.option->name == "listen" || flag.option->name == "server";
    if (ambiguous && config.listeners.size() > 1) {
      return absl::InvalidArgumentError(
          flag.place + ": there are several [[listener]] tables, and it could be for any of them");
    }
  }
  // Once for the process's fields, then for the other listeners'.
  Config* process = &config;
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    absl::Status status =
        Apply(assignments, {std::exchange(process, nullptr), &config.listeners[i]},
              &result->listener_places[i].places);
    if (!status.ok()) return status;
  }
  for (const Assignment& flag : assignments) {
    result->places.insert_or_assign(std::string(flag.option->name), flag.place);
  }
  return absl::OkStatus();
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

std::string CommandLine::PlaceOf(std::string_view option, size_t listener) const {
  const bool any = listener == kNoListener;
  const Places& known = any ? places : listener_places[listener].places;
  if (const auto place = known.find(option); place != known.end()) return place->second;
  std::string place = any ? "" : listener_places[listener].table;
  if (!place.empty()) place += ": ";
  return place.append(option);
}

std::string CommandLine::Complaint(std::string_view option, std::string_view what,
                                   size_t listener) const {
  return "sallyport: " + PlaceOf(option, listener) + ": " + EscapeControls(what) + "\n";
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
  if (status.ok()) status = ApplyFlags(flags->assignments, &result);
  if (!status.ok()) return Refuse("sallyport: " + Message(status) + "\n");
  if (const auto found = FindContradiction(result.config); found.has_value()) {
    return Refuse(result.Complaint(found->option, found->what, found->listener));
  }

  result.action = CommandLine::Action::kRun;
  if (flags->sessions) result.action = CommandLine::Action::kSessions;
  if (flags->check_config) {
    result.action = CommandLine::Action::kCheckConfig;
    result.text = ConfigToml(result.config);
  }
  return result;
}

}  // namespace sallyport
