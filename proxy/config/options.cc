#include "proxy/config/options.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "proxy/config/nearest.h"
#include "proxy/config/values.h"

namespace sallyport {
namespace {

using enum OptionKind;

// In the order of the enums: a choice is stored as its place.
constexpr std::string_view kTlsModes[] = {"preferred", "required", "disabled"};
constexpr std::string_view kTlsVersions[] = {"1.2", "1.3"};
constexpr std::string_view kClientCertificates[] = {"off", "optional", "required"};
constexpr std::string_view kClientUsers[] = {"off", "cn", "san_dns", "san_email", "san_uri"};
constexpr std::string_view kBalances[] = {"first-available", "round-robin", "least-connections"};
constexpr std::string_view kKernelTlsModes[] = {"off", "auto", "on"};
constexpr std::string_view kProxyProtocolOuts[] = {"off", "v1", "v2"};
constexpr std::string_view kIoEngines[] = {"auto", "io_uring", "epoll"};
constexpr std::string_view kCongestionControls[] = {"auto", "system", "cubic",
                                                    "reno", "dctcp",  "bbr"};
constexpr std::string_view kSandboxModes[] = {"auto", "on", "off"};
constexpr std::string_view kLogFormats[] = {"text", "json"};
constexpr std::string_view kLogLevels[] = {"debug", "info", "warning", "error"};

constexpr int64_t kSecond = 1000;
constexpr int64_t kHour = 3600 * kSecond;
constexpr int64_t kDay = 24 * kHour;

// Limits are wide: they catch slips (milliseconds for seconds) and what the kernel refuses (the
// keepalive limits are those of tcp(7)), not taste.
constexpr Option kOptions[] = {
    {"config",
     "FILE",
     "TOML with any of the keys below, and a [[listener]] table for each of several listeners; "
     "flags "
     "win.",
     kConfigFile,
     {}},
    {"name", "", "In a [[listener]] only: what the log calls it.", kName, &ListenerConfig::name},
    {"listen", "ADDRESS,...",
     "Where clients connect: HOST:PORT, [V6]:PORT, or :PORT for all interfaces.", kListenAddresses,
     &ListenerConfig::listen},
    {"server", "ADDRESS,...", "The MySQL or MariaDB servers: HOST:PORT, [V6]:PORT or unix:/PATH.",
     kServerAddresses, &ListenerConfig::server},
    {"sni_server", "NAME=ADDRESS,...",
     "Servers for clients that ask for NAME by SNI, exact or *.example.com; a name given more than "
     "once has several, and all others get server. The proxy then greets clients itself: a round "
     "trip more at each log-in, the first server's version for all, and KILL with the thread id of "
     "the greeting (Ctrl-C, a driver's cancel) does nothing.",
     kSniServers, &ListenerConfig::sni_server},
    {"balance", "POLICY",
     "Which server a new connection gets. first-available: the first that is up, so the others "
     "stand by. round-robin: each in turn. least-connections: the one with the fewest open here. "
     "One that fails is left out for a while, and the next is tried within connect_timeout.",
     kChoice, &ListenerConfig::balance, 0, 0, kBalances},
    {"resolve_interval", "SECONDS",
     "How often servers' names are looked up again, for new connections; also when one fails. 0 is "
     "at the start and on SIGHUP only.",
     kSeconds, &ListenerConfig::resolve_interval_ms, 0, kDay},
    {"health_check_interval", "SECONDS",
     "How often each server is asked for a greeting and a refusal, which finds one that hangs. It "
     "counts one in the server's Aborted_connects, and nothing in its max_connect_errors. 0 is "
     "never.",
     kSeconds, &ListenerConfig::health_check_interval_ms, 0, kDay},
    {"health_check_timeout", "SECONDS", "For a health check, from connecting to the answer.",
     kSeconds, &ListenerConfig::health_check_timeout_ms, 1, kHour},
    {"server_public_key", "FILE",
     "The servers' RSA public key in PEM (their public_key.pem). Passwords are encrypted for no "
     "other.",
     kPath, &ListenerConfig::server_public_key},
    {"tls_mode", "MODE",
     "preferred: a client chooses. required: a client that does not ask for TLS is refused. "
     "disabled: TLS is not offered.",
     kChoice, &ListenerConfig::tls_mode, 0, 0, kTlsModes},
    {"tls_cert", "FILE",
     "The certificate and its whole chain, leaf first, in PEM. Of several, each a file, a client "
     "gets the one for the name that it asks for (SNI), exact or *.example.com; for any other name "
     "the first. Without tls_cert and tls_key a self-signed pair is made in memory.",
     kPaths, &ListenerConfig::tls_cert},
    {"tls_key", "FILE",
     "The certificate's private key in PEM, not encrypted. Of several certificates: in the same "
     "order.",
     kPaths, &ListenerConfig::tls_key},
    {"tls_version_min", "VERSION", "The lowest version of TLS that is served: 1.2 or 1.3.", kChoice,
     &ListenerConfig::tls_version_min, 0, 0, kTlsVersions},
    {"tls_version_max", "VERSION", "The highest version of TLS that is served: 1.2 or 1.3.",
     kChoice, &ListenerConfig::tls_version_max, 0, 0, kTlsVersions},
    {"tls_ciphers", "NAME:...",
     "The ciphers of TLS 1.2 in order, by OpenSSL's names or the standard's; empty is "
     "AES-128-GCM, ChaCha20-Poly1305, AES-256-GCM. Those of TLS 1.3 are fixed.",
     kText, &ListenerConfig::tls_ciphers},
    {"tls_groups", "NAME:...",
     "The groups of the key exchange in order; empty is X25519MLKEM768 (where the library has it), "
     "X25519, P-256, P-384.",
     kText, &ListenerConfig::tls_groups},
    {"tls_client_certificates", "MODE",
     "off: clients are not asked for a certificate. optional: one that is sent must be good. "
     "required: all must have one (tls_mode must be required too).",
     kChoice, &ListenerConfig::tls_client_certificates, 0, 0, kClientCertificates},
    {"tls_client_ca", "FILE",
     "The CAs whose clients' certificates are good, in PEM: roots, or CAs below them.", kPath,
     &ListenerConfig::tls_client_ca},
    {"tls_client_crl", "FILE",
     "Lists of revoked certificates in PEM. With it every CA of a client's chain needs a list that "
     "has not run out.",
     kPath, &ListenerConfig::tls_client_crl},
    {"tls_client_depth", "COUNT",
     "CAs between a client's certificate and the one in tls_client_ca, at most.", kCount,
     &ListenerConfig::tls_client_depth, 0, 16},
    {"tls_client_user", "FIELD",
     "Which field of its certificate has to be the user name that a client logs in with: cn, "
     "san_dns, san_email, san_uri (one of its alternative names of that kind). off: none. Such "
     "clients get no compression, behind which a change of user would go unseen.",
     kChoice, &ListenerConfig::tls_client_user, 0, 0, kClientUsers},
    {"tls_ticket_keys", "FILE",
     "The keys of TLS tickets, so that clients resume on any machine that has the same file: lines "
     "of base64 with 80 or 48 bytes each, at least three, as HAProxy has them; the one before the "
     "last encrypts. Empty: keys in memory, a new one each day.",
     kPath, &ListenerConfig::tls_ticket_keys},
    {"kernel_tls", "MODE",
     "Who encrypts for clients once they are logged in. off: the proxy. auto: the kernel where it "
     "can (module tls), so that bulk is spliced. on: refuse to start where it can't.",
     kChoice, &ListenerConfig::kernel_tls, 0, 0, kKernelTlsModes},
    {"io_engine", "ENGINE", "auto takes io_uring where the kernel lets it, else epoll.", kChoice,
     &Config::io_engine, 0, 0, kIoEngines},
    {"workers", "COUNT", "Threads that serve connections; 0 is one a CPU.", kCount,
     &Config::workers, 0, 1024},
    {"pin_workers", "", "Bind each worker to a CPU of those that the process may use.", kBool,
     &Config::pin_workers},
    {"spin_us", "MICROSECONDS",
     "How long a worker may look for work before it sleeps, where that pays; 0 is never.", kCount,
     &Config::spin_us, 0, 1000},
    {"signers", "COUNT",
     "Threads that make the RSA signatures of TLS handshakes, while workers serve sessions; 0 is "
     "half the CPUs, -1 is none: the workers sign. Other kinds of keys need none.",
     kCount, &Config::signers, -1, 1024},
    {"admin", "ADDRESS",
     "HTTP for operators: a status page, /metrics, /healthz, /sessions.json. Who reaches it may "
     "close sessions. Empty turns it off.",
     kAdminAddress, &Config::admin},
    {"allow_cleartext_password", "",
     "Let plugins that send a password as it is (LDAP, PAM) use a server link that is not "
     "encrypted.",
     kBool, &ListenerConfig::allow_cleartext_password},
    {"core_dumps", "", "Let a crash write a core file. It may hold keys and passwords.", kBool,
     &Config::core_dumps},
    {"sandbox", "MODE",
     "auto: once started, read only files beside the configuration and certificates, and write "
     "only beside log_file, where the kernel can hold the proxy to that (Landlock), and without "
     "core_dumps. on: refuse to start without. off: don't.",
     kChoice, &Config::sandbox, 0, 0, kSandboxModes},
    {"max_connections", "COUNT",
     "Clients at once, in the whole process; in a [[listener]]: at once there. More are told so.",
     kCount, Option::Both{&Config::max_connections, &ListenerConfig::max_connections}, 1,
     10'000'000},
    {"max_connections_per_address", "COUNT",
     "Connections at once of one client address (an IPv6 /64) at a listener; 0 is no limit.",
     kCount, &ListenerConfig::max_connections_per_address, 0, 10'000'000},
    {"connections_per_second_per_address", "COUNT",
     "New connections likewise, on average; a second's worth may come at once.", kCount,
     &ListenerConfig::connections_per_second_per_address, 0, 1'000'000},
    {"handshakes_per_second_per_address", "COUNT", "TLS handshakes likewise.", kCount,
     &ListenerConfig::handshakes_per_second_per_address, 0, 1'000'000},
    {"login_failures_per_address", "COUNT",
     "Wrong passwords within block_time that block an address for block_time; 0 is never.", kCount,
     &ListenerConfig::login_failures_per_address, 0, 1'000'000},
    {"block_time", "SECONDS", "For login_failures_per_address.", kSeconds,
     &ListenerConfig::block_time_ms, 1, kDay},
    {"proxy_protocol_networks", "NETWORK,...",
     "From there each connection must begin with a PROXY header (v1 or v2), which says whose it "
     "is: 192.0.2.0/24, 2001:db8::/32, an address, or * for all. From elsewhere none is accepted.",
     kNetworks, &ListenerConfig::proxy_protocol_networks},
    {"proxy_protocol_out", "VERSION",
     "v1 or v2: tell servers the client's address in a PROXY header. They must expect it "
     "(MariaDB's and Percona's proxy_protocol_networks). off: don't.",
     kChoice, &ListenerConfig::proxy_protocol_out, 0, 0, kProxyProtocolOuts},
    {"connect_timeout", "SECONDS", "For connecting to a server.", kSeconds,
     &ListenerConfig::connect_timeout_ms, 1, kHour},
    {"handshake_timeout", "SECONDS",
     "For a client to log in, TLS included. Keep it under the server's own connect_timeout.",
     kSeconds, &ListenerConfig::handshake_timeout_ms, 1, kHour},
    {"idle_timeout", "SECONDS",
     "A logged-in connection that moves no byte for so long is closed; 0 leaves that to the "
     "server's wait_timeout.",
     kSeconds, &ListenerConfig::idle_timeout_ms, 0, 30 * kDay},
    {"drain_delay", "SECONDS",
     "After SIGTERM /readyz fails for so long before the proxy stops accepting: a load balancer's "
     "time to look elsewhere.",
     kSeconds, &Config::drain_delay_ms, 0, kHour},
    {"shutdown_timeout", "SECONDS",
     "What connections get to finish once nothing is accepted any more; 0 is none.", kSeconds,
     &Config::shutdown_timeout_ms, 0, kDay},
    {"upgrade_socket", "PATH",
     "A unix socket at which a new process takes the listening sockets over from the running one, "
     "which then ends with its last connection. Only for processes of the same user.",
     kPath, &Config::upgrade_socket},
    {"upgrade_timeout", "SECONDS",
     "What connections get to finish after a new process took over; 0 is none.", kSeconds,
     &Config::upgrade_timeout_ms, 0, 30 * kDay},
    {"keepalive_idle", "SECONDS", "Quiet time before the first TCP keepalive probe; 0 is none.",
     kCount, &ListenerConfig::keepalive_idle_s, 0, 32767},
    {"keepalive_interval", "SECONDS", "Time between probes.", kCount,
     &ListenerConfig::keepalive_interval_s, 1, 32767},
    {"keepalive_count", "COUNT", "Probes without an answer before the peer counts as gone.", kCount,
     &ListenerConfig::keepalive_count, 1, 127},
    {"server_congestion_control", "NAME",
     "TCP's congestion control towards servers. auto: cubic for those in loopback and private "
     "networks, else as system. system: the kernel's setting.",
     kChoice, &ListenerConfig::server_congestion_control, 0, 0, kCongestionControls},
    {"user_timeout", "SECONDS",
     "How long sent bytes may stay unacknowledged (TCP_USER_TIMEOUT); 0 is the kernel's own rule.",
     kSeconds, &ListenerConfig::user_timeout_ms, 0, kDay},
    {"log_level", "LEVEL", "What is logged: lines of this level and worse.", kChoice,
     &Config::log_level, 0, 0, kLogLevels},
    {"log_format", "FORMAT", "text: event key=value. json: an object a line.", kChoice,
     &Config::log_format, 0, 0, kLogFormats},
    {"log_file", "FILE",
     "Where the log goes: a file, opened again on SIGUSR1; journal; empty is stderr.", kPath,
     &Config::log_file},
    {"check_config",
     "",
     "Check everything, print the configuration in effect as TOML, and exit.",
     kCommand,
     {}},
    {"sessions",
     "",
     "Print the open sessions of the proxy that runs with this admin address, and exit.",
     kCommand,
     {}},
    {"version", "", "Print the version and exit.", kCommand, {}},
    {"help", "", "Print this and exit.", kCommand, {}},
};

template <typename Member>
struct OwnerOf;
template <typename Value, typename Class>
struct OwnerOf<Value Class::*> {
  using Type = Class;
};

}  // namespace

bool Option::is_flag() const { return kind != kName; }

bool Option::is_key() const { return kind != kCommand && kind != kConfigFile; }

bool Option::is_process_key() const {
  return is_key() && (std::holds_alternative<Both>(field) || !is_listener_key());
}

bool Option::is_listener_key() const {
  return std::visit(
      [](auto member) {
        using Member = decltype(member);
        if constexpr (std::is_same_v<Member, Both>) {
          return true;
        } else if constexpr (std::is_same_v<Member, std::monostate>) {
          return false;
        } else {
          return std::is_same_v<typename OwnerOf<Member>::Type, ListenerConfig>;
        }
      },
      field);
}

bool Option::is_list() const {
  return kind == kListenAddresses || kind == kServerAddresses || may_be_empty();
}

bool Option::may_be_empty() const {
  return kind == kPaths || kind == kNetworks || kind == kSniServers;
}

// What belongs to the process was set up once; what belongs to a listener is in a snapshot that
// each connection begins with.
bool Option::needs_restart() const {
  constexpr std::string_view kReloadable[] = {"max_connections", "drain_delay", "shutdown_timeout",
                                              "upgrade_timeout", "log_level"};
  if (is_listener_key()) return name == "listen";
  return std::find(std::begin(kReloadable), std::end(kReloadable), name) == std::end(kReloadable);
}

std::span<const Option> Options() { return kOptions; }

const Option* FindOption(std::string_view name) {
  const std::string normalized = NormalizedName(name);
  for (const Option& option : kOptions) {
    if (option.name == normalized) return &option;
  }
  return nullptr;
}

std::string_view NearestOption(std::string_view name, OptionPlace place) {
  std::vector<std::string_view> names;
  for (const Option& option : kOptions) {
    const bool fits = place == OptionPlace::kCommandLine ? option.is_flag()
                      : place == OptionPlace::kFile      ? option.is_key() && option.is_flag()
                                                         : option.is_listener_key();
    if (fits) names.push_back(option.name);
  }
  if (place == OptionPlace::kFile) names.push_back(kListenerTable);
  return Nearest(NormalizedName(name), names);
}

}  // namespace sallyport
