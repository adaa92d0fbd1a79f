// What the command line and the file, together, make of a Config.
#include "proxy/config/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "proxy/config/options.h"
#include "tests/config/parse.h"

namespace sallyport {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Action = CommandLine::Action;

TEST(CommandLine, RunsWithTheDefaultsWhenNothingIsSaid) {
  const CommandLine result = Parse({});
  EXPECT_EQ(result.action, Action::kRun);
  EXPECT_THAT(result.config.listeners[0].listen, ElementsAre("0.0.0.0:6033"));
  EXPECT_THAT(result.config.listeners[0].server, ElementsAre("127.0.0.1:3306"));
  EXPECT_EQ(result.config.listeners[0].tls_mode, TlsMode::kPreferred);
  EXPECT_EQ(result.config.io_engine, IoEngine::kAuto);
  EXPECT_EQ(result.config.sandbox, SandboxMode::kAuto);
  EXPECT_EQ(result.config.workers, 0);
  EXPECT_EQ(result.config.admin, "127.0.0.1:6034");
  EXPECT_EQ(result.config.max_connections, 20'000u);
  EXPECT_EQ(result.config.listeners[0].idle_timeout_ms, 0u);
  EXPECT_THAT(result.places, IsEmpty());
}

TEST(CommandLine, TakesFlagsInEverySpelling) {
  const std::vector<std::vector<std::string>> spellings = {
      {"--tls_mode=required"},
      {"--tls_mode", "required"},
      {"--tls-mode=required"},
      {"--tls-mode", "required"},
      {"--tls_mode", "REQUIRED"},
      {"--tls_mode=disabled", "--tls_mode=required"},  // The last one wins.
  };
  for (const auto& spelling : spellings) {
    EXPECT_EQ(Parse(spelling).config.listeners[0].tls_mode, TlsMode::kRequired) << spelling[0];
    EXPECT_EQ(Parse(spelling).error, "");
  }
}

TEST(CommandLine, TakesBooleansBareNegatedAndWithAValue) {
  for (const char* on : {"--core_dumps", "--core-dumps", "--core_dumps=true", "--core_dumps=1",
                         "--core_dumps=on", "--core_dumps=Yes"}) {
    EXPECT_TRUE(Parse({on}).config.core_dumps) << on;
  }
  for (const char* off : {"--no-core_dumps", "--no-core-dumps", "--no_core_dumps",
                          "--core_dumps=false", "--core_dumps=0", "--core_dumps=OFF"}) {
    EXPECT_FALSE(Parse({"--core_dumps", off}).config.core_dumps) << off;
    EXPECT_EQ(Parse({off}).error, "");
  }
}

TEST(CommandLine, ABareBooleanLeavesTheNextArgumentAlone) {
  const CommandLine result = Parse({"--core_dumps", "--workers", "3"});
  EXPECT_TRUE(result.config.core_dumps);
  EXPECT_EQ(result.config.workers, 3);
}

TEST(CommandLine, CollectsListsFromRepetitionAndCommas) {
  const CommandLine result =
      Parse({"--server", "a:1", "--listen=:1", "--server=b:2, c:3", "--server=unix:/run/m.sock"});
  EXPECT_THAT(result.config.listeners[0].server,
              ElementsAre("a:1", "b:2", "c:3", "unix:/run/m.sock"));
  EXPECT_THAT(result.config.listeners[0].listen, ElementsAre(":1"));
}

TEST(CommandLine, TakesSeveralCertificates) {
  const std::string text = "tls_cert = [\n 'a',\n 'b, c']\ntls_key = ['d', 'e']\n";
  const CommandLine result = Parse({"--config=f"}, {{"f", text}});
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.config.listeners[0].tls_cert, ElementsAre("a", "b, c"));
  EXPECT_EQ(result.Complaint(ItemName("tls_cert", 0), "x", 0), "sallyport: f:2: tls_cert: x\n");
  EXPECT_EQ(result.Complaint(ItemName("tls_cert", 1), "x", 0), "sallyport: f:3: tls_cert: x\n");
  EXPECT_EQ(result.Complaint(ItemName("tls_key", 1), "x", 0), "sallyport: f:4: tls_key: x\n");
  const CommandLine flags = Parse({"--config=f", "--tls_cert=x", "--tls_key=y"}, {{"f", text}});
  EXPECT_THAT(flags.config.listeners[0].tls_cert, ElementsAre("x"));
  EXPECT_EQ(flags.Complaint(ItemName("tls_cert", 0), "x", 0), "sallyport: --tls_cert: x\n");
  for (const char* none : {"tls_cert = []\ntls_key = []", "tls_cert = ''\ntls_key = ''"}) {
    const CommandLine empty = Parse({"--config=f"}, {{"f", none}});
    EXPECT_EQ(empty.error, "");
    EXPECT_THAT(empty.config.listeners[0].tls_cert, IsEmpty());
  }
}

TEST(CommandLine, TakesServersByName) {
  const std::string text = "sni_server = [\n 'a.example.com=b:1',\n '*.b.org=unix:/s']\n";
  const CommandLine result = Parse({"--config=f"}, {{"f", text}});
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.config.listeners[0].sni_server,
              ElementsAre("a.example.com=b:1", "*.b.org=unix:/s"));
  EXPECT_EQ(result.Complaint(ItemName("sni_server", 1), "x", 0), "sallyport: f:3: sni_server: x\n");
  const CommandLine again = Parse({"--check_config", "--config=f"}, {{"f", text}});
  EXPECT_THAT(again.text, HasSubstr("sni_server = [\"a.example.com=b:1\", \"*.b.org=unix:/s\"]"));
  for (const char* none : {"sni_server = []", "sni_server = ''"}) {
    EXPECT_THAT(Parse({"--config=f"}, {{"f", none}}).config.listeners[0].sni_server, IsEmpty());
  }
}

TEST(CommandLine, TakesTimeoutsInSecondsWithFractions) {
  const CommandLine result =
      Parse({"--connect_timeout", "0.5", "--handshake-timeout=2", "--idle_timeout=86400.125"});
  EXPECT_EQ(result.config.listeners[0].connect_timeout_ms, 500u);
  EXPECT_EQ(result.config.listeners[0].handshake_timeout_ms, 2'000u);
  EXPECT_EQ(result.config.listeners[0].idle_timeout_ms, 86'400'125u);
}

TEST(CommandLine, AnEmptyAdminTurnsItOff) {
  EXPECT_EQ(Parse({"--admin="}).config.admin, "");
  EXPECT_EQ(Parse({"--admin", ""}).config.admin, "");
  EXPECT_EQ(Parse({"--config=f"}, {{"f", "admin = ''"}}).config.admin, "");
}

TEST(CommandLine, TakesTheFourArgumentsOfMysqlProxy) {
  const CommandLine result = Parse({"3306", "3307", "server.crt", "server.key"});
  EXPECT_EQ(result.action, Action::kRun);
  EXPECT_THAT(result.config.listeners[0].listen, ElementsAre("0.0.0.0:3306"));
  EXPECT_THAT(result.config.listeners[0].server, ElementsAre("127.0.0.1:3307"));
  EXPECT_THAT(result.config.listeners[0].tls_cert, ElementsAre("server.crt"));
  EXPECT_THAT(result.config.listeners[0].tls_key, ElementsAre("server.key"));
}

TEST(CommandLine, TakesFlagsAmongTheFourArguments) {
  const CommandLine result =
      Parse({"--workers=1", "3306", "3307", "--tls_mode", "required", "--", "-c", "-k"});
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.config.listeners[0].tls_cert, ElementsAre("-c"));
  EXPECT_EQ(result.config.listeners[0].tls_mode, TlsMode::kRequired);
  EXPECT_EQ(result.config.workers, 1);
}

TEST(CommandLine, ReadsEveryTypeFromToml) {
  const CommandLine result = Parse({"--config", "f"}, {{"f", R"(
listen = ["0.0.0.0:1", "[::]:1"]   # An array,
server = "a:1"                      # or a single address.
tls-mode = "required"               # '-' as in flags.
workers = 4
core_dumps = true
connect_timeout = 0.25
idle_timeout = 28_800
)"}});
  EXPECT_EQ(result.error, "");
  EXPECT_THAT(result.config.listeners[0].listen, ElementsAre("0.0.0.0:1", "[::]:1"));
  EXPECT_THAT(result.config.listeners[0].server, ElementsAre("a:1"));
  EXPECT_EQ(result.config.listeners[0].tls_mode, TlsMode::kRequired);
  EXPECT_EQ(result.config.workers, 4);
  EXPECT_TRUE(result.config.core_dumps);
  EXPECT_EQ(result.config.listeners[0].connect_timeout_ms, 250u);
  EXPECT_EQ(result.config.listeners[0].idle_timeout_ms, 28'800'000u);
}

// As the process and its first listener have it.
std::string Text(const Option& option, const Config& config) {
  return OptionText(option, {&config, &config.listeners[0]});
}

// For every option: a default, a file's value and a flag's value that all differ.
struct Precedence {
  const char* option;
  const char* toml;
  const char* in_file;
  const char* in_flag;
};

constexpr Precedence kPrecedence[] = {
    {"listen", "['a:1', 'b:1']", "a:1,b:1", "e:1"},
    {"server", "'a:1'", "a:1", "c:1,d:1"},
    {"sni_server", "['a.example.com=a:1', '*.b.org=unix:/s']", "a.example.com=a:1,*.b.org=unix:/s",
     "A.example.com=[::1]:1"},
    {"balance", "'round-robin'", "round-robin", "least-connections"},
    {"resolve_interval", "2", "2", "0"},
    {"health_check_interval", "2", "2", "0.5"},
    {"health_check_timeout", "3", "3", "0.25"},
    {"server_public_key", "'f.pem'", "f.pem", "g.pem"},
    {"tls_mode", "'required'", "required", "disabled"},
    {"tls_cert", "'f.crt'", "f.crt", "g.crt"},
    {"tls_key", "'f.key'", "f.key", "g.key"},
    {"tls_version_min", "'1.3'", "1.3", "1.2"},
    {"tls_version_max", "'1.2'", "1.2", "1.3"},
    {"tls_ciphers", "'A:B'", "A:B", "C"},
    {"tls_groups", "'P-256'", "P-256", ""},
    {"tls_client_certificates", "'optional'", "optional", "off"},
    {"tls_client_ca", "'f.pem'", "f.pem", "g.pem"},
    {"tls_client_crl", "'f.crl'", "f.crl", "g.crl"},
    {"tls_client_depth", "2", "2", "0"},
    {"tls_client_user", "'san_dns'", "san_dns", "off"},
    {"tls_ticket_keys", "'f.keys'", "f.keys", "g.keys"},
    {"kernel_tls", "'auto'", "auto", "on"},
    {"io_engine", "'epoll'", "epoll", "io_uring"},
    {"workers", "2", "2", "3"},
    {"pin_workers", "false", "false", "true"},
    {"spin_us", "10", "10", "20"},
    {"server_congestion_control", "'reno'", "reno", "bbr"},
    {"signers", "2", "2", "-1"},
    {"admin", "':1'", ":1", ""},
    {"allow_cleartext_password", "true", "true", "false"},
    {"core_dumps", "true", "true", "false"},
    {"sandbox", "'off'", "off", "on"},
    {"max_connections", "2", "2", "3"},
    {"max_connections_per_address", "2", "2", "3"},
    {"connections_per_second_per_address", "2", "2", "3"},
    {"handshakes_per_second_per_address", "2", "2", "3"},
    {"login_failures_per_address", "2", "2", "3"},
    {"block_time", "2", "2", "0.5"},
    {"proxy_protocol_networks", "['10.0.0.0/8', '::1']", "10.0.0.0/8,::1", "*"},
    {"proxy_protocol_out", "'v1'", "v1", "v2"},
    {"connect_timeout", "0.1", "0.1", "7"},
    {"handshake_timeout", "2", "2", "0.001"},
    {"idle_timeout", "2.5", "2.5", "3"},
    {"drain_delay", "2", "2", "0.5"},
    {"shutdown_timeout", "2", "2", "0"},
    {"upgrade_socket", "'/run/a'", "/run/a", "/run/b"},
    {"upgrade_timeout", "2", "2", "0"},
    {"keepalive_idle", "2", "2", "0"},
    {"keepalive_interval", "2", "2", "3"},
    {"keepalive_count", "2", "2", "3"},
    {"user_timeout", "2", "2", "3"},
    {"log_level", "'error'", "error", "debug"},
    {"log_format", "'json'", "json", "text"},
    {"log_file", "'f.log'", "f.log", "journal"},
};

// What an option goes with, so that each can be looked at alone.
std::string Companions(const std::string& option) {
  std::string text;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (name != option) text += name + " = '" + value + "'\n";
  };
  add("tls_cert", "c");
  add("tls_key", "k");
  if (option.starts_with("tls_client_")) {
    add("tls_client_certificates", "optional");
    add("tls_client_ca", "ca");
  }
  return text;
}

TEST(CommandLine, FlagsWinOverTheFileAndTheFileOverTheDefaults) {
  for (const Precedence& row : kPrecedence) {
    SCOPED_TRACE(row.option);
    const Option& option = *FindOption(row.option);
    const Files files = {
        {"f", std::string(row.option) + " = " + row.toml + "\n" + Companions(row.option)}};

    EXPECT_NE(Text(option, Config{}), row.in_file);
    const CommandLine from_file = Parse({"--config", "f"}, files);
    EXPECT_EQ(from_file.error, "");
    EXPECT_EQ(Text(option, from_file.config), row.in_file);
    // The order on the command line does not matter.
    const std::string flag = std::string("--") + row.option + "=" + row.in_flag;
    for (const auto& arguments :
         {std::vector<std::string>{"--config=f", flag}, {flag, "--config=f"}}) {
      const CommandLine both = Parse(arguments, files);
      EXPECT_EQ(both.error, "");
      EXPECT_EQ(Text(option, both.config), row.in_flag);
      EXPECT_EQ(both.PlaceOf(row.option), std::string("--") + row.option);
      EXPECT_EQ(both.PlaceOf(row.option, 0), std::string("--") + row.option);
    }
  }
}

TEST(CommandLine, ThePrecedenceTableHoldsEveryKey) {
  size_t keys = 0;
  for (const Option& option : Options()) keys += option.is_key() && option.is_flag() ? 1 : 0;
  EXPECT_EQ(keys, std::size(kPrecedence));
}

TEST(CommandLine, CheckConfigPrintsWhatItReadsBack) {
  std::vector<std::string> arguments = {"--check_config"};
  for (const Precedence& row : kPrecedence) {
    arguments.push_back(std::string("--") + row.option + "=" + row.in_flag);
  }
  arguments.push_back("--tls_cert=quote\" back\\slash 'n, \xc3\xa9.crt");
  arguments.push_back("--tls_key=second.key");
  arguments.push_back("--tls_mode=required");  // Which sni_server needs.
  const CommandLine first = Parse(arguments);
  EXPECT_EQ(first.action, Action::kCheckConfig);
  EXPECT_EQ(first.error, "");
  EXPECT_EQ(first.exit_code, 0);

  const CommandLine again = Parse({"--check_config", "--config", "f"}, {{"f", first.text}});
  EXPECT_EQ(again.error, "");
  EXPECT_EQ(again.text, first.text);
  EXPECT_THAT(again.config.listeners[0].tls_cert,
              ElementsAre("g.crt", "quote\" back\\slash 'n, \xc3\xa9.crt"));
  EXPECT_EQ(again.config.listeners[0].handshake_timeout_ms, 1u);
  EXPECT_THAT(again.config.listeners[0].server, ElementsAre("c:1", "d:1"));
}

TEST(CommandLine, SessionsAreAskedOfTheAdminThatIsConfigured) {
  const CommandLine result =
      Parse({"--sessions", "--config", "f"}, {{"f", "admin = '127.0.0.1:7000'"}});
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.action, Action::kSessions);
  EXPECT_EQ(result.config.admin, "127.0.0.1:7000");
}

TEST(CommandLine, HelpNamesEveryOptionWithItsDefault) {
  const CommandLine result = Parse({"--help"});
  EXPECT_EQ(result.action, Action::kExit);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.error, "");
  for (const Option& option : Options()) {
    if (!option.is_flag()) continue;
    EXPECT_THAT(result.text, HasSubstr("  --" + std::string(option.name)));
    if (!option.is_key()) continue;
    const std::string value = Text(option, Config{});
    EXPECT_THAT(result.text, HasSubstr(value.empty() ? "none)" : value + ")"));
  }
  for (size_t start = 0; start < result.text.size();) {
    const size_t end = result.text.find('\n', start);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - start, 80u) << result.text.substr(start, end - start);
    start = end + 1;
  }
}

TEST(CommandLine, HelpAndVersionDoNotLookAtWhatFollows) {
  EXPECT_EQ(Parse({"-h", "--nonsense"}).exit_code, 0);
  const CommandLine version = Parse({"--version", "--config", "absent"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.text, testing::MatchesRegex("sallyport [0-9.]+\n"));
  EXPECT_EQ(Parse({"-V"}).text, version.text);
}

TEST(CommandLine, ComplainsLaterAboutTheSamePlace) {
  const Files files = {{"dir/f.toml", "\ntls_cert = 'a'\ntls_key = 'b'\n"}};
  const CommandLine result = Parse({"--config=dir/f.toml", "--tls_key=c"}, files);
  EXPECT_EQ(result.Complaint("tls_cert", "expired"),
            "sallyport: dir/f.toml:2: tls_cert: expired\n");
  EXPECT_EQ(result.Complaint("tls_key", "not a key"), "sallyport: --tls_key: not a key\n");
  EXPECT_EQ(result.Complaint("listen", "two\nlines"), "sallyport: listen: two\\x0alines\n");
}

class ReadFileTest : public testing::Test {
 protected:
  std::string Write(size_t size) {
    const std::string path = testing::TempDir() + "/read_file_test." + std::to_string(getpid());
    std::FILE* file = std::fopen(path.c_str(), "w");
    std::fputs(std::string(size, 'x').c_str(), file);
    std::fclose(file);
    return path;
  }
};

TEST_F(ReadFileTest, ReadsWholeFiles) {
  for (const size_t size : {0, 1, 5000, 1 << 20}) {
    const std::string path = Write(size);
    const absl::StatusOr<std::string> contents = ReadFile(path);
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(contents->size(), size);
    unlink(path.c_str());
  }
}

TEST_F(ReadFileTest, RefusesWhatIsTooLongADirectoryAndWhatIsNotThere) {
  const std::string path = Write((1 << 20) + 1);
  EXPECT_THAT(std::string(ReadFile(path).status().message()), HasSubstr("too long"));
  unlink(path.c_str());
  EXPECT_EQ(ReadFile(path).status().message(), "No such file or directory");
  EXPECT_EQ(ReadFile(testing::TempDir()).status().message(), "Is a directory");
  EXPECT_THAT(std::string(ReadFile("/dev/zero").status().message()), HasSubstr("too long"));
}

TEST_F(ReadFileTest, ReadsAPipe) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  ASSERT_EQ(write(fds[1], "workers = 1", 11), 11);
  close(fds[1]);
  EXPECT_EQ(ReadFile("/proc/self/fd/" + std::to_string(fds[0])).value_or("-"), "workers = 1");
  close(fds[0]);
}

}  // namespace
}  // namespace sallyport
