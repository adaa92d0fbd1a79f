// Service: what a listener gives its clients, as one snapshot. Made at start and by each reload,
// then only read: workers share it without a lock (its signers have one of their own), and a
// connection keeps the one that it began with.
#ifndef PROXY_SERVICE_H_
#define PROXY_SERVICE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/kernel_tls.h"
#include "proxy/limiter/address_limiter.h"
#include "proxy/proxy_protocol/networks.h"
#include "proxy/ring/ring.h"
#include "proxy/servers/choose_server.h"
#include "proxy/servers/name_watch.h"
#include "proxy/servers/server_groups.h"
#include "proxy/session/session.h"
#include "proxy/signer_pool.h"
#include "tls/context.h"
#include "tls/rsa_password.h"
#include "tls/self_signed.h"

namespace sallyport {

// OpenCount counts connections for all workers: a limit can't be kept by one of them. It outlives
// the snapshots that point to it, so that a reload forgets nobody.
class alignas(64) OpenCount {
 public:
  // TryAdd adds one if there are fewer than `max`.
  bool TryAdd(uint32_t max) {
    if (count_.fetch_add(1, std::memory_order_relaxed) < max) return true;
    Subtract();
    return false;
  }
  void Subtract() { count_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t value() const { return count_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> count_{0};
};

// A file of keys that others than its owner may touch.
struct LooseKeyFile {
  std::string path;
  std::string mode;  // "0644"
};

struct Service {
  std::string name;                    // The listener's; may be empty.
  SessionOptions session;              // Points to what is owned below.
  std::vector<ServerAddress> servers;  // Never empty. Of all groups, one after the other.
  std::vector<ServerGroup> groups;     // The default's first, then those that sni_groups numbers.
  SniGroups sni_groups;
  Balance balance = Balance::kFirstAvailable;
  SocketTuning tuning;              // Of clients' connections.
  std::vector<ResolvedName> names;  // What the servers were made of.
  std::string server_congestion_control;
  uint32_t resolve_interval_ms = 0;       // 0: never again.
  uint32_t health_check_interval_ms = 0;  // 0: no checks.
  uint32_t health_check_timeout_ms = 0;
  uint32_t connect_timeout_ms = 0;
  uint32_t handshake_timeout_ms = 0;
  uint32_t idle_timeout_ms = 0;  // 0: none.

  // Who must begin with a PROXY header, and the version of the one that servers get; 0: none.
  Networks proxy_protocol_networks;
  int proxy_protocol_out = 0;

  AddressLimits address_limits;
  AddressLimiter* limiter = nullptr;  // Not null where there are limits. Outlives the workers.
  uint32_t listener = 0;              // The listener's place, which tells its counts apart.
  bool meets_visitors() const {
    return !proxy_protocol_networks.empty() || proxy_protocol_out != 0 || address_limits.any();
  }

  uint32_t max_connections_in_process = 0;
  uint32_t max_connections = 0;
  OpenCount* open_in_process = nullptr;
  OpenCount* open = nullptr;  // Of this listener.

  std::shared_ptr<const tls::Context> tls;  // Null where TLS is disabled.
  KernelTls kernel_tls;                     // Takes nothing where it is off.
  // Null where a certificate was given.
  std::shared_ptr<const tls::CertificatePair> self_signed;
  bool ticket_keys_shared = false;  // With other machines, by a file.
  std::vector<LooseKeyFile> loose_key_files;
  std::shared_ptr<const tls::PasswordKey> password_key;  // Null where nobody can need it.
  std::shared_ptr<const tls::ServerKey> server_key;      // Null: any.

  // Makes the signatures that `tls` defers; outlives the workers. Null: workers make them.
  SignerPool* signers = nullptr;
};

}  // namespace sallyport

#endif  // PROXY_SERVICE_H_
