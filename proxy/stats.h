// Stats: what a worker counts. Written by its worker only, read by anyone.
#ifndef PROXY_STATS_H_
#define PROXY_STATS_H_

#include <atomic>
#include <cstdint>

namespace sallyport {

// Counter has one writer, so adding needs no locked instruction.
class Counter {
 public:
  void Add(uint64_t count = 1) { value_.store(value() + count, std::memory_order_relaxed); }
  void Subtract(uint64_t count = 1) { value_.store(value() - count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// One line a counter: SALLYPORT_STATS(gauge or counter, member, metric name, help).
#define SALLYPORT_STATS(X)                                                                        \
  X(gauge, connections_open, "sallyport_connections_open", "Client connections open now")         \
  X(counter, connections_accepted, "sallyport_connections_accepted_total",                        \
    "Client connections accepted")                                                                \
  X(counter, connections_refused, "sallyport_connections_refused_total",                          \
    "Client connections answered with an error of the proxy's own")                               \
  X(counter, refused_max_connections, "sallyport_refused_max_connections_total",                  \
    "Of these, for max_connections of the process or the listener")                               \
  X(counter, refused_address_connections, "sallyport_refused_address_connections_total",          \
    "Clients refused for max_connections_per_address")                                            \
  X(counter, refused_address_rate, "sallyport_refused_address_rate_total",                        \
    "Clients refused for connections_per_second_per_address")                                     \
  X(counter, refused_address_handshakes, "sallyport_refused_address_handshakes_total",            \
    "Clients refused for handshakes_per_second_per_address")                                      \
  X(counter, refused_address_blocked, "sallyport_refused_address_blocked_total",                  \
    "Clients refused because their address was blocked")                                          \
  X(counter, addresses_blocked, "sallyport_addresses_blocked_total",                              \
    "Times that an address was blocked for login_failures_per_address")                           \
  X(counter, addresses_uncounted, "sallyport_addresses_uncounted_total",                          \
    "Clients let in without limits of their address, because too many addresses are connected")   \
  X(counter, proxy_headers_bad, "sallyport_proxy_headers_bad_total",                              \
    "Connections closed because their PROXY header was malformed or didn't come")                 \
  X(counter, server_connect_failures, "sallyport_server_connect_failures_total",                  \
    "Connections to a server that could not be made")                                             \
  X(counter, throwaway_logins, "sallyport_throwaway_logins_total",                                \
    "Servers' handshakes finished in place of a client that left early")                          \
  X(counter, tls_handshakes, "sallyport_tls_handshakes_total", "TLS handshakes finished")         \
  X(counter, tls_handshakes_resumed, "sallyport_tls_handshakes_resumed_total",                    \
    "TLS handshakes that resumed an earlier one")                                                 \
  X(counter, tls_handshake_failures, "sallyport_tls_handshake_failures_total",                    \
    "TLS handshakes that failed")                                                                 \
  X(counter, signatures_by_pool, "sallyport_signatures_by_pool_total",                            \
    "RSA signatures of TLS handshakes made by the signer threads")                                \
  X(counter, signatures_queue_full, "sallyport_signatures_queue_full_total",                      \
    "RSA signatures that a worker made itself, because too many waited for a signer")             \
  X(counter, logins, "sallyport_logins_total", "Log-ins that the server accepted")                \
  X(counter, login_failures, "sallyport_login_failures_total", "Log-ins that the server refused") \
  X(counter, passwords_mediated, "sallyport_passwords_mediated_total",                            \
    "Cleartext passwords that went to the server RSA-encrypted")                                  \
  X(counter, secrets_refused, "sallyport_secrets_refused_total",                                  \
    "Cleartext secrets kept from a plaintext link")                                               \
  X(counter, bytes_from_clients, "sallyport_bytes_from_clients_total",                            \
    "Bytes received from clients' sockets")                                                       \
  X(counter, bytes_from_servers, "sallyport_bytes_from_servers_total",                            \
    "Bytes received from servers' sockets")                                                       \
  X(counter, bytes_spliced, "sallyport_bytes_spliced_total",                                      \
    "Bytes among them that were spliced from socket to socket")

// One worker's counters, on cache lines of their own.
struct alignas(64) Stats {
#define SALLYPORT_STATS_MEMBER(kind, member, name, help) Counter member;
  SALLYPORT_STATS(SALLYPORT_STATS_MEMBER)
#undef SALLYPORT_STATS_MEMBER
};

}  // namespace sallyport

#endif  // PROXY_STATS_H_
