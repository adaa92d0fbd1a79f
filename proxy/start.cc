#include "proxy/start.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "packet/check.h"
#include "proxy/config/command_line.h"
#include "proxy/config/values.h"
#include "proxy/limits.h"
#include "proxy/load_tls.h"
#include "proxy/log/log.h"
#include "proxy/sandbox/sandbox.h"

namespace sallyport {
namespace {

// Connections that wait to be accepted, for each worker; the kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// A client on plaintext in front of a unix socket is the one that needs the key.
bool MakePasswordKey(const ListenerConfig& config, const Service* before, Service* out,
                     StartError* error) {
  const bool any_unix = std::any_of(out->servers.begin(), out->servers.end(),
                                    [](const ServerAddress& s) { return s.address.is_unix(); });
  if (!any_unix || config.tls_mode == TlsMode::kRequired) return true;
  if (before != nullptr) out->password_key = before->password_key;
  if (out->password_key != nullptr) return true;
  absl::StatusOr<std::unique_ptr<tls::PasswordKey>> key = tls::PasswordKey::Generate();
  if (!key.ok()) return Fail("server", Message(key.status()), false, error);
  out->password_key = *std::move(key);
  return true;
}

SocketTuning TuningOf(const ListenerConfig& config) {
  SocketTuning tuning;
  tuning.keepalive_idle_s = static_cast<int>(config.keepalive_idle_s);
  tuning.keepalive_interval_s = static_cast<int>(config.keepalive_interval_s);
  tuning.keepalive_count = static_cast<int>(config.keepalive_count);
  tuning.user_timeout_ms = static_cast<int>(config.user_timeout_ms);
  return tuning;
}

SocketTuning ServerTuning(const Service& service, const Address& address) {
  SocketTuning tuning = service.tuning;
  const std::string& wanted = service.server_congestion_control;
  if (wanted != "auto" && wanted != "system") tuning.congestion_control = wanted;
  if (wanted == "auto" && address.is_near()) tuning.congestion_control = "cubic";
  return tuning;
}

bool ResolveServers(const ListenerConfig& config, ServerRegistry* registry, Service* out,
                    StartError* error) {
  std::vector<ResolvedName> names;
  const auto add = [&](const std::string& option, const std::string& text, uint16_t group) {
    absl::StatusOr<std::vector<Address>> addresses = ResolveAddress(text);
    if (!addresses.ok()) {
      return Fail(option, text + ": " + Message(addresses.status()),
                  absl::IsInvalidArgument(addresses.status()), error);
    }
    names.push_back({text, *std::move(addresses), group});
    return true;
  };
  for (const std::string& text : config.server) {
    if (!add("server", text, 0)) return false;
  }
  for (size_t i = 0; i < config.sni_server.size(); ++i) {
    const absl::StatusOr<SniServer> server = ParseSniServer(config.sni_server[i]);
    SALLYPORT_CHECK(server.ok());  // So it was set.
    const uint16_t group = out->sni_groups.Add(server->name);
    if (!add(ItemName("sni_server", i), std::string(server->address), group)) return false;
  }
  std::stable_sort(names.begin(), names.end(),
                   [](const ResolvedName& a, const ResolvedName& b) { return a.group < b.group; });
  out->groups.resize(out->sni_groups.count() + 1);
  GiveServers(std::move(names), registry, out);
  return true;
}

bool ProbeKernelTls(const ListenerConfig& config, Service* out, StartError* error) {
  if (config.kernel_tls == KernelTlsMode::kOff || out->tls == nullptr) return true;
  out->kernel_tls = KernelTls::Probe();
  const std::string& lacks = out->kernel_tls.lacks();
  if (config.kernel_tls == KernelTlsMode::kAuto || lacks.empty()) return true;
  return Fail("kernel_tls", "the kernel can't encrypt for clients: " + lacks, false, error);
}

bool FillNetworks(const ListenerConfig& config, Service* out, StartError* error) {
  for (const std::string& text : config.proxy_protocol_networks) {
    const absl::Status status = out->proxy_protocol_networks.Add(text);
    if (!status.ok()) {
      return Fail("proxy_protocol_networks", text + " " + Message(status), true, error);
    }
  }
  return true;
}

AddressLimits LimitsOf(const ListenerConfig& config) {
  return {.connections = config.max_connections_per_address,
          .connections_per_second = config.connections_per_second_per_address,
          .handshakes_per_second = config.handshakes_per_second_per_address,
          .login_failures = config.login_failures_per_address,
          .block_ms = config.block_time_ms};
}

bool FillService(const Config& whole, size_t listener, ServerRegistry* registry,
                 const Service* before, Service* out, StartError* error) {
  const ListenerConfig& config = whole.listeners[listener];
  out->tuning = TuningOf(config);
  out->server_congestion_control = config.server_congestion_control;
  if (!LoadTls(whole, listener, before, out, error) ||
      !LoadServerKey(whole, listener, out, error) ||
      !ResolveServers(config, registry, out, error) ||
      !MakePasswordKey(config, before, out, error) || !FillNetworks(config, out, error) ||
      !ProbeKernelTls(config, out, error)) {
    return false;
  }
  out->name = config.name;
  out->balance = config.balance;
  out->resolve_interval_ms = config.resolve_interval_ms;
  out->health_check_interval_ms = config.health_check_interval_ms;
  out->health_check_timeout_ms = config.health_check_timeout_ms;
  out->listener = static_cast<uint32_t>(listener);
  out->proxy_protocol_out = static_cast<int>(config.proxy_protocol_out);  // As they are named.
  out->address_limits = LimitsOf(config);
  out->session.greets = !config.sni_server.empty();
  out->session.keeps_greetings = out->session.greets;
  out->session.tls = out->tls.get();
  out->session.tls_required = config.tls_mode == TlsMode::kRequired;
  out->session.auth.allow_cleartext_password = config.allow_cleartext_password;
  out->session.auth.password_key = out->password_key.get();
  out->session.auth.server_key = out->server_key.get();
  out->max_connections = config.max_connections;
  out->connect_timeout_ms = config.connect_timeout_ms;
  out->handshake_timeout_ms = config.handshake_timeout_ms;
  out->idle_timeout_ms = config.idle_timeout_ms;
  return true;
}

}  // namespace

bool LoadServerKey(const Config& config, size_t listener, Service* out, StartError* error) {
  const std::string& file = config.listeners[listener].server_public_key;
  if (file.empty()) return true;
  const absl::StatusOr<std::string> pem = ReadFile(file);
  if (!pem.ok()) {
    return Fail("server_public_key", file + ": " + Message(pem.status()), true, error);
  }
  absl::StatusOr<std::unique_ptr<tls::ServerKey>> key = tls::ServerKey::Parse(*pem);
  if (!key.ok()) {
    return Fail("server_public_key", file + ": " + Message(key.status()), true, error);
  }
  out->server_key = *std::move(key);
  return true;
}

void GiveServers(std::vector<ResolvedName> names, ServerRegistry* registry, Service* service) {
  service->servers.clear();
  for (ServerGroup& group : service->groups) group.count = 0;
  for (const ResolvedName& name : names) {
    ServerGroup& group = service->groups[name.group];
    if (group.count == 0) group.begin = service->servers.size();
    group.count += name.addresses.size();
    for (const Address& address : name.addresses) {
      std::string text = address.ToString();
      std::shared_ptr<ServerState> state = registry->Get(text);
      const std::atomic<bool>* drain = registry->drains()->Of(text);
      service->servers.push_back(
          {address, std::move(text), ServerTuning(*service, address), std::move(state), drain});
    }
  }
  service->names = std::move(names);
}

bool MakeServices(const Config& config, std::span<OpenCount> counts, ServerRegistry* registry,
                  const Services& before, const std::vector<bool>& keep, NewServices* out,
                  StartError* error) {
  SALLYPORT_CHECK(counts.size() == config.listeners.size() + 1);
  SALLYPORT_CHECK(keep.size() == before.size());
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    auto service = std::make_shared<Service>();
    const Service* replaced = before.empty() ? nullptr : before[i].get();
    error->listener = i;
    if (!keep.empty() && keep[i]) {
      *service = *replaced;
    } else if (!FillService(config, i, registry, replaced, service.get(), error)) {
      return false;
    }
    service->max_connections_in_process = config.max_connections;
    service->open_in_process = &counts[0];
    service->open = &counts[i + 1];
    out->push_back(std::move(service));
  }
  error->listener = CommandLine::kNoListener;
  return true;
}

void GiveSigners(const Config& config, std::unique_ptr<SignerPool>* pool, NewServices* services) {
  for (const std::shared_ptr<Service>& service : *services) {
    if (service->tls == nullptr || !service->tls->defers_signatures()) continue;
    if (*pool == nullptr) {
      const int half = static_cast<int>(std::thread::hardware_concurrency() / 2);
      *pool = std::make_unique<SignerPool>(config.signers > 0 ? config.signers : std::max(1, half));
    }
    service->signers = pool->get();
  }
}

void GiveLimiter(std::unique_ptr<AddressLimiter>* limiter, NewServices* services) {
  for (const std::shared_ptr<Service>& service : *services) {
    if (!service->address_limits.any()) continue;
    if (*limiter == nullptr) {
      std::random_device random;
      const uint64_t seed = uint64_t{random()} << 32 | random();
      *limiter = std::make_unique<AddressLimiter>(kLimitedAddressesMax, seed);
    }
    service->limiter = limiter->get();
  }
}

std::vector<int> AllowedCpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;  // More than CPU_SETSIZE.
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

bool ChooseRing(const Config& config, RingFactory* out, std::string* name, StartError* error) {
  const RingOptions options = {.spin_us = config.spin_us};
  *out = [options] { return MakeEpollRing(options); };
  *name = "epoll";
  if (config.io_engine == IoEngine::kEpoll) return true;
  const absl::Status probe = ProbeIoUring();
  if (!probe.ok()) {
    if (config.io_engine == IoEngine::kIoUring) {
      return Fail("io_engine", Message(probe), false, error);
    }
    LogWarning(Line("io_uring can't be used, epoll serves instead").Add("why", Message(probe)));
    return true;
  }
  *out = [options] { return MakeUringRing(options); };
  *name = "io_uring";
  return true;
}

bool EnterSandboxFor(const Config& config, const std::string& config_file, SandboxState* out,
                     StartError* error) {
  const bool wanted = config.sandbox == SandboxMode::kOn ||
                      (config.sandbox == SandboxMode::kAuto && !config.core_dumps);
  if (!wanted) return true;
  std::vector<std::string> files = {config_file};
  for (const ListenerConfig& listener : config.listeners) {
    files.push_back(listener.server_public_key);
    for (const TlsFile& file : TlsFiles(listener)) files.push_back(file.path);
  }
  out->readable = ReadableFolders(files);
  std::vector<std::string> writable;
  if (!config.log_file.empty() && config.log_file != kLogToJournal) {
    writable = WritablePlaces(config.log_file);
  }
  const absl::Status status = EnterSandbox(out->readable, writable);
  out->entered = status.ok();
  if (status.ok()) return true;
  if (config.sandbox == SandboxMode::kOn) return Fail("sandbox", Message(status), false, error);
  out->refusal = Message(status);
  return true;
}

bool CheckReadable(const SandboxState& sandbox, const std::string& option, const std::string& file,
                   StartError* error) {
  if (!sandbox.entered || file.empty() || LiesBelow(sandbox.readable, file)) return true;
  return Fail(option,
              file +
                  ": lies outside of the folders that the sandbox leaves open; restart, or "
                  "start with sandbox=off",
              false, error);
}

}  // namespace sallyport
