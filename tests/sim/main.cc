// simulator [--seed=N] [--sessions=N] [--verbose]
//
// Runs worlds with the seeds N, N+1, ... until that many sessions were in them. Ends with status 0
// and a line of what was seen, or at the first broken invariant with the command that repeats it.
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
    } else if (number == nullptr ||
               std::from_chars(value.begin(), value.end(), *number).ptr != value.end()) {
      return false;
    }
  }
  return true;
}

void Print(const Coverage& seen, uint64_t worlds) {
  const auto print = [](const char* name, uint64_t count) {
    std::printf(" %s=%llu", name, static_cast<unsigned long long>(count));
  };
  std::printf("passed:");
  print("worlds", worlds);
  print("sessions", seen.sessions);
  print("completed", seen.completed);
  print("left_early", seen.left_early);
  print("refused", seen.refused);
  print("on_tls", seen.on_tls);
  print("resumed", seen.resumed);
  print("mediated", seen.mediated);
  print("own_key", seen.own_key);
  print("throwaway_logins", seen.throwaway_logins);
  print("queries", seen.queries);
  print("infiles", seen.infiles);
  print("changed_users", seen.changed_users);
  print("compressed", seen.compressed);
  print("large_packets", seen.large_packets);
  print("bytes", seen.bytes);
  print("spliced", seen.spliced);
  print("completions", seen.completions);
  print("cancels", seen.cancels);
  print("out_of_buffers", seen.out_of_buffers);
  print("next_servers", seen.next_servers);
  print("asked", seen.asked);
  print("encrypted", seen.encrypted);
  print("encrypt_failures", seen.encrypt_failures);
  print("records_waited", seen.records_waited);
  print("records_left_open", seen.records_left_open);
  print("encrypted_spliced", seen.encrypted_spliced);
  print("keys_asked", seen.keys_asked);
  print("keys_refused", seen.keys_refused);
  print("keys_changed", seen.keys_changed);
  print("headers", seen.headers);
  print("unwelcome", seen.unwelcome);
  print("glued_requests", seen.glued_requests);
  print("server_headers", seen.server_headers);
  print("drains", seen.drains);
  print("early_takes", seen.early_takes);
  print("trace", seen.trace);
  std::printf("\n");
}

int Main(int argc, char** argv) {
  Flags flags;
  if (!ParseFlags(argc, argv, &flags)) {
    std::fprintf(stderr, "usage: %s [--seed=N] [--sessions=N] [--verbose]\n", argv[0]);
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
  return 0;
}

}  // namespace
}  // namespace sallyport::sim

int main(int argc, char** argv) { return sallyport::sim::Main(argc, argv); }
