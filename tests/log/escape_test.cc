#include "proxy/log/escape.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

std::string Quoted(std::string_view text) { return QuotedForLog(text, 256); }

TEST(Escape, LeavesPlainWordsAlone) {
  for (const char* word : {"o'hara", "10.0.0.1:5000", "[::1]:1", "a,b;c", "100%", "root@%", "-"}) {
    EXPECT_EQ(Quoted(word), word);
  }
}

TEST(Escape, QuotesWhatCouldBeTakenForSomethingElse) {
  EXPECT_EQ(Quoted(""), "\"\"");
  EXPECT_EQ(Quoted("two words"), "\"two words\"");
  EXPECT_EQ(Quoted("a=b"), "\"a=b\"");
  EXPECT_EQ(Quoted("say \"hi\""), "\"say \\\"hi\\\"\"");
  EXPECT_EQ(Quoted("a\\"), "\"a\\\\\"");
  EXPECT_EQ(Quoted("a\nb"), "\"a\\x0ab\"");
  EXPECT_EQ(Quoted(std::string_view("\0", 1)), "\"\\x00\"");
  EXPECT_EQ(Quoted("\x7f\x1b[2J"), "\"\\x7f\\x1b[2J\"");
  EXPECT_EQ(Quoted("\xc3\xa9"), "\"\\xc3\\xa9\"");
}

TEST(Escape, CutsLongText) {
  EXPECT_EQ(QuotedForLog("abcdef", 6), "abcdef");
  EXPECT_EQ(QuotedForLog("abcdefg", 6), "\"abcdef\"...");
  EXPECT_EQ(QuotedForLog("\"\"\"", 2), "\"\\\"\\\"\"...");
}

// What a reader of the log does: undo the quoting.
std::string Unquoted(std::string_view quoted) {
  if (quoted[0] != '"') return std::string(quoted);
  std::string text;
  for (size_t i = 1; i + 1 < quoted.size(); ++i) {
    if (quoted[i] != '\\') {
      text += quoted[i];
    } else if (quoted[++i] == 'x') {
      text += static_cast<char>(std::stoi(std::string(quoted.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      text += quoted[i];
    }
  }
  return text;
}

TEST(Escape, LosesNothingOfAnyByte) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b)};
      const std::string quoted = Quoted(text);
      ASSERT_EQ(Unquoted(quoted), text);
      ASSERT_EQ(quoted.find('\n'), std::string::npos);
      // Outside quotes there is no space, so that a line splits where its keys begin.
      ASSERT_TRUE(quoted[0] == '"' || quoted.find_first_of(" =\"") == std::string::npos);
    }
  }
}

TEST(Escape, ControlsAreThoseThatMoveTheCursor) {
  EXPECT_FALSE(HasControls("plain text \xc3\xa9"));
  EXPECT_TRUE(HasControls("a\tb"));
  EXPECT_EQ(EscapeControls("a\r\n\x7f\"\xc3\xa9\\"), "a\\x0d\\x0a\\x7f\"\xc3\xa9\\");
}

}  // namespace
}  // namespace sallyport
