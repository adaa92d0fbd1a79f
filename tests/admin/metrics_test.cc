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
      EXPECT_THAT(line, MatchesRegex("# (HELP [a-z_]+ .+|TYPE [a-z_]+ (gauge|counter|histogram))"));
      continue;
    }
    EXPECT_THAT(line, MatchesRegex("[a-z_]+([{]([a-z_]+=\"[^\"]*\",?)+[}])? [0-9.e+-]+"));
    EXPECT_TRUE(seen.insert(line.substr(0, line.rfind(' '))).second) << "twice: " << line;
  }
  EXPECT_TRUE(seen.contains("process_start_time_seconds"));
}

TEST(Metrics, LabelledStatsAreSummedPlaceByPlace) {
  std::vector<Stats> workers(2);
  uint64_t value = 1;
#define SET(member, labels, name, help)         \
  for (size_t i = 0; i < labels::kCount; ++i) { \
    workers[0].member[i].Add(value);            \
    workers[1].member[i].Add(1000 * value++);   \
  }
  SALLYPORT_LABELLED_STATS(SET)
#undef SET
  const std::string text = Metrics({&workers[0], &workers[1]}, 0).Text();
  value = 1;
#define EXPECT_SERIES(member, labels, name, help)                                              \
  for (size_t i = 0; i < labels::kCount; ++i) {                                                \
    std::string series = name "{";                                                             \
    for (const auto& [label, of_it] : labels::LabelsOf(i)) {                                   \
      series += std::string(label) + "=\"" + std::string(of_it) + "\",";                       \
    }                                                                                          \
    series.back() = '}';                                                                       \
    EXPECT_THAT(text, HasSubstr("\n" + series + " " + std::to_string(1001 * value++) + "\n")); \
  }
  SALLYPORT_LABELLED_STATS(EXPECT_SERIES)
#undef EXPECT_SERIES
}

TEST(Metrics, HistogramsAreCumulativeAndEndWithAll) {
  std::vector<Stats> workers(2);
  for (const uint64_t us : {0, 16, 17, 32, 1'000'000}) workers[0].loop_lag.Observe(us);
  workers[1].loop_lag.Observe(5'000'000);
  const std::string text = Metrics({&workers[0], &workers[1]}, 0).Text();
  EXPECT_THAT(text, HasSubstr("# TYPE sallyport_loop_lag_seconds histogram\n"));
  for (const char* line :
       {"_count 6", "_sum 6.000065", "_bucket{le=\"1.6e-05\"} 2", "_bucket{le=\"3.2e-05\"} 4",
        "_bucket{le=\"0.524288\"} 4", "_bucket{le=\"1.048576\"} 5", "_bucket{le=\"+Inf\"} 6"}) {
    EXPECT_THAT(text, HasSubstr("\nsallyport_loop_lag_seconds" + std::string(line) + "\n"));
  }
}

// A value is in the first bucket that it does not exceed, at each bound and right behind it.
TEST(Histogram, PutsValuesAtTheirBounds) {
  using Small = Histogram<2, 5>;
  for (size_t i = 0; i < Small::kBounds; ++i) {
    Small histogram;
    histogram.Observe(Small::bound(i));
    histogram.Observe(Small::bound(i) + 1);
    EXPECT_EQ(histogram.count(i), 1u);
    EXPECT_EQ(histogram.count(i + 1), 1u);
    EXPECT_EQ(histogram.sum(), 2 * Small::bound(i) + 1);
  }
  Small ends;
  ends.Observe(0);
  ends.Observe(UINT64_MAX);
  EXPECT_EQ(ends.count(0), 1u);
  EXPECT_EQ(ends.count(Small::kBounds), 1u);
}

TEST(StatLabels, WhatPeersSayGoesToFixedPlaces) {
  const auto of = [](const Labels& labels, std::string_view name) {
    for (const auto& [label, value] : labels) {
      if (label == name) return std::string(value);
    }
    return std::string();
  };
  const auto tls = [](std::string_view cipher) {
    return HandshakeLabels::LabelsOf(HandshakeLabels::IndexOf(cipher, true));
  };
  EXPECT_EQ(of(tls("TLS_AES_256_GCM_SHA384"), "version"), "TLSv1.3");
  EXPECT_EQ(of(tls("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), "version"), "TLSv1.2");
  EXPECT_EQ(of(tls("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), "resumed"), "yes");
  EXPECT_EQ(of(tls("invented"), "cipher"), "other");
  const auto plugin = [](std::string_view name) {
    return LoginLabels::LabelsOf(LoginLabels::IndexOf(name, LoginOutcome::kRefusedHere));
  };
  EXPECT_EQ(of(plugin("client_ed25519"), "plugin"), "client_ed25519");
  EXPECT_EQ(of(plugin(""), "plugin"), "mysql_native_password");
  EXPECT_EQ(of(plugin("\"} 1\nevil"), "plugin"), "other");
  EXPECT_EQ(of(plugin("dialog"), "outcome"), "refused_here");
  const auto failure = [&](std::string_view error) {
    return of(TlsFailureLabels::LabelsOf(TlsFailureLabels::IndexOf(error)), "reason");
  };
  EXPECT_EQ(failure("TLSV1_ALERT_UNKNOWN_CA"), "alert_from_client");
  EXPECT_EQ(failure("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "alert_from_client");
  EXPECT_EQ(failure("UNSUPPORTED_PROTOCOL"), "version");
  EXPECT_EQ(failure("WRONG_VERSION_NUMBER"), "version");
  EXPECT_EQ(failure("NO_SHARED_CIPHER"), "cipher");
  EXPECT_EQ(failure("CERTIFICATE_VERIFY_FAILED: certificate has expired"), "client_certificate");
  EXPECT_EQ(failure("DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), "other");
  EXPECT_EQ(failure(""), "other");
}

TEST(Metrics, CountersEndInTotalAndGaugesDoNot) {
#define EXPECT_NAME(kind, member, name, help) \
  EXPECT_EQ(std::string(name).ends_with("_total"), std::string(#kind) == "counter") << name;
  SALLYPORT_STATS(EXPECT_NAME)
#undef EXPECT_NAME
#define EXPECT_TOTAL(member, labels, name, help) \
  EXPECT_TRUE(std::string(name).ends_with("_total")) << name;
  SALLYPORT_LABELLED_STATS(EXPECT_TOTAL)
#undef EXPECT_TOTAL
}

// A proxy at 10 GB/s reaches this in ten days.
TEST(Metrics, LargeCountsAreExact) {
  const auto stats = std::make_unique<Stats>();
  stats->bytes_received.At(Side::kClient, Way::kSpliced).Add((uint64_t{1} << 53) - 1);
  EXPECT_THAT(
      Metrics({stats.get()}, 0).Text(),
      HasSubstr(
          "\nsallyport_received_bytes_total{side=\"client\",way=\"spliced\"} 9007199254740991\n"));
}

TEST(Metrics, NoWorkersAreNoTrouble) {
  EXPECT_THAT(Metrics({}, 0).Text(), HasSubstr("\nsallyport_connections_open 0\n"));
}

}  // namespace
}  // namespace sallyport
