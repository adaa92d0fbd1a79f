// Runs a fuzz target without libFuzzer, the same way each time, so that every compiler's build and
// every `bazel test` covers it:
//
//   TARGET [-runs=N] [-artifact_prefix=FOLDER/] FILE_OR_FOLDER...
//
// Each file is an input; then come N more, made of those by a few random changes from a fixed seed.
// No coverage guides them: what these find is what has been broken since. An input that ends the
// process is written to FOLDER (else to $TEST_UNDECLARED_OUTPUTS_DIR, else here) as crash-input;
// give it as a FILE to see it again.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/fuzz.h"

// Targets may have the first; a sanitizer's run time has the second.
extern "C" [[gnu::weak]] int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());

namespace sallyport::fuzz {
namespace {

// As libFuzzer has it: longer inputs are slow, and find nothing that short ones don't.
constexpr size_t kInputSizeMax = 4096;

Bytes current;
std::string crash_path;

void SaveCurrent() {
  const int fd = open(crash_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool saved =
      fd >= 0 && write(fd, current.data(), current.size()) == static_cast<ssize_t>(current.size());
  constexpr std::string_view kSaved = "the input is in crash-input\n";
  if (saved && write(STDERR_FILENO, kSaved.data(), kSaved.size()) < 0) return;
}

void OnSignal(int number) {
  SaveCurrent();
  signal(number, SIG_DFL);
  raise(number);
}

void SaveWhatCrashes() {
  const char* folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  if (crash_path.empty() && folder != nullptr) crash_path = std::string(folder) + "/";
  crash_path += "crash-input";
  for (const int number : {SIGABRT, SIGTRAP, SIGILL, SIGFPE}) signal(number, OnSignal);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(SaveCurrent);
  } else {
    for (const int number : {SIGSEGV, SIGBUS}) signal(number, OnSignal);
  }
}

void Run(Bytes input) {
  const Buffer exact = packet::Exact(input);
  current = exact;
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

std::vector<Buffer> ReadAll(std::vector<std::filesystem::path> paths) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Buffer> inputs;
  for (const std::filesystem::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "%s can't be read\n", path.c_str());
      std::exit(2);
    }
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

class Mutator {
 public:
  explicit Mutator(const std::vector<Buffer>& inputs) : inputs_(inputs) {}

  Buffer Next() {
    Buffer bytes = inputs_[Below(inputs_.size())];
    for (size_t changes = 1 + Below(5); changes > 0; --changes) Change(&bytes);
    bytes.resize(std::min(bytes.size(), kInputSizeMax));
    return bytes;
  }

 private:
  size_t Below(size_t bound) { return static_cast<size_t>(random_() % bound); }

  uint8_t Telling() {
    constexpr uint8_t kTelling[] = {0, 1, 2, 4, 0x0A, 0x11, 0x7F, 0x80, 0xFB, 0xFC, 0xFE, 0xFF};
    return Below(2) == 0 ? static_cast<uint8_t>(random_()) : kTelling[Below(std::size(kTelling))];
  }

  void Change(Buffer* bytes) {
    const size_t at = Below(bytes->size() + 1);
    const auto place = bytes->begin() + static_cast<ptrdiff_t>(at);
    const size_t left = bytes->size() - at;
    const size_t some = std::min(left, 1 + Below(Below(4) == 0 ? 200 : 8));
    switch (Below(7)) {
      case 0:  // A bit.
        if (left > 0) *place = static_cast<uint8_t>(*place ^ (1u << Below(8)));
        return;
      case 1:  // Some bytes.
        std::generate_n(place, some, [&] { return Telling(); });
        return;
      case 2:  // Fewer.
        bytes->erase(place, place + static_cast<ptrdiff_t>(some));
        return;
      case 3:  // More.
        bytes->insert(place, 1 + Below(8), Telling());
        return;
      case 4: {  // The same again, elsewhere.
        const Buffer copy(place, place + static_cast<ptrdiff_t>(some));
        const auto to = static_cast<ptrdiff_t>(Below(bytes->size() + 1));
        bytes->insert(bytes->begin() + to, copy.begin(), copy.end());
        return;
      }
      case 5: {  // Another input's end.
        const Buffer& other = inputs_[Below(inputs_.size())];
        bytes->resize(at);
        bytes->insert(bytes->end(),
                      other.begin() + static_cast<ptrdiff_t>(std::min(at, other.size())),
                      other.end());
        return;
      }
      default:  // Cut off.
        if (Below(4) == 0) bytes->resize(at);
    }
  }

  const std::vector<Buffer>& inputs_;
  std::mt19937_64 random_{1};
};

int Main(int argc, char** argv) {
  long runs = 0;
  std::vector<std::filesystem::path> paths;
  constexpr std::string_view kRuns = "-runs=";
  constexpr std::string_view kPrefix = "-artifact_prefix=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(kRuns)) {
      runs = std::atol(argv[i] + kRuns.size());
    } else if (argument.starts_with(kPrefix)) {
      crash_path = argument.substr(kPrefix.size());
    } else {
      paths.emplace_back(argument);
    }
  }
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  SaveWhatCrashes();
  std::vector<Buffer> inputs = ReadAll(paths);
  for (const Buffer& input : inputs) Run(input);
  inputs.emplace_back();
  Mutator mutator(inputs);
  for (long i = 0; i < runs; ++i) Run(mutator.Next());
  std::fprintf(stderr, "%zu inputs and %ld changed ones ran\n", inputs.size(), runs);
  return 0;
}

}  // namespace
}  // namespace sallyport::fuzz

int main(int argc, char** argv) { return sallyport::fuzz::Main(argc, argv); }
