// What programs read: JSON whatever clients say, and the table of --sessions.
#include "proxy/admin/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "proxy/admin/listing.h"

namespace sallyport {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHostile[] = "</script><img src=x onerror=alert(1)>\"'\xff\x1b[2J\n\0after";

SessionInfo Hostile() {
  SessionInfo session;
  session.id = (uint64_t{5} << 48) + 9;
  session.client = "10.0.0.1:5000";
  session.server = "127.0.0.1:3306";
  session.user = std::string(kHostile, sizeof(kHostile) - 1);
  session.tls_version = "TLSv1.3";
  session.state = "session";
  session.age_ms = 61'500;
  session.bytes_from_client = 1'000;
  return session;
}

TEST(SessionsJson, HoldsWhateverBytesAUserNameHas) {
  const json page = json::parse(SessionsJson({{Hostile()}, uint64_t{1} << 60, 2}));
  const json& session = page["sessions"][0];
  EXPECT_EQ(session["user"], std::string("</script><img src=x onerror=alert(1)>\"'\xEF\xBF\xBD") +
                                 std::string("\x1b[2J\n\0after", 11));
  EXPECT_EQ(session["id"], "1407374883553289");  // Exact: JavaScript's numbers would not be.
  EXPECT_EQ(session["tls"], "TLSv1.3");
  EXPECT_EQ(session["age_ms"], 61'500);
  EXPECT_EQ(page["next"], "1152921504606846976");
  EXPECT_EQ(page["silent_workers"], 2);
}

TEST(SessionsJson, SaysThatItWasTheLastPage) {
  const json page = json::parse(SessionsJson({}));
  EXPECT_TRUE(page["next"].is_null());
  EXPECT_TRUE(page["sessions"].is_array());
}

TEST(SessionTable, PrintsNoControlCharacters) {
  std::string next;
  const auto table = SessionTable(SessionsJson({{Hostile()}, 77, 0}), true, &next);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(*table, HasSubstr("ID "));
  EXPECT_THAT(*table, HasSubstr("1407374883553289"));
  EXPECT_THAT(*table, HasSubstr("\\x1b[2J\\x0a\\x00after"));
  EXPECT_THAT(*table, HasSubstr(" 61 "));
  EXPECT_THAT(*table, Not(HasSubstr("\x1b")));
  EXPECT_EQ(std::count(table->begin(), table->end(), '\n'), 2);
  EXPECT_EQ(next, "77");
}

TEST(SessionTable, RefusesWhatIsNoList) {
  std::string next;
  for (const char* text :
       {"", "{}", "[]", "null", "{\"sessions\":1}", "<html>", "{\"sessions\":["}) {
    EXPECT_FALSE(SessionTable(text, true, &next).ok()) << text;
  }
  EXPECT_TRUE(SessionTable("{\"sessions\":[{\"id\":[1]},7]}", false, &next).ok());
  EXPECT_EQ(next, "");
}

TEST(Census, CountsByAddressAndServer) {
  SessionList list;
  const auto add = [&](const char* client, const char* server, uint64_t bytes) {
    SessionInfo session;
    session.client = client;
    session.server = server;
    session.bytes_from_server = bytes;
    list.sessions.push_back(session);
  };
  add("10.0.0.1:1", "a:3306", 5);
  add("10.0.0.2:1", "a:3306", 900);
  add("10.0.0.1:2", "b:3306", 5);
  add("[fe80::1]:9", "a:3306", 1'000);
  add("unix:", "a:3306", 1);
  Census census = TakeCensus(list, 3);
  ASSERT_EQ(census.clients.size(), 3u);
  EXPECT_EQ(census.clients[0].address, "10.0.0.1");
  EXPECT_EQ(census.clients[0].sessions, 2u);
  EXPECT_EQ(census.clients[0].bytes, 10u);
  EXPECT_EQ(census.clients[1].address, "[fe80::1]");
  EXPECT_THAT(census.servers, ElementsAre(std::pair("a:3306", 4u), std::pair("b:3306", 1u)));
  EXPECT_TRUE(census.complete);
  list.next = 1;
  EXPECT_FALSE(TakeCensus(list, 3).complete);
  EXPECT_EQ(TakeCensus({}, 3).sessions_seen, 0u);
}

TEST(StatusJson, HasEveryStatUnderItsName) {
  std::vector<Stats> workers(2);
  for (Stats& stats : workers) {
    stats.connections_open.Add(3);
    stats.connections_ended.At(CloseReason::kIdleTimeout).Add(4);
    stats.loop_lag.Observe(20);
    stats.loop_lag.Observe(1'000'000'000);
  }
  StatusFacts facts;
  facts.workers = {&workers[0], &workers[1]};
  facts.listeners.push_back({.name = std::string("n\xff"), .addresses = {"0.0.0.0:6033"}});
  facts.listeners[0].servers.push_back({"127.0.0.1:3306", true});
  facts.listeners[0].certificate = CertificateFacts{.subject = "CN=x", .not_after = 1'800'000'000};
  const json status = json::parse(StatusJson(facts));
  EXPECT_EQ(status["numbers"]["connections_open"], 6);
  EXPECT_EQ(status["by_label"]["connections_ended"],
            json::parse("[{\"reason\":\"idle_timeout\",\"value\":8}]"));
  const json& lag = status["histograms"]["loop_lag"];
  EXPECT_EQ(lag["counts"].size(), lag["bounds"].size() + 1);
  EXPECT_EQ(lag["counts"][1], 2);
  EXPECT_EQ(lag["counts"].back(), 2);
  EXPECT_DOUBLE_EQ(lag["bounds"][1], 32e-6);
  EXPECT_EQ(status["listeners"][0]["servers"][0]["drained"], true);
  EXPECT_EQ(status["listeners"][0]["certificate"]["not_after"], 1'800'000'000);
#define EXPECT_NAME(kind, member, name, help) EXPECT_TRUE(status["numbers"].contains(#member));
  SALLYPORT_STATS(EXPECT_NAME)
#undef EXPECT_NAME
#define EXPECT_NAME(member, labels, name, help) EXPECT_TRUE(status["by_label"].contains(#member));
  SALLYPORT_LABELLED_STATS(EXPECT_NAME)
#undef EXPECT_NAME
}

}  // namespace
}  // namespace sallyport
