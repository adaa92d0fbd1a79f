#include "proxy/admin/server_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <memory>
#include <string>

namespace sallyport {
namespace {

using ::testing::HasSubstr;

std::string Text(const ServerStates& servers) {
  return prometheus::TextSerializer().Serialize(ServerFamilies(servers));
}

TEST(ServerMetrics, EachServerHasItsOwnSeries) {
  auto a = std::make_shared<ServerState>("10.0.0.1:3306");
  auto b = std::make_shared<ServerState>("unix:/run/\"b\".sock");
  a->Open();
  a->Open();
  a->Close();
  b->Failed(1);
  b->Failed(1);
  const std::string text = Text({a, b});
  EXPECT_THAT(text, HasSubstr("sallyport_server_up{server=\"10.0.0.1:3306\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sallyport_server_up{server=\"unix:/run/\\\"b\\\".sock\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("_quarantined{server=\"10.0.0.1:3306\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("_quarantined{server=\"unix:/run/\\\"b\\\".sock\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("_connections_open{server=\"10.0.0.1:3306\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("_failures_total{server=\"unix:/run/\\\"b\\\".sock\"} 2\n"));
}

TEST(ServerMetrics, AServerThatFailedItsCheckIsNotUp) {
  auto a = std::make_shared<ServerState>("a");
  a->CheckFailed();
  EXPECT_THAT(Text({a}), HasSubstr("sallyport_server_up{server=\"a\"} 0\n"));
  EXPECT_THAT(Text({a}), HasSubstr("sallyport_server_unhealthy{server=\"a\"} 1\n"));
}

TEST(ServerMetrics, ConnectsAreToldByOutcome) {
  auto a = std::make_shared<ServerState>("a");
  for (int i = 0; i < 3; ++i) a->CountConnect(ConnectOutcome::kTimedOut);
  const std::string text = Text({a});
  EXPECT_THAT(text, HasSubstr("_connects_total{server=\"a\",outcome=\"timed_out\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("_connects_total{server=\"a\",outcome=\"connected\"} 0\n"));
}

TEST(ServerMetrics, TimesAreSeconds) {
  auto a = std::make_shared<ServerState>("a");
  a->CountConnectTime(1);
  a->CountConnectTime(4);
  a->CountConnectTime(9999);
  const std::string text = Text({a});
  EXPECT_THAT(text, HasSubstr("_seconds_bucket{server=\"a\",le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("_seconds_bucket{server=\"a\",le=\"0.002\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("_seconds_bucket{server=\"a\",le=\"0.005\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("_seconds_bucket{server=\"a\",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("_seconds_sum{server=\"a\"} 10.004\n"));
}

TEST(ServerMetrics, NoServersAreNoTrouble) { EXPECT_EQ(Text({}), ""); }

}  // namespace
}  // namespace sallyport
