#include "proxy/config/manual.h"

#include <string_view>

#include "proxy/config/options.h"
#include "proxy/config/version.h"

namespace sallyport {
namespace {

constexpr size_t kColumns = 80;

constexpr std::string_view kExampleHead =
    "# Sallyport's configuration: sallyport --config sallyport.toml\n"
    "# Every key is here with its default. Flags of the same names win over this file.\n"
    "# sallyport --check_config --config FILE says what is wrong with one, and where.\n"
    "# SIGHUP has it read again; what only a restart can change is marked.\n";

constexpr std::string_view kExampleListener =
    "\n"
    "# Several listeners: a table for each. What a table leaves out comes from above,\n"
    "# and all keys but those of the whole process may stand in one.\n"
    "#\n"
    "#[[listener]]\n"
    "#name = \"orders\"\n"
    "#listen = \"0.0.0.0:3306\"\n"
    "#server = \"unix:/run/mysqld/mysqld.sock\"\n"
    "#tls_mode = \"required\"\n"
    "#\n"
    "#[[listener]]\n"
    "#name = \"reports\"\n"
    "#listen = \"0.0.0.0:3307\"\n"
    "#server = [\"10.0.0.2:3306\", \"10.0.0.3:3306\"]\n"
    "#max_connections = 100\n";

constexpr std::string_view kPageHead =
    ".SH NAME\n"
    "sallyport \\- puts TLS in front of MySQL and MariaDB servers that have none\n"
    ".SH SYNOPSIS\n"
    ".B sallyport\n"
    "[\\fIflags\\fR]\n"
    ".br\n"
    ".B sallyport\n"
    "[\\fIflags\\fR] \\fILISTEN_PORT SERVER_PORT CERTIFICATE KEY\\fR\n"
    ".SH DESCRIPTION\n"
    "Every client that can log in to a server directly can log in over TLS through\n"
    ".BR sallyport ,\n"
    "and nothing on the client or the server changes. A password that a client hands over in "
    "clear\n"
    "never travels to a server over plaintext TCP: it goes encrypted with the server's own RSA "
    "key.\n"
    ".PP\n"
    "Flags are \\fB\\-\\-name=value\\fR or \\fB\\-\\-name value\\fR, with \\- or _ alike.\n"
    "\\fB\\-\\-name\\fR and \\fB\\-\\-no\\-name\\fR will do for what is true or false. Lists: "
    "repeat\n"
    "the flag, or put commas. The second form listens on all interfaces and connects to this\n"
    "machine.\n"
    ".SH OPTIONS\n";

constexpr std::string_view kPageTail =
    ".SH CONFIGURATION FILE\n"
    "The file of \\fB\\-\\-config\\fR is TOML with the same names as keys. Each "
    "\\fB[[listener]]\\fR\n"
    "table is a listener of its own; what it leaves out comes from the keys above all tables, "
    "then\n"
    "from the default. Without tables there is one listener. A flag wins over every table.\n"
    ".SH SIGNALS\n"
    ".TP\n"
    ".B SIGTERM, SIGINT\n"
    "Say so in /readyz for \\fBdrain_delay\\fR, stop accepting, and let sessions finish for\n"
    "\\fBshutdown_timeout\\fR. A second one ends all at once.\n"
    ".TP\n"
    ".B SIGHUP\n"
    "Read configuration and certificates again, for connections that come from then on. If "
    "anything\n"
    "is wrong nothing changes, and the log says why.\n"
    ".TP\n"
    ".B SIGUSR1\n"
    "Open \\fBlog_file\\fR again, after its rotation.\n"
    ".SH UPGRADE\n"
    "A process that is started with the same \\fBupgrade_socket\\fR as a running one, by the same "
    "user,\n"
    "takes over its listening sockets and the clients who wait there. The running one then "
    "accepts\n"
    "no more and ends with its last session. If the new one can't start, nothing changes.\n"
    ".SH EXIT STATUS\n"
    "0 after a clean stop, 1 for a failure at start, 2 for bad arguments or configuration.\n"
    ".SH NOTES\n"
    "Under systemd use Type=notify with ExecReload=kill \\-HUP $MAINPID, or Type=notify\\-reload "
    "where\n"
    "it is known. WatchdogSec= works: it is fed while every worker is alive. Sockets of a socket\n"
    "unit (LISTEN_FDS) serve the listener whose name is their FileDescriptorName, else the one "
    "with\n"
    "their address; that of \\fBadmin\\fR is called admin.\n";

// Appends the words of `text` as lines of a comment.
void AppendComment(std::string_view text, std::string* out) {
  size_t column = kColumns;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (column + 1 + word.size() > kColumns) {
      out->append(out->ends_with('\n') ? "#" : "\n#");
      column = 1;
    }
    out->append(" ").append(word);
    column += 1 + word.size();
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  out->append("\n");
}

// A key's meaning, and where it belongs.
std::string Help(const Option& option) {
  std::string help(option.help);
  if (!option.choices.empty() && help.find(option.choices[0]) == std::string::npos) {
    help += " One of:";
    for (const std::string_view choice : option.choices) help.append(" ").append(choice);
    help += ".";
  }
  if (option.kind == OptionKind::kName) return help;
  if (option.is_process_key() && !option.is_listener_key()) help += " Of the whole process.";
  if (option.needs_restart()) help += " A restart is needed to change it.";
  return help;
}

// Text as man wants it: nothing in it is a command.
std::string Roff(std::string_view text) {
  std::string escaped;
  if (!text.empty() && (text[0] == '.' || text[0] == '\'')) escaped = "\\&";
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

std::string ExampleToml() {
  std::string text(kExampleHead);
  const Config defaults;
  for (const Option& option : Options()) {
    if (!option.is_key() || !option.is_flag()) continue;
    text += "\n";
    AppendComment(Help(option), &text);
    const OptionSource source = {&defaults, &defaults.listeners[0]};
    text.append(option.name).append(" = ").append(OptionToml(option, source)).append("\n");
  }
  return text.append(kExampleListener);
}

std::string ManualPage() {
  std::string text = ".TH SALLYPORT 8 \"\" \"sallyport " + std::string(kVersion) + "\"\n";
  text += kPageHead;
  const Config defaults;
  for (const Option& option : Options()) {
    text += ".TP\n";
    const std::string name = Roff(option.name);
    text += option.is_flag() ? "\\fB\\-\\-" + name + "\\fR" : "\\fB" + name + "\\fR";
    if (!option.value_name.empty()) text += " \\fI" + Roff(option.value_name) + "\\fR";
    text += "\n";
    std::string help = option.is_key() ? Help(option) : std::string(option.help);
    if (option.is_key() && option.is_flag()) {
      const std::string value = OptionText(option, {&defaults, &defaults.listeners[0]});
      help += " Default: " + (value.empty() ? "none" : value) + ".";
    }
    text += Roff(help) + "\n";
  }
  return text.append(kPageTail);
}

}  // namespace sallyport
