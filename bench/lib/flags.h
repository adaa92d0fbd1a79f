// Flags of the bench's programs: --name=value, --name value, --name for a switch; - and _ alike.
#ifndef BENCH_LIB_FLAGS_H_
#define BENCH_LIB_FLAGS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sallyport::bench {

class Flags {
 public:
  // What a flag sets. Seconds are written 1.5, 10s, 500ms, 2m; counts 100, 16K, 1M, 4G (of 1024).
  struct Seconds {
    double* value;
  };
  using Target = std::variant<bool*, uint64_t*, double*, std::string*, Seconds>;

  // Add declares a flag; the value that `target` has now is its default.
  void Add(std::string_view name, Target target, std::string_view help);

  // Parse sets the targets and returns what is no flag. On a mistake it names it on stderr and
  // exits with 2; after --help it prints `usage` and the flags, and exits with 0.
  std::vector<std::string> Parse(int argc, char** argv, std::string_view usage);

 private:
  struct Flag {
    std::string name;
    Target target;
    std::string help;
    std::string default_text;
  };

  Flag* Find(std::string_view name);
  void PrintHelp(std::string_view usage) const;

  std::vector<Flag> flags_;
};

// ParseCount reads 100, 16K, 1M, 4G. False, leaving `*out` alone, when it is none of these.
bool ParseCount(std::string_view text, uint64_t* out);

}  // namespace sallyport::bench

#endif  // BENCH_LIB_FLAGS_H_
