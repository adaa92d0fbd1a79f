#include "bench/client/process.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace sallyport::bench {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

bool Processes::Parse(std::string_view text) {
  for (const absl::string_view word :
       absl::StrSplit(absl::string_view(text.data(), text.size()), ',', absl::SkipEmpty())) {
    int pid = 0;
    if (!absl::SimpleAtoi(word, &pid)) return false;
    pids_.push_back(pid);
  }
  return true;
}

double Processes::CpuSeconds() const {
  double ticks = 0;
  for (const int pid : pids_) {
    const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
    // The command's name, field 2, is in parentheses and may hold anything. utime and stime are
    // fields 14 and 15.
    std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
    std::string skipped;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    double utime = 0;
    double stime = 0;
    fields >> utime >> stime;
    ticks += utime + stime;
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

uint64_t Processes::RssBytes() const {
  uint64_t pages = 0;
  for (const int pid : pids_) {
    std::istringstream fields(ReadFile("/proc/" + std::to_string(pid) + "/statm"));
    uint64_t size = 0;
    uint64_t resident = 0;
    fields >> size >> resident;
    pages += resident;
  }
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace sallyport::bench
