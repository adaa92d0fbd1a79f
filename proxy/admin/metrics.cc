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

// All of a family's series, those that are 0 too: a rate can be told from the first count on.
template <typename LabelSet>
MetricFamily MakeFamily(const char* name, const char* help, const std::vector<const Stats*>& all,
                        Counters<LabelSet> Stats::*member) {
  MetricFamily family{name, help, MetricType::Counter, {}};
  for (size_t i = 0; i < LabelSet::kCount; ++i) {
    ClientMetric metric;
    for (const auto& [label, value] : LabelSet::LabelsOf(i)) {
      metric.label.push_back({std::string(label), std::string(value)});
    }
    for (const Stats* stats : all) {
      metric.counter.value += static_cast<double>((stats->*member)[i].value());
    }
    family.metric.push_back(std::move(metric));
  }
  return family;
}

// The count is that of the buckets, so that the two agree while the workers go on counting.
template <typename Type>
MetricFamily MakeHistogram(const char* name, const char* help, const std::vector<const Stats*>& all,
                           Type Stats::*member, double unit) {
  ClientMetric metric;
  uint64_t count = 0;
  for (size_t i = 0; i < Type::kBounds; ++i) {
    for (const Stats* stats : all) count += (stats->*member).count(i);
    metric.histogram.bucket.push_back({count, static_cast<double>(Type::bound(i)) * unit});
  }
  for (const Stats* stats : all) {
    count += (stats->*member).count(Type::kBounds);
    metric.histogram.sample_sum += static_cast<double>((stats->*member).sum()) * unit;
  }
  metric.histogram.sample_count = count;
  return {name, help, MetricType::Histogram, {metric}};
}

MetricFamily BuildInfo(const std::string& io_engine) {
  MetricFamily family = MakeFamily_gauge("sallyport_build_info", "1, labelled with what runs", 1);
  family.metric[0].label = {
      {"version", std::string(kVersion)}, {"compiler", __VERSION__}, {"io_engine", io_engine}};
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
#define SALLYPORT_STATS_FAMILY(member, labels, name, help) \
  families.push_back(MakeFamily(name, help, workers_, &Stats::member));
  SALLYPORT_LABELLED_STATS(SALLYPORT_STATS_FAMILY)
#undef SALLYPORT_STATS_FAMILY
#define SALLYPORT_STATS_FAMILY(type, member, name, unit, help) \
  families.push_back(MakeHistogram(name, help, workers_, &Stats::member, unit));
  SALLYPORT_HISTOGRAMS(SALLYPORT_STATS_FAMILY)
#undef SALLYPORT_STATS_FAMILY

  families.push_back(MakeFamily_gauge("sallyport_workers", "Threads that serve connections",
                                      double(workers_.size())));
  families.push_back(MakeFamily_counter("sallyport_log_lines_dropped_total",
                                        "Log lines that came faster than they could be written",
                                        double(LogLinesDropped())));
  families.push_back(BuildInfo(io_engine_));
  families.push_back(MakeFamily_gauge("process_start_time_seconds",
                                      "Start time of the process since unix epoch in seconds.",
                                      start_time_));
  return families;
}

std::string Metrics::Text() const { return prometheus::TextSerializer().Serialize(Collect()); }

}  // namespace sallyport
