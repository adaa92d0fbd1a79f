#include "proxy/admin/metrics.h"

#include <prometheus/text_serializer.h>

#include "proxy/config/version.h"
#include "proxy/log/log.h"

namespace sallyport {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// The names are those of SALLYPORT_STATS' first column.
MetricFamily MakeFamily_gauge(const char* name, const char* help, double value) {
  ClientMetric metric;
  metric.gauge.value = value;
  return {name, help, MetricType::Gauge, {metric}};
}

MetricFamily MakeFamily_counter(const char* name, const char* help, double value) {
  ClientMetric metric;
  metric.counter.value = value;
  return {name, help, MetricType::Counter, {metric}};
}

MetricFamily BuildInfo() {
  MetricFamily family = MakeFamily_gauge("sallyport_build_info", "1, labelled with what runs", 1);
  family.metric[0].label = {{"version", std::string(kVersion)}};
  return family;
}

}  // namespace

std::vector<MetricFamily> Metrics::Collect() const {
  std::vector<MetricFamily> families;
#define SALLYPORT_STATS_FAMILY(kind, member, name, help)              \
  {                                                                   \
    uint64_t sum = 0;                                                 \
    for (const Stats* stats : workers_) sum += stats->member.value(); \
    families.push_back(MakeFamily_##kind(name, help, double(sum)));   \
  }
  SALLYPORT_STATS(SALLYPORT_STATS_FAMILY)
#undef SALLYPORT_STATS_FAMILY

  families.push_back(MakeFamily_gauge("sallyport_workers", "Threads that serve connections",
                                      double(workers_.size())));
  families.push_back(MakeFamily_counter("sallyport_log_lines_dropped_total",
                                        "Log lines that came faster than they could be written",
                                        double(LogLinesDropped())));
  families.push_back(BuildInfo());
  families.push_back(MakeFamily_gauge("process_start_time_seconds",
                                      "Start time of the process since unix epoch in seconds.",
                                      start_time_));
  if (servers_ != nullptr) {
    for (MetricFamily& family : ServerFamilies(servers_())) families.push_back(std::move(family));
  }
  return families;
}

std::string Metrics::Text() const { return prometheus::TextSerializer().Serialize(Collect()); }

}  // namespace sallyport
