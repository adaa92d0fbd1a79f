// What a reload takes over, and what it leaves for a restart.
#include "proxy/config/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "proxy/config/options.h"
#include "tests/config/parse.h"

namespace sallyport {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Config FromFile(const std::string& text) {
  const CommandLine result = Parse({"--config=f"}, {{"f", text}});
  EXPECT_EQ(result.error, "");
  return result.config;
}

ReloadPlan Plan(const std::string& before, const std::string& after) {
  return PlanReload(FromFile(before), FromFile(after));
}

TEST(Reload, OfTheSameChangesNothing) {
  const std::string text =
      "workers = 2\n[[listener]]\nlisten = ':1'\n[[listener]]\nlisten = ':2'\nserver = 'a:1'\n";
  const ReloadPlan plan = Plan(text, text);
  EXPECT_THAT(plan.need_restart, IsEmpty());
  EXPECT_THAT(plan.wanted_listeners, ElementsAre(0u, 1u));
  EXPECT_THAT(plan.config.listeners[1].server, ElementsAre("a:1"));
}

TEST(Reload, TakesWhatIsReadForEachConnection) {
  const ReloadPlan plan =
      Plan("",
           "server = 'b:1'\nmax_connections = 5\nidle_timeout = 9\ntls_cert = 'c'\n"
           "tls_key = 'k'\ntls_mode = 'required'\nlog_level = 'debug'\nshutdown_timeout = 1\n");
  EXPECT_THAT(plan.need_restart, IsEmpty());
  EXPECT_EQ(plan.config.max_connections, 5u);
  EXPECT_EQ(plan.config.shutdown_timeout_ms, 1'000u);
  EXPECT_EQ(plan.config.log_level, "debug");
  const ListenerConfig& listener = plan.config.listeners[0];
  EXPECT_THAT(listener.server, ElementsAre("b:1"));
  EXPECT_EQ(listener.max_connections, 5u);
  EXPECT_EQ(listener.idle_timeout_ms, 9'000u);
  EXPECT_EQ(listener.tls_cert, std::vector<std::string>{"c"});
  EXPECT_EQ(listener.tls_mode, TlsMode::kRequired);
}

TEST(Reload, NamesWhatNeedsARestartAndKeepsItAsItWas) {
  const ReloadPlan plan = Plan("",
                               "listen = ':1'\nworkers = 3\nio_engine = 'epoll'\nadmin = ''\n"
                               "core_dumps = true\nserver = 'b:1'\n");
  EXPECT_THAT(plan.need_restart,
              UnorderedElementsAre("listen", "workers", "io_engine", "admin", "core_dumps"));
  EXPECT_THAT(plan.config.listeners[0].listen, ElementsAre("0.0.0.0:6033"));
  EXPECT_EQ(plan.config.workers, 0);
  EXPECT_EQ(plan.config.io_engine, IoEngine::kAuto);
  EXPECT_EQ(plan.config.admin, "127.0.0.1:6034");
  EXPECT_FALSE(plan.config.core_dumps);
  EXPECT_THAT(plan.config.listeners[0].server, ElementsAre("b:1"));
}

// Whatever a new key is, either it takes effect or its name is told.
TEST(Reload, NoKeyIsForgotten) {
  for (const Option& option : Options()) {
    if (!option.is_key()) continue;
    SCOPED_TRACE(option.name);
    const Config before = FromFile("");
    Config after = before;
    const bool is_on = OptionText(option, {&before, &before.listeners[0]}) == "true";
    const char* text = option.kind == OptionKind::kBool     ? (is_on ? "false" : "true")
                       : option.kind == OptionKind::kCount  ? "3"
                       : option.kind == OptionKind::kChoice ? option.choices.back().data()
                                                            : "7";
    const bool address = option.is_list() || option.kind == OptionKind::kAdminAddress;
    if (option.is_list()) ClearOption(option, {&after, &after.listeners[0]});
    if (option.kind == OptionKind::kNetworks) {
      text = "::7";
    } else if (option.kind == OptionKind::kSniServers) {
      text = "x=x:7";
    } else if (address) {
      text = "x:7";
    }
    ASSERT_TRUE(SetOption(option, text, {&after, &after.listeners[0]}).ok());
    const ReloadPlan plan = PlanReload(before, after);
    const Config& expected = option.needs_restart() ? before : after;
    EXPECT_EQ(OptionText(option, {&plan.config, &plan.config.listeners[0]}),
              OptionText(option, {&expected, &expected.listeners[0]}));
    EXPECT_EQ(plan.need_restart.size(), option.needs_restart() ? 1u : 0u);
  }
}

TEST(Reload, FindsListenersAgainWhereverTheyStand) {
  const ReloadPlan plan =
      Plan("[[listener]]\nlisten = [':1', ':2']\n[[listener]]\nname = 'b'\nlisten = ':3'\n",
           "[[listener]]\nname = 'b'\nlisten = ':4'\nserver = 'b:1'\n"
           "[[listener]]\nlisten = [':2', ':1']\nserver = 'a:1'\n");
  EXPECT_THAT(plan.wanted_listeners, ElementsAre(1u, 0u));
  EXPECT_THAT(plan.config.listeners[0].server, ElementsAre("a:1"));
  EXPECT_THAT(plan.config.listeners[1].server, ElementsAre("b:1"));
  EXPECT_THAT(plan.config.listeners[1].listen, ElementsAre(":3"));
  EXPECT_THAT(plan.need_restart, ElementsAre("listen"));
}

TEST(Reload, LeavesListenersThatWentAndDoesNotOpenNewOnes) {
  const std::string two = "[[listener]]\nlisten = ':1'\n[[listener]]\nlisten = ':2'\n";
  const ReloadPlan fewer = Plan(two, "[[listener]]\nlisten = ':2'\nserver = 'b:1'\n");
  EXPECT_THAT(fewer.need_restart, ElementsAre("listen"));
  ASSERT_EQ(fewer.config.listeners.size(), 2u);
  EXPECT_FALSE(fewer.wanted_listeners[0].has_value());
  EXPECT_THAT(fewer.config.listeners[0].server, ElementsAre("127.0.0.1:3306"));
  EXPECT_THAT(fewer.config.listeners[1].server, ElementsAre("b:1"));

  const ReloadPlan more = Plan("[[listener]]\nlisten = ':2'\n", two);
  EXPECT_THAT(more.need_restart, ElementsAre("listen"));
  ASSERT_EQ(more.config.listeners.size(), 1u);
  EXPECT_THAT(more.wanted_listeners, ElementsAre(1u));
}

}  // namespace
}  // namespace sallyport
