// StartError: why a start or a reload failed.
#ifndef PROXY_START_ERROR_H_
#define PROXY_START_ERROR_H_

#include <cstddef>
#include <string>
#include <utility>

#include "proxy/config/command_line.h"

namespace sallyport {

// A failure, with the option that it belongs to.
struct StartError {
  std::string option;  // Of a list ItemName's.
  std::string what;
  bool bad_config = false;  // The configuration is wrong, not the machine: another exit code.
  size_t listener = CommandLine::kNoListener;  // Whose option.
};

// Fail fills in all but the listener, and returns false.
inline bool Fail(std::string option, std::string what, bool bad_config, StartError* error) {
  error->option = std::move(option);
  error->what = std::move(what);
  error->bad_config = bad_config;
  return false;
}

}  // namespace sallyport

#endif  // PROXY_START_ERROR_H_
