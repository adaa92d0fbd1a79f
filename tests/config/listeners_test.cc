// Several [[listener]] tables: what each gets from where, and what --check_config makes of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "proxy/config/options.h"
#include "tests/config/parse.h"

namespace sallyport {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kTwo[] = R"(
workers = 3
connect_timeout = 2
max_connections = 500
server = "db:1"

[[listener]]
name = "one"
listen = [":1", ":2"]
tls_cert = "a"
tls_key = "b"
max_connections = 20

[[listener]]
listen = ":3"
server = ["db:2", "db:3"]
connect-timeout = 7
tls_mode = "required"
)";

CommandLine ParseFile(const std::string& text, std::vector<std::string> flags = {}) {
  flags.push_back("--config=f");
  return Parse(flags, {{"f", text}});
}

TEST(Listeners, AFileWithoutTablesIsOneListener) {
  const CommandLine result = ParseFile("listen = ':1'\nmax_connections = 7\n");
  ASSERT_EQ(result.config.listeners.size(), 1u);
  EXPECT_EQ(result.config.listeners[0].name, "");
  EXPECT_EQ(result.config.max_connections, 7u);
  EXPECT_EQ(result.config.listeners[0].max_connections, 7u);
}

TEST(Listeners, TakeFromTheirTableThenFromAboveThenTheDefault) {
  const CommandLine result = ParseFile(kTwo);
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.config.workers, 3);
  EXPECT_EQ(result.config.max_connections, 500u);
  ASSERT_EQ(result.config.listeners.size(), 2u);
  const ListenerConfig& one = result.config.listeners[0];
  const ListenerConfig& two = result.config.listeners[1];
  EXPECT_EQ(one.name, "one");
  EXPECT_THAT(one.listen, ElementsAre(":1", ":2"));
  EXPECT_THAT(one.server, ElementsAre("db:1"));
  EXPECT_EQ(one.max_connections, 20u);
  EXPECT_EQ(one.connect_timeout_ms, 2'000u);
  EXPECT_THAT(one.tls_cert, ElementsAre("a"));
  EXPECT_EQ(one.tls_mode, TlsMode::kPreferred);
  EXPECT_EQ(two.name, "");
  EXPECT_THAT(two.listen, ElementsAre(":3"));
  EXPECT_THAT(two.server, ElementsAre("db:2", "db:3"));
  EXPECT_EQ(two.max_connections, 500u);
  EXPECT_EQ(two.connect_timeout_ms, 7'000u);
  EXPECT_THAT(two.tls_cert, IsEmpty());
  EXPECT_EQ(two.tls_mode, TlsMode::kRequired);
}

TEST(Listeners, AFlagWinsOverEveryTable) {
  const CommandLine result = ParseFile(
      kTwo, {"--connect_timeout=1", "--max_connections=9", "--tls_mode=disabled", "--workers=1"});
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.config.workers, 1);
  EXPECT_EQ(result.config.max_connections, 9u);
  for (const ListenerConfig& listener : result.config.listeners) {
    EXPECT_EQ(listener.connect_timeout_ms, 1'000u);
    EXPECT_EQ(listener.max_connections, 9u);
    EXPECT_EQ(listener.tls_mode, TlsMode::kDisabled);
  }
  const CommandLine single = ParseFile("[[listener]]\nlisten = ':1'\n", {"--listen=:4,:5"});
  EXPECT_EQ(single.error, "");
  EXPECT_THAT(single.config.listeners[0].listen, ElementsAre(":4", ":5"));
}

TEST(Listeners, ComplaintsNameTheTableOrWhereTheValueCameFrom) {
  const CommandLine result = ParseFile(kTwo, {"--tls_mode=required"});
  EXPECT_EQ(result.Complaint("tls_cert", "x", 0), "sallyport: f:10: tls_cert: x\n");
  EXPECT_EQ(result.Complaint("tls_cert", "x", 1), "sallyport: f:14: listener: tls_cert: x\n");
  EXPECT_EQ(result.Complaint("server", "x", 0), "sallyport: f:5: server: x\n");
  EXPECT_EQ(result.Complaint("server", "x", 1), "sallyport: f:16: server: x\n");
  EXPECT_EQ(result.Complaint("tls_mode", "x", 1), "sallyport: --tls_mode: x\n");
  EXPECT_EQ(result.Complaint("workers", "x"), "sallyport: f:2: workers: x\n");
  EXPECT_EQ(result.Complaint("admin", "x"), "sallyport: admin: x\n");
}

TEST(Listeners, CheckConfigPrintsThemAndReadsThemBack) {
  const CommandLine first = ParseFile(kTwo, {"--check_config"});
  EXPECT_EQ(first.action, CommandLine::Action::kCheckConfig);
  EXPECT_THAT(first.text, HasSubstr("\n[[listener]]\nname = \"one\"\nlisten = [\":1\", \":2\"]\n"));
  EXPECT_THAT(first.text, HasSubstr("\n[[listener]]\nlisten = [\":3\"]\n"));
  EXPECT_THAT(first.text, HasSubstr("\nmax_connections = 500\n"));
  const CommandLine again = ParseFile(first.text, {"--check_config"});
  EXPECT_EQ(again.error, "");
  EXPECT_EQ(again.text, first.text);
  EXPECT_EQ(again.config.listeners[1].connect_timeout_ms, 7'000u);
}

// Every key is the process's, a listener's, or (max_connections) both; a table takes its own.
TEST(Listeners, EveryKeyHasItsPlace) {
  for (const Option& option : Options()) {
    if (!option.is_key()) continue;
    SCOPED_TRACE(option.name);
    EXPECT_TRUE(option.is_process_key() || option.is_listener_key());
    EXPECT_EQ(option.is_process_key() && option.is_listener_key(),
              option.name == "max_connections");
    const Config config;
    std::string text = "[[listener]]\n" + std::string(option.name) + " = ";
    text += option.name == "name" ? "'x'" : OptionToml(option, {&config, &config.listeners[0]});
    const CommandLine result = ParseFile(text);
    const std::string refused = "sallyport: f:2: " + std::string(option.name) +
                                ": belongs to the whole process; put it above the first "
                                "[[listener]]\n";
    EXPECT_EQ(result.error, option.is_listener_key() ? "" : refused);
  }
}

}  // namespace
}  // namespace sallyport
