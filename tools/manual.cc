// Prints what is made from the table of options: manual toml | manual man.
#include "proxy/config/manual.h"

#include <cstdio>
#include <string_view>

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what == "toml") return std::fputs(sallyport::ExampleToml().c_str(), stdout) < 0;
  if (what == "man") return std::fputs(sallyport::ManualPage().c_str(), stdout) < 0;
  std::fputs("usage: manual toml|man\n", stderr);
  return 2;
}
