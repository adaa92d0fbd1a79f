#include "proxy/admin/json.h"

#include <algorithm>
#include <map>
#include <utility>

#include "nlohmann/json.hpp"
#include "proxy/config/version.h"

namespace sallyport {
namespace {

using nlohmann::json;

// The only way to text: it can't fail, whatever bytes the strings have.
std::string ToText(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json ToJson(const SessionInfo& session) {
  return {{"id", std::to_string(session.id)},
          {"client", session.client},
          {"listener", session.listener},
          {"server", session.server},
          {"server_thread", session.server_thread},
          {"user", session.user},
          {"db", session.database},
          {"plugin", session.plugin},
          {"tls", session.tls_version.empty() ? "none" : session.tls_version},
          {"cipher", session.cipher},
          {"resumed", session.resumed},
          {"state", session.state},
          {"age_ms", session.age_ms},
          {"idle_ms", session.idle_ms},
          {"bytes_from_client", session.bytes_from_client},
          {"bytes_from_server", session.bytes_from_server},
          {"bytes_waiting", session.bytes_waiting}};
}

json ToJson(const ListenerFacts& listener) {
  json servers = json::array();
  for (const ServerFacts& server : listener.servers) {
    servers.push_back({{"server", server.server}, {"drained", server.drained}});
  }
  json certificate;
  if (listener.certificate.has_value()) {
    const CertificateFacts& facts = *listener.certificate;
    certificate = {{"subject", facts.subject},
                   {"names", facts.names},
                   {"key_type", facts.key_type},
                   {"not_after", facts.not_after},
                   {"self_signed", facts.self_signed}};
  }
  return {{"name", listener.name},
          {"addresses", listener.addresses},
          {"tls_mode", listener.tls_mode},
          {"certificate", std::move(certificate)},
          {"servers", std::move(servers)},
          {"open", listener.open},
          {"max_connections", listener.max_connections}};
}

json ToJson(const Census& census) {
  json clients = json::array();
  for (const Census::Client& client : census.clients) {
    clients.push_back(
        {{"client", client.address}, {"sessions", client.sessions}, {"bytes", client.bytes}});
  }
  json servers = json::object();
  for (const auto& [server, sessions] : census.servers) servers[server] = sessions;
  return {{"clients", std::move(clients)},
          {"servers", std::move(servers)},
          {"sessions_seen", census.sessions_seen},
          {"complete", census.complete}};
}

template <typename LabelSet>
json LabelledJson(const std::vector<const Stats*>& workers, Counters<LabelSet> Stats::*member) {
  json series = json::array();
  for (size_t i = 0; i < LabelSet::kCount; ++i) {
    uint64_t sum = 0;
    for (const Stats* stats : workers) sum += (stats->*member)[i].value();
    if (sum == 0) continue;
    json one = {{"value", sum}};
    for (const auto& [label, value] : LabelSet::LabelsOf(i)) one[std::string(label)] = value;
    series.push_back(std::move(one));
  }
  return series;
}

// The last count is of values above all bounds.
template <typename Type>
json HistogramJson(const std::vector<const Stats*>& workers, Type Stats::*member, double unit) {
  json bounds = json::array(), counts = json::array();
  for (size_t i = 0; i <= Type::kBounds; ++i) {
    if (i < Type::kBounds) bounds.push_back(static_cast<double>(Type::bound(i)) * unit);
    uint64_t count = 0;
    for (const Stats* stats : workers) count += (stats->*member).count(i);
    counts.push_back(count);
  }
  return {{"bounds", std::move(bounds)}, {"counts", std::move(counts)}};
}

// "10.0.0.1:4711", "[::1]:4711"; a unix socket's client has no address.
std::string HostOf(const std::string& client) {
  const size_t colon = client.rfind(':');
  return client.starts_with("unix:") || colon == std::string::npos ? client
                                                                   : client.substr(0, colon);
}

}  // namespace

std::string SessionsJson(const SessionList& list) {
  json sessions = json::array();
  for (const SessionInfo& session : list.sessions) sessions.push_back(ToJson(session));
  json next;
  if (list.next.has_value()) next = std::to_string(*list.next);
  return ToText({{"sessions", std::move(sessions)},
                 {"next", std::move(next)},
                 {"silent_workers", list.silent_workers}});
}

Census TakeCensus(const SessionList& list, size_t clients_max) {
  std::map<std::string, Census::Client> clients;
  std::map<std::string, uint32_t> servers;
  for (const SessionInfo& session : list.sessions) {
    Census::Client& client = clients[HostOf(session.client)];
    ++client.sessions;
    client.bytes += session.bytes_from_client + session.bytes_from_server;
    ++servers[session.server];
  }
  Census census;
  for (auto& [address, client] : clients) {
    client.address = address;
    census.clients.push_back(std::move(client));
  }
  const size_t told = std::min(clients_max, census.clients.size());
  std::partial_sort(census.clients.begin(), census.clients.begin() + static_cast<ptrdiff_t>(told),
                    census.clients.end(), [](const Census::Client& a, const Census::Client& b) {
                      return std::pair(a.sessions, a.bytes) > std::pair(b.sessions, b.bytes);
                    });
  census.clients.resize(told);
  census.servers.assign(servers.begin(), servers.end());
  census.sessions_seen = static_cast<uint32_t>(list.sessions.size());
  census.complete = !list.next.has_value() && list.silent_workers == 0;
  return census;
}

std::string StatusJson(const StatusFacts& facts) {
  json numbers, by_label, histograms;
#define SALLYPORT_JSON(kind, member, name, help)                           \
  {                                                                        \
    uint64_t sum = 0;                                                      \
    for (const Stats* stats : facts.workers) sum += stats->member.value(); \
    numbers[#member] = sum;                                                \
  }
  SALLYPORT_STATS(SALLYPORT_JSON)
#undef SALLYPORT_JSON
#define SALLYPORT_JSON(member, labels, name, help) \
  by_label[#member] = LabelledJson(facts.workers, &Stats::member);
  SALLYPORT_LABELLED_STATS(SALLYPORT_JSON)
#undef SALLYPORT_JSON
#define SALLYPORT_JSON(type, member, name, unit, help) \
  histograms[#member] = HistogramJson(facts.workers, &Stats::member, unit);
  SALLYPORT_HISTOGRAMS(SALLYPORT_JSON)
#undef SALLYPORT_JSON
  json listeners = json::array();
  for (const ListenerFacts& listener : facts.listeners) listeners.push_back(ToJson(listener));
  return ToText({{"version", kVersion},
                 {"io_engine", facts.io_engine},
                 {"workers", facts.workers.size()},
                 {"start_time", facts.start_time},
                 {"now", facts.now},
                 {"stopping", facts.stopping},
                 {"numbers", std::move(numbers)},
                 {"by_label", std::move(by_label)},
                 {"histograms", std::move(histograms)},
                 {"listeners", std::move(listeners)},
                 {"census", ToJson(facts.census)}});
}

}  // namespace sallyport
