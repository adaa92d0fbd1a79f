// Parse: a command line in one test's line, with files that exist only in the test.
#ifndef TESTS_CONFIG_PARSE_H_
#define TESTS_CONFIG_PARSE_H_

#include <map>
#include <string>
#include <vector>

#include "proxy/config/command_line.h"

namespace sallyport {

using Files = std::map<std::string, std::string>;

inline CommandLine Parse(const std::vector<std::string>& arguments, const Files& files = {}) {
  std::vector<const char*> argv = {"sallyport"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  const FileReader read_file = [&](const std::string& path) -> absl::StatusOr<std::string> {
    const auto file = files.find(path);
    if (file == files.end()) return absl::NotFoundError("No such file or directory");
    return file->second;
  };
  return ParseCommandLine(static_cast<int>(argv.size()), argv.data(), read_file);
}

}  // namespace sallyport

#endif  // TESTS_CONFIG_PARSE_H_
