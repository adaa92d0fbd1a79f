// The example file and the manual page as the build makes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "proxy/config/options.h"
#include "proxy/config/usage.h"
#include "tests/config/parse.h"

namespace sallyport {
namespace {

using ::testing::HasSubstr;

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

class Manual : public testing::Test {
 protected:
  const std::string example_ = Contents("tools/sallyport.toml");
  const std::string page_ = Contents("tools/sallyport.8");
};

TEST_F(Manual, TheExampleIsTheDefaults) {
  const CommandLine result = Parse({"--config=f"}, {{"f", example_}});
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(ConfigToml(result.config), ConfigToml(Config{}));
}

TEST_F(Manual, TheExamplesListenersAreGoodToo) {
  std::string text;
  std::stringstream lines(example_);
  for (std::string line; std::getline(lines, line);) {
    const bool commented_out = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    text += (commented_out ? line.substr(1) : line) + "\n";
  }
  const CommandLine result = Parse({"--config=f"}, {{"f", text}});
  EXPECT_EQ(result.error, "");
  ASSERT_EQ(result.config.listeners.size(), 2u);
  EXPECT_EQ(result.config.listeners[1].max_connections, 100u);
}

TEST_F(Manual, EveryKeyStandsInBoth) {
  for (const Option& option : Options()) {
    const std::string name(option.name);
    if (option.is_key()) {
      EXPECT_THAT(example_,
                  HasSubstr("\n" + std::string(option.is_flag() ? "" : "#") + name + " = "));
    }
    EXPECT_THAT(page_, HasSubstr("\n\\fB" + std::string(option.is_flag() ? "\\-\\-" : "") + name));
  }
}

TEST_F(Manual, TheExampleFitsATerminal) {
  std::stringstream lines(example_);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 82u) << line;
}

// A line of text that began with a dot would vanish as an unknown command.
TEST_F(Manual, ThePageHasOnlyCommandsThatAreMeant) {
  std::stringstream lines(page_);
  for (std::string line; std::getline(lines, line);) {
    ASSERT_FALSE(line.empty());
    if (line[0] != '.' && line[0] != '\'') continue;
    EXPECT_THAT(line, testing::MatchesRegex("\\.(TH|SH|TP|PP|br|B|BR)( .*)?"));
  }
}

}  // namespace
}  // namespace sallyport
