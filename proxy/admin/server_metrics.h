// What is known of servers, in Prometheus' terms, labelled by server.
#ifndef PROXY_ADMIN_SERVER_METRICS_H_
#define PROXY_ADMIN_SERVER_METRICS_H_

#include <prometheus/metric_family.h>

#include <memory>
#include <vector>

#include "proxy/servers/server_state.h"

namespace sallyport {

using ServerStates = std::vector<std::shared_ptr<const ServerState>>;

// ServerFamilies: up, open connections, attempts by outcome, failures, times to connect.
std::vector<prometheus::MetricFamily> ServerFamilies(const ServerStates& servers);

}  // namespace sallyport

#endif  // PROXY_ADMIN_SERVER_METRICS_H_
