#include "proxy/admin/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace sallyport {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST(Metrics, EveryStatHasHelpTypeAndItsSum) {
  std::vector<Stats> workers(3);  // Not on the stack: there g++ 12 loses alignas(64) under ASan.
  uint64_t value = 1;
#define SET(kind, member, name, help)                    \
  for (Stats & stats : workers) stats.member.Add(value); \
  ++value;
  SALLYPORT_STATS(SET)
#undef SET
  const std::string text = Metrics({&workers[0], &workers[1], &workers[2]}, 0).Text();
  value = 1;
#define EXPECT_STAT(kind, member, name, help)                                                    \
  EXPECT_THAT(text, HasSubstr("# HELP " name " " help "\n# TYPE " name " " #kind "\n" name " " + \
                              std::to_string(3 * value) + "\n"));                                \
  ++value;
  SALLYPORT_STATS(EXPECT_STAT)
#undef EXPECT_STAT
}

TEST(Metrics, AreInTheFormatThatPrometheusReads) {
  const auto stats = std::make_unique<Stats>();
  std::istringstream text(Metrics({stats.get()}, 1.7e9 + 0.25).Text());
  std::set<std::string> seen;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("#")) {
      EXPECT_THAT(line, MatchesRegex("# (HELP [a-z_]+ .+|TYPE [a-z_]+ (gauge|counter))"));
      continue;
    }
    EXPECT_THAT(line, MatchesRegex("[a-z_]+([{][a-z]+=\"[^\"]*\"[}])? [0-9.e+]+"));
    EXPECT_TRUE(seen.insert(line.substr(0, line.find(' '))).second) << "twice: " << line;
  }
  EXPECT_TRUE(seen.contains("process_start_time_seconds"));
}

TEST(Metrics, CountersEndInTotalAndGaugesDoNot) {
#define EXPECT_NAME(kind, member, name, help) \
  EXPECT_EQ(std::string(name).ends_with("_total"), std::string(#kind) == "counter") << name;
  SALLYPORT_STATS(EXPECT_NAME)
#undef EXPECT_NAME
}

// A proxy at 10 GB/s reaches this in ten days.
TEST(Metrics, LargeCountsAreExact) {
  const auto stats = std::make_unique<Stats>();
  stats->bytes_from_clients.Add((uint64_t{1} << 53) - 1);
  EXPECT_THAT(Metrics({stats.get()}, 0).Text(),
              HasSubstr("\nsallyport_bytes_from_clients_total 9007199254740991\n"));
}

TEST(Metrics, TellWhenCertificatesExpire) {
  ExpiryWatch expiry;
  const Metrics metrics({}, 0, &expiry);
  expiry.Replace({{"orders", "certificate", "/etc/a.crt", "CN=\"a\"", 1'800'000'000}});
  EXPECT_THAT(
      metrics.Text(),
      HasSubstr("\nsallyport_certificate_not_after_seconds{listener=\"orders\",kind="
                "\"certificate\",file=\"/etc/a.crt\",subject=\"CN=\\\"a\\\"\"} 1800000000\n"));
  expiry.Replace({{"orders", "certificate", "/etc/b.crt", "CN=b", 1}});
  EXPECT_THAT(metrics.Text(), HasSubstr("file=\"/etc/b.crt\",subject=\"CN=b\"} 1\n"));
}

TEST(Metrics, NoWorkersAreNoTrouble) {
  EXPECT_THAT(Metrics({}, 0).Text(), HasSubstr("\nsallyport_connections_open 0\n"));
}

}  // namespace
}  // namespace sallyport
