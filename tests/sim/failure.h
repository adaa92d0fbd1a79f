// Failure: what a world that breaks an invariant says before the process ends.
#ifndef TESTS_SIM_FAILURE_H_
#define TESTS_SIM_FAILURE_H_

#include <string>

namespace sallyport::sim {

// SetReplay: the command that runs the present world again. Also printed when the process is killed
// by a CHECK, a sanitizer or a signal.
void SetReplay(const std::string& command);

// Fail prints `what` and the command, and ends the process with status 1.
[[noreturn]] void Fail(const std::string& what);
inline void Require(bool condition, const char* what) {
  if (!condition) [[unlikely]]
    Fail(what);
}

}  // namespace sallyport::sim

#endif  // TESTS_SIM_FAILURE_H_
