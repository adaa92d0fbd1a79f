// Stats: what a worker counts. Written by its worker only, read by anyone: no locked instruction
// and no lock. A new metric is one line in one of the three tables below, and one call.
#ifndef PROXY_STATS_H_
#define PROXY_STATS_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "proxy/stat_labels.h"

namespace sallyport {

// Counter has one writer, so adding needs no locked instruction.
class Counter {
 public:
  void Add(uint64_t count = 1) { Set(value() + count); }
  void Subtract(uint64_t count = 1) { Set(value() - count); }
  void Set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Counters is one Counter for each combination of labels in a set of stat_labels.h, which maps what
// is counted to its place: Add(what..., count) as At(what...).Add(count).
template <typename Labels>
class Counters {
 public:
  template <typename... What>
  Counter& At(const What&... what) {
    return counters_[Labels::IndexOf(what...)];
  }
  const Counter& operator[](size_t index) const { return counters_[index]; }
  Counter& operator[](size_t index) { return counters_[index]; }

 private:
  std::array<Counter, Labels::kCount> counters_;
};

// Histogram has a bucket for each power of two from 2^kFirst to 2^kLast, and one for more. A value
// belongs to the first bucket whose bound it does not exceed. Observe is some ten instructions.
template <int kFirst, int kLast>
class Histogram {
 public:
  static constexpr size_t kBounds = kLast - kFirst + 1;
  static constexpr uint64_t bound(size_t index) { return uint64_t{1} << (kFirst + index); }

  void Observe(uint64_t value) {
    const int exponent = std::bit_width(value - (value != 0));  // The least with value <= 2^it.
    counts_[static_cast<size_t>(std::clamp(exponent - kFirst, 0, kLast - kFirst + 1))].Add();
    sum_.Add(value);
  }
  // count of the values in bucket `index`; kBounds is the one for more than the last bound.
  uint64_t count(size_t index) const { return counts_[index].value(); }
  uint64_t sum() const { return sum_.value(); }

 private:
  std::array<Counter, kBounds + 1> counts_;
  Counter sum_;
};

// In microseconds: 16 us to 1 s, 128 us to 17 s, 1 ms to 38 h. In bytes: 256 to 256 KiB.
using LagHistogram = Histogram<4, 20>;
using LoginHistogram = Histogram<7, 24>;
using SessionHistogram = Histogram<10, 37>;
using ReceiveHistogram = Histogram<8, 18>;

// One line a number: X(gauge or counter, member, metric name, help).
#define SALLYPORT_STATS(X)                                                                  \
  X(gauge, connections_open, "sallyport_connections_open", "Client connections open now")   \
  X(counter, connections_accepted, "sallyport_connections_accepted_total",                  \
    "Client connections accepted")                                                          \
  X(counter, addresses_blocked, "sallyport_addresses_blocked_total",                        \
    "Times that an address was blocked for login_failures_per_address")                     \
  X(counter, addresses_uncounted, "sallyport_addresses_uncounted_total",                    \
    "Clients let in without limits of their address: too many addresses are connected")     \
  X(counter, proxy_headers_bad, "sallyport_proxy_headers_bad_total",                        \
    "Connections closed because their PROXY header was malformed or didn't come")           \
  X(counter, server_connect_failures, "sallyport_server_connect_failures_total",            \
    "Connections to a server that could not be made")                                       \
  X(counter, throwaway_logins, "sallyport_throwaway_logins_total",                          \
    "Servers' handshakes finished in place of a client that left early")                    \
  X(counter, client_certificates, "sallyport_client_certificates_total",                    \
    "TLS handshakes finished in which the client had a certificate")                        \
  X(counter, users_not_certified, "sallyport_users_not_certified_total",                    \
    "Log-ins refused because the client's certificate was for another user")                \
  X(counter, kernel_tls_sessions, "sallyport_kernel_tls_sessions_total",                    \
    "Sessions whose sending side the kernel encrypts")                                      \
  X(counter, kernel_tls_failures, "sallyport_kernel_tls_failures_total",                    \
    "Sessions whose keys the kernel refused; the proxy encrypts them")                      \
  X(counter, signatures_by_pool, "sallyport_signatures_by_pool_total",                      \
    "RSA signatures of TLS handshakes made by the signer threads")                          \
  X(counter, signatures_queue_full, "sallyport_signatures_queue_full_total",                \
    "RSA signatures that a worker made itself, because too many waited for a signer")       \
  X(counter, passwords_mediated, "sallyport_passwords_mediated_total",                      \
    "Cleartext passwords that went to the server RSA-encrypted")                            \
  X(counter, secrets_refused, "sallyport_secrets_refused_total",                            \
    "Cleartext secrets kept from a plaintext link")                                         \
  X(gauge, tls_handshakes_waiting, "sallyport_tls_handshakes_waiting",                      \
    "TLS handshake steps that wait for their turn")                                         \
  X(counter, receive_ring_exhausted, "sallyport_receive_ring_exhausted_total",              \
    "Receives that ended because the worker's shared receive memory was used up")           \
  X(gauge, send_queue_bytes, "sallyport_send_queue_bytes",                                  \
    "Bytes that wait in memory for a socket to take them")                                  \
  X(gauge, pipe_bytes, "sallyport_pipe_bytes", "Bytes that wait in pipes for a socket")     \
  X(gauge, pipes_lent, "sallyport_pipes_lent", "Pipes that connections splice through now") \
  X(gauge, pipes_idle, "sallyport_pipes_idle", "Pipes kept for the next connection")        \
  X(counter, pipes_refused, "sallyport_pipes_refused_total",                                \
    "Times that bulk was copied because there was no pipe for it")                          \
  X(gauge, connection_slots, "sallyport_connection_slots",                                  \
    "Places in the workers' tables of connections, those in use and those to use again")

// One line a family with labels: X(member, labels, metric name, help). All are counters.
#define SALLYPORT_LABELLED_STATS(X)                                                               \
  X(connections_refused, RefusalLabels, "sallyport_connections_refused_total",                    \
    "Client connections turned away at once with an error of the proxy's own")                    \
  X(connections_ended, CloseReasonLabels, "sallyport_connections_ended_total",                    \
    "Client connections that ended, by reason")                                                   \
  X(tls_handshakes, HandshakeLabels, "sallyport_tls_handshakes_total", "TLS handshakes finished") \
  X(tls_handshake_failures, TlsFailureLabels, "sallyport_tls_handshake_failures_total",           \
    "TLS handshakes that failed, and records that broke the protocol later")                      \
  X(logins, LoginLabels, "sallyport_logins_total",                                                \
    "Log-ins by the authentication plugin that was last in effect")                               \
  X(bytes_received, BytesLabels, "sallyport_received_bytes_total",                                \
    "Bytes received from a side's sockets, by the way on which they were passed on")

// One line a histogram: X(type, member, metric name, unit, help). A value times the unit is what is
// told.
#define SALLYPORT_HISTOGRAMS(X)                                                              \
  X(LagHistogram, loop_lag, "sallyport_loop_lag_seconds", 1e-6,                              \
    "How long a turn of a worker's loop lasted: what comes meanwhile waits so long at most") \
  X(LoginHistogram, tls_handshake_time, "sallyport_tls_handshake_seconds", 1e-6,             \
    "From a client's SSLRequest to the end of its TLS handshake")                            \
  X(LoginHistogram, login_time, "sallyport_login_seconds", 1e-6,                             \
    "From accepting a client to the server's OK, TLS included")                              \
  X(SessionHistogram, session_time, "sallyport_session_seconds", 1e-6,                       \
    "From the server's OK to the end of the connection")                                     \
  X(ReceiveHistogram, receive_ring_bytes, "sallyport_receive_ring_bytes", 1,                 \
    "Bytes that one turn of the loop found in the worker's shared receive memory of 256 KiB")

// One worker's counters, on cache lines of their own.
struct alignas(64) Stats {
#define SALLYPORT_STATS_MEMBER(kind, member, name, help) Counter member;
  SALLYPORT_STATS(SALLYPORT_STATS_MEMBER)
#undef SALLYPORT_STATS_MEMBER
#define SALLYPORT_STATS_MEMBER(member, labels, name, help) Counters<labels> member;
  SALLYPORT_LABELLED_STATS(SALLYPORT_STATS_MEMBER)
#undef SALLYPORT_STATS_MEMBER
#define SALLYPORT_STATS_MEMBER(type, member, name, unit, help) type member;
  SALLYPORT_HISTOGRAMS(SALLYPORT_STATS_MEMBER)
#undef SALLYPORT_STATS_MEMBER
};

}  // namespace sallyport

#endif  // PROXY_STATS_H_
