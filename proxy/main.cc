// Sallyport's main: what the command line asks for.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "proxy/admin/listing.h"
#include "proxy/config/command_line.h"
#include "proxy/process.h"
#include "proxy/start.h"

namespace sallyport {
namespace {

int CheckConfig(const CommandLine& command_line) {
  for (size_t i = 0; i < command_line.config.listeners.size(); ++i) {
    StartError error;
    Service service;
    if (LoadTls(command_line.config, i, nullptr, &service, &error)) continue;
    std::fputs(command_line.Complaint(error.option, error.what, i).c_str(), stderr);
    return kExitBadConfig;
  }
  std::fputs(command_line.text.c_str(), stdout);
  return 0;
}

int ListSessions(const CommandLine& command_line) {
  const std::string& admin = command_line.config.admin;
  if (admin.empty()) {
    std::fputs(command_line.Complaint("admin", "is empty: there is nobody to ask").c_str(), stderr);
    return kExitBadConfig;
  }
  const absl::Status status = PrintSessions(admin);
  if (status.ok()) return 0;
  std::fputs(command_line.Complaint("admin", std::string(status.message())).c_str(), stderr);
  return kExitFailedStart;
}

}  // namespace
}  // namespace sallyport

int main(int argc, char** argv) {
  // `bazel run` changes to a folder of its own; paths are meant from where it was called.
  if (const char* called_from = std::getenv("BUILD_WORKING_DIRECTORY")) {
    if (chdir(called_from) != 0) std::perror(called_from);
  }
  using sallyport::CommandLine;
  const auto parse = [argc, argv] { return sallyport::ParseCommandLine(argc, argv); };
  CommandLine command_line = parse();
  switch (command_line.action) {
    case CommandLine::Action::kRun:
      return sallyport::Process(std::move(command_line), parse).Run();
    case CommandLine::Action::kCheckConfig:
      return sallyport::CheckConfig(command_line);
    case CommandLine::Action::kSessions:
      return sallyport::ListSessions(command_line);
    case CommandLine::Action::kExit:
      break;
  }
  std::fputs(command_line.text.c_str(), stdout);
  std::fputs(command_line.error.c_str(), stderr);
  return command_line.exit_code;
}
