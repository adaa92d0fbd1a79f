// How an option's field is read from text, and written as text.
#include <cassert>
#include <sstream>
#include <type_traits>

#include "proxy/config/options.h"
#include "proxy/config/values.h"
#include "proxy/proxy_protocol/networks.h"
#include "toml++/toml.h"

namespace sallyport {
namespace {

using enum OptionKind;

constexpr AddressRules kListenRules = {.port_zero = true, .any_host = true};
constexpr AddressRules kServerRules = {.unix_socket = true};

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

template <typename Member, typename Parts>
auto* Owner(Member Config::*, const Parts& parts) {
  return parts.process;
}
template <typename Member, typename Parts>
auto* Owner(Member ListenerConfig::*, const Parts& parts) {
  return parts.listener;
}

// Calls `use(owner, field)` for each part that has the option and is given.
template <typename Parts, typename Use>
void ForEachField(const Option& option, const Parts& parts, const Use& use) {
  const auto use_if_given = [&](auto field) {
    if (auto* owner = Owner(field, parts); owner != nullptr) use(owner, field);
  };
  std::visit(
      [&](auto field) {
        if constexpr (std::is_same_v<decltype(field), Option::Both>) {
          use_if_given(field.process);
          use_if_given(field.listener);
        } else if constexpr (!std::is_same_v<decltype(field), std::monostate>) {
          use_if_given(field);
        }
      },
      option.field);
}

// Puts `value` into the field, which the table gives the right type for the option's kind.
template <typename Value>
void Store(const Option& option, Value value, const OptionTarget& to) {
  ForEachField(option, to, [&](auto* owner, auto field) {
    using Member = std::remove_reference_t<decltype(owner->*field)>;
    if constexpr (std::is_same_v<Member, Value>) {
      owner->*field = value;
    } else if constexpr (std::is_integral_v<Value> && !std::is_same_v<Value, bool> &&
                         (std::is_integral_v<Member> || std::is_enum_v<Member>)) {
      owner->*field = static_cast<Member>(value);
    }
  });
}

// Calls `use(list)` for each part's list.
template <typename Use>
void ForEachList(const Option& option, const OptionTarget& to, const Use& use) {
  ForEachField(option, to, [&](auto* owner, auto field) {
    using Member = std::remove_reference_t<decltype(owner->*field)>;
    if constexpr (std::is_same_v<Member, std::vector<std::string>>) use(&(owner->*field));
  });
}

// Adds what stands between commas, one by one, as `check` finds nothing wrong with it.
template <typename Check>
absl::Status AddItems(const Option& option, std::string_view text, std::string_view what,
                      const Check& check, const OptionTarget& to) {
  if (option.may_be_empty() && Trimmed(text).empty()) return absl::OkStatus();
  for (;;) {
    const size_t comma = text.find(',');
    const std::string_view item = Trimmed(text.substr(0, comma));
    if (item.empty()) {
      return absl::InvalidArgumentError(std::string(what) + " is missing");
    }
    if (absl::Status status = check(item); !status.ok()) return status;
    ForEachList(option, to, [&](auto* list) { list->emplace_back(item); });
    if (comma == std::string_view::npos) return absl::OkStatus();
    text.remove_prefix(comma + 1);
  }
}

absl::Status CheckNetwork(std::string_view item) {
  const absl::Status status = Networks().Add(item);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(Quoted(item) + " " + std::string(status.message()));
}

absl::Status CheckSniServer(std::string_view item) { return ParseSniServer(item).status(); }

absl::Status AddAddresses(const Option& option, std::string_view text, const AddressRules& rules,
                          const OptionTarget& to) {
  const auto check = [&](std::string_view item) { return ParseAddress(item, rules).status(); };
  return AddItems(option, text, "an address", check, to);
}

absl::Status SetChoice(const Option& option, std::string_view text, const OptionTarget& to) {
  const absl::StatusOr<size_t> choice = ParseChoice(text, option.choices);
  if (!choice.ok()) return choice.status();
  Store(option, *choice, to);                               // An enum.
  Store(option, std::string(option.choices[*choice]), to);  // A text.
  return absl::OkStatus();
}

absl::Status SetText(const Option& option, std::string_view text, const absl::Status& status,
                     const OptionTarget& to) {
  if (status.ok()) Store(option, std::string(text), to);
  return status;
}

template <typename Value>
absl::Status SetParsed(const Option& option, const absl::StatusOr<Value>& value,
                       const OptionTarget& to) {
  if (value.ok()) Store(option, *value, to);
  return value.status();
}

template <typename Member>
std::vector<std::string> ItemsOf(const Option& option, const Member& member) {
  if constexpr (std::is_same_v<Member, bool>) {
    return {member ? "true" : "false"};
  } else if constexpr (std::is_same_v<Member, std::string>) {
    return {member};
  } else if constexpr (std::is_same_v<Member, std::vector<std::string>>) {
    return member;
  } else if constexpr (std::is_enum_v<Member>) {
    return {std::string(option.choices[static_cast<size_t>(member)])};
  } else {
    return {option.kind == kSeconds ? SecondsText(member) : std::to_string(member)};
  }
}

// What a flag would say for a field, one item at a time.
std::vector<std::string> Items(const Option& option, const OptionSource& from) {
  std::vector<std::string> items;
  ForEachField(option, from, [&](const auto* owner, auto field) {
    if (items.empty()) items = ItemsOf(option, owner->*field);
  });
  return items;
}

std::string TomlString(const std::string& text) {
  std::ostringstream out;
  out << toml::toml_formatter(toml::value<std::string>(text), toml::format_flags::none);
  return out.str();
}

}  // namespace

absl::Status SetOption(const Option& option, std::string_view text, const OptionTarget& to) {
  switch (option.kind) {
    case kCommand:
    case kConfigFile:
      break;
    case kBool:
      return SetParsed(option, ParseBool(text), to);
    case kCount:
      return SetParsed(option, ParseCount(text, option.min, option.max), to);
    case kSeconds:
      return SetParsed(option, ParseSeconds(text, option.min, option.max), to);
    case kText:
    case kPath:
      return SetText(option, text, CheckPath(text), to);
    case kPaths:
      if (!text.empty()) ForEachList(option, to, [&](auto* list) { list->emplace_back(text); });
      return CheckPath(text);
    case kChoice:
      return SetChoice(option, text, to);
    case kListenAddresses:
      return AddAddresses(option, text, kListenRules, to);
    case kServerAddresses:
      return AddAddresses(option, text, kServerRules, to);
    case kNetworks:
      return AddItems(option, text, "a network", CheckNetwork, to);
    case kSniServers:
      return AddItems(option, text, "a server", CheckSniServer, to);
    case kAdminAddress:
      return SetText(option, text,
                     text.empty() ? absl::OkStatus() : ParseAddress(text, kListenRules).status(),
                     to);
    case kName:
      return SetText(option, text, CheckName(text), to);
  }
  assert(false && "not a key");
  return absl::InternalError("not a key");
}

void ClearOption(const Option& option, const OptionTarget& to) {
  ForEachList(option, to, [](auto* list) { list->clear(); });
}

void CopyOption(const Option& option, const OptionSource& from, const OptionTarget& to) {
  ForEachField(option, to,
               [&](auto* owner, auto field) { owner->*field = Owner(field, from)->*field; });
}

std::string OptionText(const Option& option, const OptionSource& from) {
  std::string text;
  for (const std::string& item : Items(option, from)) text += (text.empty() ? "" : ",") + item;
  return text;
}

std::string OptionToml(const Option& option, const OptionSource& from) {
  const std::vector<std::string> items = Items(option, from);
  if (option.kind == kBool || option.kind == kCount || option.kind == kSeconds) return items[0];
  if (option.kind == kPaths && items.size() < 2) return TomlString(items.empty() ? "" : items[0]);
  if (!option.is_list()) return TomlString(items[0]);
  if (items.empty()) return "[]";
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "[" : ", ") + TomlString(item);
  return text + "]";
}

}  // namespace sallyport
