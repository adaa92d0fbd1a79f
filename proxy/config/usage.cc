#include "proxy/config/usage.h"

#include <string_view>

#include "proxy/config/options.h"
#include "proxy/config/version.h"

namespace sallyport {
namespace {

constexpr size_t kColumns = 80;
constexpr std::string_view kIndent = "      ";

constexpr std::string_view kUsage =
    "Usage: sallyport [flags]\n"
    "       sallyport [flags] LISTEN_PORT SERVER_PORT CERTIFICATE KEY\n"
    "\n"
    "Puts TLS in front of MySQL and MariaDB servers that have none.\n"
    "\n"
    "Flags are --name=value or --name value, with - or _ alike. --name and --no-name\n"
    "will do for what is true or false. Lists: repeat the flag, or put commas.\n"
    "The second form listens on all interfaces and connects to this machine.\n"
    "\n";

// Appends the words of `text`, indented, on as many lines as they need.
void AppendWrapped(std::string_view text, std::string* out) {
  size_t column = kColumns;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (column + 1 + word.size() > kColumns) {
      out->append(out->ends_with('\n') ? "" : "\n").append(kIndent);
      column = kIndent.size();
    } else {
      out->append(" ");
      ++column;
    }
    out->append(word);
    column += word.size();
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  out->append("\n");
}

}  // namespace

std::string HelpText() {
  std::string text(kUsage);
  const Config defaults;
  for (const Option& option : Options()) {
    if (!option.is_flag()) continue;
    text.append("  --").append(option.name);
    if (!option.value_name.empty()) text.append(" ").append(option.value_name);
    text.append("\n");
    std::string help(option.help);
    if (option.is_key()) {
      const std::string value = OptionText(option, {&defaults, &defaults.listeners[0]});
      help += value.empty() ? " (default: none)" : " (default: " + value + ")";
    }
    AppendWrapped(help, &text);
  }
  return text;
}

// One listener without a name needs no table.
std::string ConfigToml(const Config& config) {
  std::string text = "# The configuration in effect, sallyport " + std::string(kVersion) + "\n";
  const auto append = [&text](const Option& option, const OptionSource& from) {
    text.append(option.name).append(" = ").append(OptionToml(option, from)).append("\n");
  };
  const bool tables = config.listeners.size() > 1 || !config.listeners[0].name.empty();
  for (const Option& option : Options()) {
    if (!option.is_key() || !option.is_flag()) continue;
    if (!tables || option.is_process_key()) append(option, {&config, &config.listeners[0]});
  }
  if (!tables) return text;
  for (const ListenerConfig& listener : config.listeners) {
    text.append("\n[[").append(kListenerTable).append("]]\n");
    for (const Option& option : Options()) {
      if (option.kind == OptionKind::kName && listener.name.empty()) continue;
      if (option.is_listener_key()) append(option, {nullptr, &listener});
    }
  }
  return text;
}

}  // namespace sallyport
