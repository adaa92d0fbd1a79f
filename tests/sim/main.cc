// simulator [--seed=N] [--sessions=N] [--see_all] [--verbose]
//
// Runs worlds with the seeds N, N+1, ... until that many sessions were in them. Ends with status 0
// and a line of what was seen, or at the first broken invariant with the command that repeats it.
// --see_all: whatever is counted there has to have happened.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "proxy/log/log.h"
#include "tests/sim/failure.h"
#include "tests/sim/world.h"

namespace sallyport::sim {
namespace {

struct Flags {
  uint64_t seed = 1;
  uint64_t sessions = 1000;
  bool see_all = false;
  bool verbose = false;
};

bool ParseFlags(int argc, char** argv, Flags* flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view text = argv[i];
    const std::string_view value = text.substr(std::min(text.size(), text.find('=') + 1));
    uint64_t* number = nullptr;
    if (text.starts_with("--seed=")) number = &flags->seed;
    if (text.starts_with("--sessions=")) number = &flags->sessions;
    if (text == "--verbose") {
      flags->verbose = true;
    } else if (text == "--see_all") {
      flags->see_all = true;
    } else if (number == nullptr ||
               std::from_chars(value.begin(), value.end(), *number).ptr != value.end()) {
      return false;
    }
  }
  return true;
}

// What is counted, in the order of the line at the end.
struct Count {
  const char* name;
  uint64_t Coverage::*count;
};
constexpr Count kCounts[] = {
    {"sessions", &Coverage::sessions},
    {"completed", &Coverage::completed},
    {"left_early", &Coverage::left_early},
    {"refused", &Coverage::refused},
    {"on_tls", &Coverage::on_tls},
    {"resumed", &Coverage::resumed},
    {"mediated", &Coverage::mediated},
    {"own_key", &Coverage::own_key},
    {"throwaway_logins", &Coverage::throwaway_logins},
    {"queries", &Coverage::queries},
    {"infiles", &Coverage::infiles},
    {"changed_users", &Coverage::changed_users},
    {"compressed", &Coverage::compressed},
    {"large_packets", &Coverage::large_packets},
    {"bytes", &Coverage::bytes},
    {"spliced", &Coverage::spliced},
    {"completions", &Coverage::completions},
    {"cancels", &Coverage::cancels},
    {"out_of_buffers", &Coverage::out_of_buffers},
    {"next_servers", &Coverage::next_servers},
    {"asked", &Coverage::asked},
    {"encrypted", &Coverage::encrypted},
    {"encrypt_failures", &Coverage::encrypt_failures},
    {"records_waited", &Coverage::records_waited},
    {"records_left_open", &Coverage::records_left_open},
    {"encrypted_spliced", &Coverage::encrypted_spliced},
    {"keys_asked", &Coverage::keys_asked},
    {"keys_refused", &Coverage::keys_refused},
    {"keys_changed", &Coverage::keys_changed},
    {"headers", &Coverage::headers},
    {"unwelcome", &Coverage::unwelcome},
    {"glued_requests", &Coverage::glued_requests},
    {"server_headers", &Coverage::server_headers},
    {"drains", &Coverage::drains},
    {"early_takes", &Coverage::early_takes},
};

void Print(const Coverage& seen, uint64_t worlds) {
  const auto print = [](const char* name, uint64_t count) {
    std::printf(" %s=%llu", name, static_cast<unsigned long long>(count));
  };
  std::printf("passed:");
  print("worlds", worlds);
  for (const Count& each : kCounts) print(each.name, seen.*each.count);
  print("trace", seen.trace);
  std::printf("\n");
}

// False, and says so, where something was never met: the simulator has gone blind for it.
bool SawAll(const Coverage& seen) {
  bool all = true;
  for (const Count& each : kCounts) {
    if (seen.*each.count != 0) continue;
    std::fprintf(stderr, "FAILED: never seen: %s\n", each.name);
    all = false;
  }
  return all;
}

int Main(int argc, char** argv) {
  Flags flags;
  if (!ParseFlags(argc, argv, &flags)) {
    std::fprintf(stderr, "usage: %s [--seed=N] [--sessions=N] [--see_all] [--verbose]\n", argv[0]);
    return 2;
  }
  if (flags.verbose) StartLog({.level = "debug"});
  const Keys keys = MakeKeys();
  Coverage coverage;
  uint64_t worlds = 0;
  for (; coverage.sessions < flags.sessions; ++worlds) {
    const uint64_t seed = flags.seed + worlds;
    SetReplay(std::string(argv[0]) + " --sessions=1 --seed=" + std::to_string(seed));
    World(seed, keys, &coverage).Run();
  }
  Print(coverage, worlds);
  if (flags.verbose) StopLog();
  return !flags.see_all || SawAll(coverage) ? 0 : 1;
}

}  // namespace
}  // namespace sallyport::sim

int main(int argc, char** argv) { return sallyport::sim::Main(argc, argv); }
