#include "tests/sim/failure.h"

#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace sallyport::sim {
namespace {

char replay[512];

void PrintReplay() {
  if (replay[0] == '\0') return;
  (void)!write(STDERR_FILENO, "replay: ", 8);
  (void)!write(STDERR_FILENO, replay, strlen(replay));
  (void)!write(STDERR_FILENO, "\n", 1);
}

void OnSignal(int number) {
  PrintReplay();
  signal(number, SIG_DFL);
  raise(number);
}

}  // namespace

// A sanitizer's own library has these; without one they do nothing.
extern "C" {
[[gnu::weak]] void __sanitizer_set_death_callback(void (*)(void)) {}
}

void SetReplay(const std::string& command) {
  static const bool installed = [] {
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
      signal(number, OnSignal);
    }
    __sanitizer_set_death_callback(PrintReplay);
    return true;
  }();
  (void)installed;
  snprintf(replay, sizeof(replay), "%s", command.c_str());
}

void Fail(const std::string& what) {
  fprintf(stderr, "FAILED: %s\n", what.c_str());
  PrintReplay();
  fflush(stderr);
  _exit(1);
}

}  // namespace sallyport::sim
