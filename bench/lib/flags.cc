#include "bench/lib/flags.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace sallyport::bench {
namespace {

// Debian's abseil has a string_view of its own.
absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

struct Unit {
  std::string_view suffix;
  double factor;
};
constexpr Unit kCounts[] = {{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"", 1}};
constexpr Unit kSeconds[] = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"", 1}};

template <size_t n>
bool ParseWithUnit(std::string_view text, const Unit (&units)[n], double* out) {
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.suffix)) continue;
    double number = 0;
    text.remove_suffix(unit.suffix.size());
    if (!absl::SimpleAtod(Absl(text), &number) || number < 0) return false;
    *out = number * unit.factor;
    return true;
  }
  return false;
}

struct Setter {
  std::string_view text;
  bool operator()(bool* out) const { return absl::SimpleAtob(Absl(text), out); }
  bool operator()(uint64_t* out) const { return ParseCount(text, out); }
  bool operator()(double* out) const { return absl::SimpleAtod(Absl(text), out); }
  bool operator()(std::string* out) const { return out->assign(text), true; }
  bool operator()(Flags::Seconds out) const { return ParseWithUnit(text, kSeconds, out.value); }
};

struct Printer {
  std::string operator()(bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(uint64_t* value) const { return absl::StrCat(*value); }
  std::string operator()(double* value) const { return absl::StrCat(*value); }
  std::string operator()(std::string* value) const { return *value; }
  std::string operator()(Flags::Seconds value) const { return absl::StrCat(*value.value, "s"); }
};

[[noreturn]] void Fail(std::string_view what) {
  std::fprintf(stderr, "%.*s (--help tells)\n", static_cast<int>(what.size()), what.data());
  std::exit(2);
}

}  // namespace

bool ParseCount(std::string_view text, uint64_t* out) {
  double value = 0;
  if (!ParseWithUnit(text, kCounts, &value) || value > 1e18) return false;
  *out = static_cast<uint64_t>(value);
  return true;
}

void Flags::Add(std::string_view name, Target target, std::string_view help) {
  flags_.push_back({std::string(name), target, std::string(help), std::visit(Printer{}, target)});
}

std::vector<std::string> Flags::Parse(int argc, char** argv, std::string_view usage) {
  std::vector<std::string> rest;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with("--")) {
      rest.emplace_back(argument);
      continue;
    }
    const size_t equals = std::min(argument.find('='), argument.size());
    std::string name(argument.substr(2, equals - 2));
    std::replace(name.begin(), name.end(), '-', '_');
    if (name == "help") {
      PrintHelp(usage);
      std::exit(0);
    }
    Flag* flag = Find(name);
    if (flag == nullptr) Fail(absl::StrCat("unknown flag --", name));
    std::string_view value;
    if (equals < argument.size()) {
      value = argument.substr(equals + 1);
    } else if (std::holds_alternative<bool*>(flag->target)) {
      value = "true";
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      Fail(absl::StrCat("--", name, " needs a value"));
    }
    if (!std::visit(Setter{value}, flag->target)) {
      Fail(absl::StrCat("--", name, " can't be ", Absl(value)));
    }
  }
  return rest;
}

Flags::Flag* Flags::Find(std::string_view name) {
  for (Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

void Flags::PrintHelp(std::string_view usage) const {
  std::printf("%.*s\n", static_cast<int>(usage.size()), usage.data());
  for (const Flag& flag : flags_) {
    std::printf("  --%-16s %s", flag.name.c_str(), flag.help.c_str());
    if (!flag.default_text.empty()) std::printf(" (%s)", flag.default_text.c_str());
    std::printf("\n");
  }
}

}  // namespace sallyport::bench
