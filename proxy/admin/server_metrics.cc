#include "proxy/admin/server_metrics.h"

#include <limits>
#include <string>
#include <utility>

namespace sallyport {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric Labelled(const ServerState& server) {
  ClientMetric metric;
  metric.label = {{"server", server.text()}};
  return metric;
}

// value(server): what the gauge or counter says of it.
template <typename Value>
MetricFamily Family(const char* name, const char* help, MetricType type,
                    const ServerStates& servers, const Value& value) {
  MetricFamily family = {name, help, type, {}};
  for (const auto& server : servers) {
    ClientMetric metric = Labelled(*server);
    (type == MetricType::Gauge ? metric.gauge.value : metric.counter.value) =
        static_cast<double>(value(*server));
    family.metric.push_back(std::move(metric));
  }
  return family;
}

MetricFamily Connects(const ServerStates& servers) {
  MetricFamily family = {"sallyport_server_connects_total",
                         "Attempts to connect, by outcome",
                         MetricType::Counter,
                         {}};
  for (const auto& server : servers) {
    for (size_t i = 0; i < kConnectOutcomes.size(); ++i) {
      ClientMetric metric = Labelled(*server);
      metric.label.push_back({"outcome", std::string(kConnectOutcomes[i])});
      metric.counter.value = static_cast<double>(server->connects(static_cast<ConnectOutcome>(i)));
      family.metric.push_back(std::move(metric));
    }
  }
  return family;
}

MetricFamily ConnectTimes(const ServerStates& servers) {
  MetricFamily family = {"sallyport_server_connect_seconds",
                         "Time that connecting took, where it succeeded",
                         MetricType::Histogram,
                         {}};
  for (const auto& server : servers) {
    ClientMetric metric = Labelled(*server);
    uint64_t count = 0;
    for (size_t i = 0; i <= kConnectTimeBuckets.size(); ++i) {
      count += server->connect_times(i);
      const double bound = i < kConnectTimeBuckets.size() ? kConnectTimeBuckets[i] / 1000.0
                                                          : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({count, bound});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = static_cast<double>(server->connect_ms_sum()) / 1000.0;
    family.metric.push_back(std::move(metric));
  }
  return family;
}

}  // namespace

std::vector<MetricFamily> ServerFamilies(const ServerStates& servers) {
  if (servers.empty()) return {};
  return {
      Family("sallyport_server_up", "1: in use. 0: in quarantine, or it failed its health check",
             MetricType::Gauge, servers, [](const ServerState& s) { return !s.down(); }),
      Family("sallyport_server_quarantined", "1: left out, because connections to it failed",
             MetricType::Gauge, servers, [](const ServerState& s) { return s.retry_at_ms() != 0; }),
      Family("sallyport_server_unhealthy", "1: left out, because it failed its health check",
             MetricType::Gauge, servers, [](const ServerState& s) { return s.unhealthy(); }),
      Family("sallyport_server_connections_open", "Connections to it, open or being opened",
             MetricType::Gauge, servers, [](const ServerState& s) { return s.open(); }),
      Family("sallyport_server_failures_total",
             "Connections to it that failed, or that it never greeted", MetricType::Counter,
             servers, [](const ServerState& s) { return s.failures(); }),
      Connects(servers),
      ConnectTimes(servers),
  };
}

}  // namespace sallyport
