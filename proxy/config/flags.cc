// getopt_long is no help here: it takes abbreviations (which a later option turns ambiguous), knows
// one spelling of a name, prints its own errors, and keeps its place in globals.
#include "proxy/config/flags.h"

#include <cassert>
#include <string_view>

#include "proxy/config/values.h"
#include "proxy/log/escape.h"

namespace sallyport {
namespace {

absl::Status Bad(const std::string& message) { return absl::InvalidArgumentError(message); }

class Reader {
 public:
  Reader(int argc, const char* const* argv) : argc_(argc), argv_(argv) {}

  absl::StatusOr<Flags> Read();

 private:
  absl::Status ReadFlag(std::string_view argument);
  absl::Status SetFlag(const Option& option, std::optional<std::string_view> value);
  absl::Status SetCommand(const Option& option, std::optional<std::string_view> value);
  absl::Status SetPositional();

  const int argc_;
  const char* const* const argv_;
  int next_ = 1;
  std::vector<std::string_view> positional_;
  Flags flags_;
};

absl::StatusOr<Flags> Reader::Read() {
  bool only_positional = false;
  while (next_ < argc_ && !flags_.help && !flags_.version) {
    const std::string_view argument = argv_[next_++];
    if (only_positional || argument.size() < 2 || argument[0] != '-') {
      positional_.push_back(argument);
    } else if (argument == "--") {
      only_positional = true;
    } else if (absl::Status status = ReadFlag(argument); !status.ok()) {
      return status;
    }
  }
  if (flags_.help || flags_.version) return flags_;
  if (absl::Status status = SetPositional(); !status.ok()) return status;
  return flags_;
}

absl::Status Reader::ReadFlag(std::string_view argument) {
  const size_t equals = argument.find('=');
  std::string_view spelled = argument.substr(0, equals);
  std::optional<std::string_view> value;
  if (equals != std::string_view::npos) value = argument.substr(equals + 1);
  if (spelled == "-h") spelled = "--help";
  if (spelled == "-V") spelled = "--version";

  const bool two_dashes = spelled.starts_with("--");
  const std::string name = NormalizedName(spelled.substr(two_dashes ? 2 : 1));
  if (two_dashes) {
    if (const Option* option = FindOption(name); option != nullptr && option->is_flag()) {
      return SetFlag(*option, value);
    }
    const Option* negated = name.starts_with("no_") ? FindOption(name.substr(3)) : nullptr;
    if (negated != nullptr && negated->kind == OptionKind::kBool) {
      if (value.has_value()) return Bad("--" + name + ": takes no value");
      return SetFlag(*negated, "false");
    }
  }
  return Bad(EscapeControls(spelled.substr(0, 100)) + ": no such flag; the nearest is --" +
             std::string(NearestOption(name, OptionPlace::kCommandLine)));
}

absl::Status Reader::SetFlag(const Option& option, std::optional<std::string_view> value) {
  if (option.kind == OptionKind::kCommand) return SetCommand(option, value);
  const std::string place = "--" + std::string(option.name);
  if (!value.has_value() && option.kind == OptionKind::kBool) value = "true";
  if (!value.has_value()) {
    // A value that begins with "--" can be given as --name=--value; here it is a value forgotten.
    if (next_ >= argc_ || std::string_view(argv_[next_]).starts_with("--")) {
      return Bad(place + ": a value is missing (" + std::string(option.value_name) + ")");
    }
    value = argv_[next_++];
  }
  if (option.kind == OptionKind::kConfigFile) {
    if (flags_.config_file.has_value()) return Bad(place + ": given twice");
    if (value->empty()) return Bad(place + ": a value is missing (FILE)");
    flags_.config_file = *value;
  } else {
    flags_.assignments.push_back({&option, std::string(*value), place});
  }
  return absl::OkStatus();
}

absl::Status Reader::SetCommand(const Option& option, std::optional<std::string_view> value) {
  if (value.has_value()) return Bad("--" + std::string(option.name) + ": takes no value");
  if (option.name == "help") {
    flags_.help = true;
  } else if (option.name == "version") {
    flags_.version = true;
  } else if (option.name == "sessions") {
    flags_.sessions = true;
  } else {
    assert(option.name == "check_config");
    flags_.check_config = true;
  }
  return absl::OkStatus();
}

// The form of cppforlife/mysql-proxy: 3306 3307 server.crt server.key.
absl::Status Reader::SetPositional() {
  if (positional_.empty()) return absl::OkStatus();
  if (positional_.size() != 4) {
    return Bad(
        Quoted(positional_[0]) +
        ": arguments that are no flags come as four: LISTEN_PORT SERVER_PORT CERTIFICATE KEY");
  }
  constexpr struct {
    const char* option;
    const char* host;
  } kMeanings[] = {
      {"listen", "0.0.0.0:"}, {"server", "127.0.0.1:"}, {"tls_cert", ""}, {"tls_key", ""}};
  for (int i = 0; i < 4; ++i) {
    const Option* option = FindOption(kMeanings[i].option);
    const std::string place =
        "argument " + std::to_string(i + 1) + " (" + kMeanings[i].option + ")";
    for (const Assignment& flag : flags_.assignments) {
      if (flag.option == option) return Bad(flag.place + ": already given as " + place);
    }
    const std::string_view text = positional_[i];
    if (*kMeanings[i].host != '\0') {
      absl::Status status = ParseCount(text, i == 0 ? 0 : 1, 65535).status();
      if (!status.ok()) return Bad(place + ": " + std::string(status.message()));
    }
    flags_.assignments.push_back({option, kMeanings[i].host + std::string(text), place});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Flags> ReadFlags(int argc, const char* const* argv) {
  return Reader(argc, argv).Read();
}

}  // namespace sallyport
