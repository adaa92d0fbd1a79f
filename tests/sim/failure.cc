#include "tests/sim/failure.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

// Of a sanitizer's library; null without one.
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());

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

void SetReplay(const std::string& command) {
  static const bool installed = [] {
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTERM}) {
      signal(number, OnSignal);
    }
    if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(PrintReplay);
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
