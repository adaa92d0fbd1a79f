// What Admin tells in JSON. Text of clients may be any bytes: what is no UTF-8 becomes U+FFFD.
#ifndef PROXY_ADMIN_JSON_H_
#define PROXY_ADMIN_JSON_H_

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/inspect.h"
#include "proxy/stats.h"

namespace sallyport {

// {"sessions": [...], "next": "..." or null, "silent_workers": 0}. Ids and `next` are strings: they
// have 64 bits, and JavaScript's numbers 53.
std::string SessionsJson(const SessionList& list);

// A look at the sessions for the status page: who has the most.
struct Census {
  struct Client {
    std::string address;  // Without its port.
    uint32_t sessions = 0;
    uint64_t bytes = 0;
  };
  std::vector<Client> clients;                            // The first of them, most sessions first.
  std::vector<std::pair<std::string, uint32_t>> servers;  // Sessions of each.
  uint32_t sessions_seen = 0;
  bool complete = true;  // All sessions were looked at.
};
Census TakeCensus(const SessionList& list, size_t clients_max);

struct StatusFacts {
  std::vector<const Stats*> workers{};
  std::string io_engine{};
  double start_time = 0;  // Unix seconds, as now.
  double now = 0;
  bool stopping = false;
  std::vector<ListenerFacts> listeners{};
  Census census{};
};

// All that the status page shows: numbers, by_label and histograms are those of stats.h under their
// members' names, summed over the workers.
std::string StatusJson(const StatusFacts& facts);

}  // namespace sallyport

#endif  // PROXY_ADMIN_JSON_H_
