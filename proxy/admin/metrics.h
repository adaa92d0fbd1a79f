// The proxy's metrics in Prometheus' terms.
#ifndef PROXY_ADMIN_METRICS_H_
#define PROXY_ADMIN_METRICS_H_

#include <prometheus/collectable.h>

#include <string>
#include <vector>

#include "proxy/stats.h"

namespace sallyport {

// Sums the workers' Stats when asked; nothing is counted twice and nothing is kept here.
class Metrics : public prometheus::Collectable {
 public:
  // `workers` must outlive it. start_time: Unix seconds. io_engine: the rings' name.
  Metrics(std::vector<const Stats*> workers, double start_time, std::string io_engine = {})
      : workers_(std::move(workers)), start_time_(start_time), io_engine_(std::move(io_engine)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

  // Text is the exposition format, version 0.0.4.
  std::string Text() const;

 private:
  const std::vector<const Stats*> workers_;
  const double start_time_;
  const std::string io_engine_;
};

}  // namespace sallyport

#endif  // PROXY_ADMIN_METRICS_H_
