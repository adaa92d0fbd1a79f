// Service: what all workers serve. Made at start, then only read: workers share it without a lock
// (its signers have one of their own).
#ifndef PROXY_SERVICE_H_
#define PROXY_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "proxy/ring/ring.h"
#include "proxy/session/session.h"
#include "proxy/signer_pool.h"

namespace sallyport {

// One address of a server. A name that resolves to several addresses is several of these.
struct ServerAddress {
  Address address;
  std::string text;  // As errors and logs name it: "127.0.0.1:3306", "unix:/run/mysqld.sock".
  SocketTuning tuning{};
};

struct Service {
  SessionOptions session;
  std::vector<ServerAddress> servers;  // Tried in this order.
  SocketTuning tuning;                 // Of clients' connections.
  uint32_t max_connections = 0;
  uint32_t connect_timeout_ms = 0;
  uint32_t handshake_timeout_ms = 0;
  uint32_t idle_timeout_ms = 0;  // 0: none.

  // Makes the signatures that session.tls defers. Null: workers make them.
  SignerPool* signers = nullptr;

  // The one thing that workers write together: a limit of the process can't be kept by one of them.
  mutable std::atomic<uint32_t> connections_open{0};
};

}  // namespace sallyport

#endif  // PROXY_SERVICE_H_
