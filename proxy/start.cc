#include "proxy/start.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "packet/check.h"
#include "proxy/config/command_line.h"
#include "proxy/key_file.h"
#include "proxy/limits.h"
#include "proxy/log/log.h"
#include "proxy/sandbox/sandbox.h"
#include "tls/secret.h"
#include "tls/self_signed.h"

namespace sallyport {
namespace {

// Connections that wait to be accepted, for each worker; the kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;

// A self-signed pair lives as long as the process, so its end should not come before that.
constexpr int kSelfSignedDays = 3650;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

bool Fail(std::string option, std::string what, bool bad_config, StartError* error) {
  error->option = std::move(option);
  error->what = std::move(what);
  error->bad_config = bad_config;
  return false;
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

void Wipe(std::string* text) {
  tls::Wipe({reinterpret_cast<uint8_t*>(text->data()), text->size()});
}

bool ReadPair(const ListenerConfig& config, tls::CertificatePair* pair, std::string* key_file_mode,
              StartError* error) {
  absl::StatusOr<std::string> certificate = ReadFile(config.tls_cert);
  if (!certificate.ok()) {
    return Fail("tls_cert", config.tls_cert + ": " + Message(certificate.status()), true, error);
  }
  absl::StatusOr<std::string> key = ReadFile(config.tls_key);
  if (!key.ok()) {
    return Fail("tls_key", config.tls_key + ": " + Message(key.status()), true, error);
  }
  if (absl::Status status = CheckKeyFile(config.tls_key, key_file_mode); !status.ok()) {
    Wipe(&*key);
    return Fail("tls_key", config.tls_key + ": " + Message(status), true, error);
  }
  *pair = {*std::move(certificate), *std::move(key)};
  return true;
}

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

SocketTuning ServerTuning(const ListenerConfig& config, const Address& address) {
  SocketTuning tuning = TuningOf(config);
  const std::string& wanted = config.server_congestion_control;
  if (wanted != "auto" && wanted != "system") tuning.congestion_control = wanted;
  if (wanted == "auto" && address.is_near()) tuning.congestion_control = "cubic";
  return tuning;
}

bool ResolveServers(const ListenerConfig& config, Service* out, StartError* error) {
  for (const std::string& text : config.server) {
    const absl::StatusOr<std::vector<Address>> addresses = ResolveAddress(text);
    if (!addresses.ok()) {
      return Fail("server", text + ": " + Message(addresses.status()),
                  absl::IsInvalidArgument(addresses.status()), error);
    }
    for (const Address& address : *addresses) {
      out->servers.push_back({address, address.ToString(), ServerTuning(config, address)});
    }
  }
  return true;
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

bool FillService(const Config& whole, size_t listener, const Service* before, Service* out,
                 StartError* error) {
  const ListenerConfig& config = whole.listeners[listener];
  if (!LoadTls(whole, listener, before, out, error) || !ResolveServers(config, out, error) ||
      !MakePasswordKey(config, before, out, error) || !FillNetworks(config, out, error)) {
    return false;
  }
  out->name = config.name;
  out->listener = static_cast<uint32_t>(listener);
  out->proxy_protocol_out = static_cast<int>(config.proxy_protocol_out);  // As they are named.
  out->address_limits = LimitsOf(config);
  out->session.tls = out->tls.get();
  out->session.tls_required = config.tls_mode == TlsMode::kRequired;
  out->session.auth.allow_cleartext_password = config.allow_cleartext_password;
  out->session.auth.password_key = out->password_key.get();
  out->tuning = TuningOf(config);
  out->max_connections = config.max_connections;
  out->connect_timeout_ms = config.connect_timeout_ms;
  out->handshake_timeout_ms = config.handshake_timeout_ms;
  out->idle_timeout_ms = config.idle_timeout_ms;
  return true;
}

}  // namespace

bool LoadTls(const Config& whole, size_t listener, const Service* before, Service* out,
             StartError* error) {
  const ListenerConfig& config = whole.listeners[listener];
  if (config.tls_mode == TlsMode::kDisabled) return true;
  const int64_t now = time(nullptr);
  tls::CertificatePair pair;
  out->self_signed = config.tls_cert.empty();
  if (out->self_signed && before != nullptr && before->self_signed) {
    out->tls = before->tls;
    return true;
  }
  if (out->self_signed) {
    absl::StatusOr<tls::CertificatePair> made =
        tls::MakeSelfSigned({HostName(), "localhost", "127.0.0.1", "::1"}, now, kSelfSignedDays);
    if (!made.ok()) return Fail("tls_cert", Message(made.status()), false, error);
    pair = *std::move(made);
  } else if (!ReadPair(config, &pair, &out->key_file_mode, error)) {
    return false;
  }
  absl::StatusOr<std::unique_ptr<tls::Context>> context =
      tls::Context::Create({.certificate_pem = pair.certificate_pem,
                            .private_key_pem = pair.private_key_pem,
                            .now = now,
                            .defer_signatures = whole.signers >= 0});
  Wipe(&pair.private_key_pem);
  if (!context.ok()) {
    return Fail(
        "tls_cert",
        absl::StrCat(config.tls_cert, " with ", config.tls_key, ": ") + Message(context.status()),
        true, error);
  }
  out->tls = *std::move(context);
  return true;
}

bool MakeServices(const Config& config, std::span<OpenCount> counts, const Services& before,
                  const std::vector<bool>& keep, NewServices* out, StartError* error) {
  SALLYPORT_CHECK(counts.size() == config.listeners.size() + 1);
  SALLYPORT_CHECK(keep.size() == before.size());
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    auto service = std::make_shared<Service>();
    const Service* replaced = before.empty() ? nullptr : before[i].get();
    error->listener = i;
    if (!keep.empty() && keep[i]) {
      *service = *replaced;
    } else if (!FillService(config, i, replaced, service.get(), error)) {
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

void GiveDrains(ServerDrains* drains, NewServices* services) {
  for (const std::shared_ptr<Service>& service : *services) {
    for (ServerAddress& server : service->servers) server.drain = drains->Of(server.text);
  }
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

namespace {

bool OpenAddress(Address address, size_t listener, const SocketTuning& tuning,
                 std::vector<std::vector<ListenSocket>>* sockets,
                 std::vector<BoundAddress>* addresses, StartError* error) {
  const std::unique_ptr<Ring> tuner = MakeEpollRing();  // Tune needs no Start.
  for (std::vector<ListenSocket>& of_worker : *sockets) {
    const absl::StatusOr<int> fd = Listen(address, kBacklog);
    if (!fd.ok()) return Fail("listen", Message(fd.status()), false, error);
    tuner->Tune(*fd, tuning);  // Accepted sockets inherit it: no calls for each connection.
    of_worker.push_back({*fd, static_cast<uint32_t>(listener)});
    address = LocalAddress(*fd);
  }
  addresses->push_back({address, listener});
  return true;
}

}  // namespace

bool OpenListeners(const Config& config, const NewServices& services, int workers,
                   std::vector<std::vector<ListenSocket>>* sockets,
                   std::vector<BoundAddress>* addresses, StartError* error) {
  sockets->resize(static_cast<size_t>(workers));
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    error->listener = i;
    for (const std::string& text : config.listeners[i].listen) {
      const absl::StatusOr<std::vector<Address>> resolved = ResolveAddress(text);
      if (!resolved.ok()) {
        return Fail("listen", text + ": " + Message(resolved.status()),
                    absl::IsInvalidArgument(resolved.status()), error);
      }
      for (const Address& address : *resolved) {
        if (!OpenAddress(address, i, services[i]->tuning, sockets, addresses, error)) return false;
      }
    }
  }
  error->listener = CommandLine::kNoListener;
  return true;
}

bool EnterSandboxFor(const Config& config, const std::string& config_file, SandboxState* out,
                     StartError* error) {
  const bool wanted = config.sandbox == SandboxMode::kOn ||
                      (config.sandbox == SandboxMode::kAuto && !config.core_dumps);
  if (!wanted) return true;
  std::vector<std::string> files = {config_file};
  for (const ListenerConfig& listener : config.listeners) {
    files.insert(files.end(), {listener.tls_cert, listener.tls_key});
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
