// Config: what an operator decides, as one checked value. Made whole, then only read.
#ifndef PROXY_CONFIG_CONFIG_H_
#define PROXY_CONFIG_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/log/line.h"
#include "proxy/servers/balance.h"

namespace sallyport {

// kPreferred: a client chooses. kRequired: one that does not ask for TLS is refused. kDisabled: TLS
// is not offered.
enum class TlsMode { kPreferred, kRequired, kDisabled };

// What clients are asked for in a TLS handshake. kOptional: a certificate that is sent must be
// good.
enum class TlsClientCertificates { kOff, kOptional, kRequired };

// Which field of his certificate has to be the user name that a client logs in with.
enum class TlsClientUser { kOff, kCommonName, kDns, kEmail, kUri };

enum class IoEngine { kAuto, kIoUring, kEpoll };

// Who encrypts what goes to a client. kAuto: the kernel where it can. kOn: no start without.
enum class KernelTlsMode { kOff, kAuto, kOn };
// The version of the PROXY header that servers get, if any.
enum class ProxyProtocolOut { kOff, kV1, kV2 };

// kAuto: entered where the kernel has it. kOn: no start without.
enum class SandboxMode { kAuto, kOn, kOff };

// The initializers are the defaults: --help, --check_config and the manual page read them from
// here. What each option means to an operator is in options.cc; here stands why a default is what
// it is.

// What clients of one listener get: a [[listener]] table, or the keys above all tables.
struct ListenerConfig {
  std::string name;  // For logs; may be empty.

  std::vector<std::string> listen = {"0.0.0.0:6033"};
  std::vector<std::string> server = {"127.0.0.1:3306"};

  // NAME=ADDRESS. Not empty: the proxy greets clients itself, which costs a round trip at each
  // log-in, and KILL by the greeting's thread id; a listener a group has neither cost.
  std::vector<std::string> sni_server;

  // Nobody who lists a second server for the day when the first is gone wants writes on both.
  Balance balance = Balance::kFirstAvailable;

  // 0: no checks. A connection that fails tells as much of a server that is gone, and each check is
  // a log-in that the server refuses: a line in its log, and one more in Aborted_connects. It is
  // for servers that hang without being gone, which only a check (or a client's time) can find.
  uint32_t health_check_interval_ms = 0;
  // A server that needs longer for a greeting and a refusal is no use to a client.
  uint32_t health_check_timeout_ms = 2'000;

  // Names of servers, for new connections. 30 s: what cloud providers give a database's name, which
  // they move to another machine when one fails. 0: at the start and by a reload only.
  uint32_t resolve_interval_ms = 30'000;

  std::string server_public_key;  // PEM. Empty: any key that the server sends is taken.

  TlsMode tls_mode = TlsMode::kPreferred;
  // The key of each certificate has the same place. Clients choose by SNI; the first is for all
  // others. Both empty: a self-signed pair, made in memory.
  std::vector<std::string> tls_cert;
  std::vector<std::string> tls_key;

  // All clients of this decade speak 1.2; 1.0 and 1.1 are forbidden by RFC 8996.
  std::string tls_version_min = "1.2";
  std::string tls_version_max = "1.3";
  std::string tls_ciphers;  // Names between ':', as tls/settings.h says. Empty: its default.
  std::string tls_groups;   // Likewise.

  TlsClientCertificates tls_client_certificates = TlsClientCertificates::kOff;
  std::string tls_client_ca;
  std::string tls_client_crl;
  uint32_t tls_client_depth = 4;  // Real chains have one or two CAs below the root.
  TlsClientUser tls_client_user = TlsClientUser::kOff;

  std::string tls_ticket_keys;  // Empty: keys in memory, a new one each day.

  // It saves two copies of bulk, and costs a system call a session and the library's better
  // ciphers: off until a machine with a real network card has shown a gain.
  KernelTlsMode kernel_tls = KernelTlsMode::kOff;

  bool allow_cleartext_password = false;

  // A connection to a server takes one local port, and Linux has 28,232 of them (32768 to 60999)
  // for one address of a server. 20,000 leaves room for those in TIME_WAIT; past that a client had
  // better read "Too many connections" than wait for a connect that fails.
  uint32_t max_connections = 20'000;

  // Who is in front decides who may say whom a connection comes from: nobody, until he is named.
  std::vector<std::string> proxy_protocol_networks;
  // A server that doesn't expect the header reads it as a broken log-in.
  ProxyProtocolOut proxy_protocol_out = ProxyProtocolOut::kOff;

  // Limits of one client address are off: behind a NAT, a load balancer or a pool one address may
  // be everybody, and what is generous to one network locks another out. How long a block lasts is
  // MySQL's users' patience rather than an attacker's: at 10 guesses a minute none gets anywhere.
  uint32_t max_connections_per_address = 0;
  uint32_t connections_per_second_per_address = 0;
  uint32_t handshakes_per_second_per_address = 0;
  uint32_t login_failures_per_address = 0;
  uint32_t block_time_ms = 60'000;

  // A lost SYN is sent again after 1 s and 3 s: both still count. Half of the 10 s after which
  // common clients give up, so that they read the proxy's error and not their own.
  uint32_t connect_timeout_ms = 5'000;

  // mysqld waits 10 s (its connect_timeout) for each packet of a log-in, then counts a failure
  // against the proxy's address. The proxy has to be first, to finish that log-in in the client's
  // place.
  uint32_t handshake_timeout_ms = 8'000;

  // 0: never. Pools leave connections idle for hours, and the server closes those itself after its
  // wait_timeout (8 h, and any session may change it). A proxy that is sooner breaks pools, one
  // that is later does nothing, and what a vanished peer leaves behind is keepalive's work.
  uint32_t idle_timeout_ms = 0;

  // A peer that vanished is noticed after 60 + 6 * 10 s = 2 minutes. The first 60 s are under the
  // idle limits of the NAT and load balancers of the large clouds (240 s, 350 s). Idle 0: off.
  uint32_t keepalive_idle_s = 60;
  uint32_t keepalive_interval_s = 10;
  uint32_t keepalive_count = 6;

  // BBR, many distributions' choice for the internet, paces what it sends: between two sockets of
  // one machine or rack that costs a third of the throughput and of the CPU. "auto": cubic for
  // servers in loopback and private networks, the system's own for others.
  std::string server_congestion_control = "auto";

  // TCP_USER_TIMEOUT. 0: the kernel's own rule (some 15 minutes of retransmissions). Not less,
  // because Linux holds it also against a live client that pauses reading a long result.
  uint32_t user_timeout_ms = 0;
};

// What there is once in a process.
struct Config {
  IoEngine io_engine = IoEngine::kAuto;
  int workers = 0;  // 0: one a CPU.

  // A worker that moves leaves its caches behind, and one CPU with two workers leaves another idle.
  bool pin_workers = true;

  // In a virtual machine a blocked thread is woken some 40 us late. 50 us cover the answer of a
  // server that is near, and cost little before it shows that they don't pay (ring/spin.h). 0: off.
  uint32_t spin_us = 50;

  // An RSA-2048 signature takes 0.6 ms, in which a worker's sessions would wait. 0: half the CPUs,
  // so that a storm leaves workers the other half. Where no key is RSA there are none: an ECDSA
  // signature (0.02 ms) isn't worth a change of thread. -1: none either, the workers sign, which
  // takes the fewest CPU cycles.
  int signers = 0;

  // Loopback only: metrics tell an outsider more than he should know.
  std::string admin = "127.0.0.1:6034";  // Empty: off.

  bool core_dumps = false;

  // Little is lost by it: what a proxy opens once it serves is its configuration, certificates and
  // log, again.
  SandboxMode sandbox = SandboxMode::kAuto;

  uint32_t max_connections = ListenerConfig{}.max_connections;

  // How long SIGTERM leaves the doors open while /readyz says no. 0: where nobody asks /readyz, it
  // would only make a stop slower.
  uint32_t drain_delay_ms = 0;

  // What connections get to finish after SIGTERM: under the 30 s that container runtimes commonly
  // grant before SIGKILL. 0: none.
  uint32_t shutdown_timeout_ms = 25'000;

  std::string upgrade_socket;  // Empty: nobody can take over.

  // What connections get to finish when another process has taken over. Nobody waits for that, and
  // pools replace their connections every half an hour or so. 0: none.
  uint32_t upgrade_timeout_ms = 3'600'000;

  std::string log_level = "info";
  LogFormat log_format = LogFormat::kText;
  std::string log_file;  // Empty: stderr. "journal": the journal.

  // Never empty. The file's [[listener]] tables in their order, or one made of the keys outside.
  std::vector<ListenerConfig> listeners = {ListenerConfig{}};
};

}  // namespace sallyport

#endif  // PROXY_CONFIG_CONFIG_H_
