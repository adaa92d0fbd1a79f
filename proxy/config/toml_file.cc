#include "proxy/config/toml_file.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string>

#include "proxy/config/values.h"
#include "proxy/log/escape.h"
#include "toml++/toml.h"

namespace sallyport {
namespace {

// One `key = value` of the file, before anything is known about the key.
struct Entry {
  std::string key;
  uint32_t line;
  const toml::node* node;
};

std::string Place(std::string_view file, uint32_t line) {
  return EscapeControls(file) + ":" + std::to_string(line) + ": ";
}

std::string NumberText(double value) {
  char text[400];  // The longest finite double takes 309 digits before its point.
  const auto [end, error] =
      std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed);
  return std::string(text, end);
}

// toml++ keeps a table by name; complaints had better come in the order a reader sees the lines.
std::vector<Entry> EntriesByLine(const toml::table& table) {
  std::vector<Entry> entries;
  for (const auto& [key, node] : table) {
    entries.push_back({std::string(key.str()), key.source().begin.line, &node});
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.line < b.line; });
  return entries;
}

// What a complaint says of a key that may not stand in that place; empty: it may.
std::string Misplaced(const std::string& key, OptionPlace place) {
  const Option* option = FindOption(key);
  const bool in_table = place == OptionPlace::kListenerTable;
  if (option == nullptr || (!option->is_flag() && !in_table)) {
    return "no such key; the nearest is " + std::string(NearestOption(key, place));
  }
  if (!option->is_key()) return "is a flag, not a key of this file";
  if (in_table && !option->is_listener_key()) {
    return "belongs to the whole process; put it above the first [[listener]]";
  }
  return "";
}

const char* WantedType(OptionKind kind) {
  switch (kind) {
    case OptionKind::kBool:
      return "true or false is wanted here, without quotes";
    case OptionKind::kCount:
      return "a whole number is wanted here, without quotes";
    case OptionKind::kSeconds:
      return "a number of seconds is wanted here, without quotes";
    case OptionKind::kListenAddresses:
    case OptionKind::kServerAddresses:
      return "an address in quotes, or an array of them, is wanted here";
    case OptionKind::kPaths:
      return "a path in quotes, or an array of them, is wanted here";
    case OptionKind::kSniServers:
      return "NAME=ADDRESS in quotes, or an array of them, is wanted here";
    case OptionKind::kNetworks:
      return "a network in quotes, or an array of them, is wanted here";
    case OptionKind::kCommand:
    case OptionKind::kConfigFile:
    case OptionKind::kText:
    case OptionKind::kPath:
    case OptionKind::kChoice:
    case OptionKind::kAdminAddress:
    case OptionKind::kName:
      break;
  }
  return "a text in quotes is wanted here";
}

// Puts a single value into `*text` as a flag would give it. False: not of the option's type.
bool ReadValue(const Option& option, const toml::node& node, std::string* text) {
  const bool is_seconds = option.kind == OptionKind::kSeconds;
  if (option.kind == OptionKind::kBool) {
    if (!node.is_boolean()) return false;
    *text = node.as_boolean()->get() ? "true" : "false";
  } else if (option.kind == OptionKind::kCount || is_seconds) {
    if (is_seconds && node.is_floating_point()) {
      *text = NumberText(node.as_floating_point()->get());
    } else {
      if (!node.is_integer()) return false;
      *text = std::to_string(node.as_integer()->get());
    }
  } else {
    if (!node.is_string()) return false;
    *text = node.as_string()->get();
  }
  return true;
}

absl::Status ReadEntry(const Entry& entry, const Option& option, std::string_view file,
                       std::vector<Assignment>* assignments) {
  const auto add = [&](const toml::node& node) -> absl::Status {
    const std::string place = Place(file, node.source().begin.line) + std::string(option.name);
    std::string text;
    if (!ReadValue(option, node, &text)) {
      return absl::InvalidArgumentError(place + ": " + WantedType(option.kind));
    }
    assignments->push_back({&option, text, place});
    return absl::OkStatus();
  };

  const toml::array* array = entry.node->as_array();
  if (array == nullptr || !option.is_list()) return add(*entry.node);
  if (array->empty() && option.may_be_empty()) {
    assignments->push_back({&option, "", Place(file, entry.line) + std::string(option.name)});
  } else if (array->empty()) {
    return absl::InvalidArgumentError(Place(file, entry.line) + std::string(option.name) +
                                      ": at least one address is needed");
  }
  for (const toml::node& element : *array) {
    if (absl::Status status = add(element); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadEntries(const std::vector<Entry>& entries, OptionPlace place,
                         std::string_view file, std::vector<Assignment>* assignments) {
  std::map<const Option*, uint32_t> lines;
  for (const Entry& entry : entries) {
    const std::string misplaced = Misplaced(entry.key, place);
    if (!misplaced.empty()) {
      return absl::InvalidArgumentError(Place(file, entry.line) + EscapeControls(entry.key) + ": " +
                                        misplaced);
    }
    const Option* option = FindOption(entry.key);
    // tls-mode beside tls_mode: two keys to TOML, one option here.
    const auto [first, is_new] = lines.emplace(option, entry.line);
    if (!is_new) {
      return absl::InvalidArgumentError(Place(file, entry.line) + std::string(option->name) +
                                        ": already given in line " + std::to_string(first->second));
    }
    absl::Status status = ReadEntry(entry, *option, file, assignments);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ReadListeners(const Entry& entry, std::string_view file,
                           std::vector<TomlListener>* listeners) {
  const std::string name(kListenerTable);
  const toml::array* tables = entry.node->as_array();
  if (tables == nullptr || tables->empty() || !tables->is_homogeneous<toml::table>()) {
    return absl::InvalidArgumentError(Place(file, entry.line) + name + ": is written [[" + name +
                                      "]], with its keys below");
  }
  for (const toml::node& table : *tables) {
    TomlListener& listener = listeners->emplace_back();
    listener.place = Place(file, table.source().begin.line) + name;
    absl::Status status = ReadEntries(EntriesByLine(*table.as_table()), OptionPlace::kListenerTable,
                                      file, &listener.assignments);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TomlFile> ReadToml(std::string_view text, std::string_view file) {
  toml::table table;
  try {  // The library throws; nothing of it gets past this function.
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(Place(file, error.source().begin.line) +
                                      EscapeControls(error.description()));
  }

  TomlFile result;
  std::vector<Entry> entries = EntriesByLine(table);
  const auto tables = std::find_if(entries.begin(), entries.end(),
                                   [](const Entry& entry) { return entry.key == kListenerTable; });
  std::optional<Entry> listeners;
  if (tables != entries.end()) {
    listeners = *tables;
    entries.erase(tables);
  }
  absl::Status status = ReadEntries(entries, OptionPlace::kFile, file, &result.assignments);
  if (status.ok() && listeners.has_value()) {
    status = ReadListeners(*listeners, file, &result.listeners);
  }
  if (!status.ok()) return status;
  return result;
}

}  // namespace sallyport
