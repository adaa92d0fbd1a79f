#include "proxy/config/contradiction.h"

#include "proxy/config/values.h"

namespace sallyport {
namespace {

// What SetOption let through parses again.
Endpoint Parsed(std::string_view address) {
  constexpr AddressRules kAny = {.unix_socket = true, .port_zero = true, .any_host = true};
  return ParseAddress(address, kAny).value_or(Endpoint{});
}

std::optional<Contradiction> FindHalfPair(const ListenerConfig& config, size_t listener) {
  const size_t certificates = config.tls_cert.size(), keys = config.tls_key.size();
  if (certificates == keys) return std::nullopt;
  if (keys == 0) return {{"tls_cert", "needs tls_key as well", listener}};
  if (certificates == 0) return {{"tls_key", "needs tls_cert as well", listener}};
  return {{"tls_key",
           "has " + std::to_string(keys) + " of the " + std::to_string(certificates) +
               " keys for tls_cert: each certificate needs its own",
           listener}};
}

// Demands that could not be met, or that whoever likes could get around.
std::optional<Contradiction> FindVainDemand(const ListenerConfig& config, size_t listener) {
  using Certificates = TlsClientCertificates;
  if (config.tls_version_min > config.tls_version_max) {
    return {{"tls_version_min", "is above tls_version_max", listener}};
  }
  if (!config.sni_server.empty() && config.tls_mode == TlsMode::kDisabled) {
    return {{"sni_server", "needs TLS, and tls_mode is disabled", listener}};
  }
  if (config.tls_client_certificates == Certificates::kOff) {
    if (config.tls_client_user == TlsClientUser::kOff) return std::nullopt;
    return {{"tls_client_user", "needs tls_client_certificates optional or required", listener}};
  }
  if (config.tls_client_ca.empty()) {
    return {{"tls_client_certificates", "needs tls_client_ca as well", listener}};
  }
  if (config.tls_mode == TlsMode::kDisabled) {
    return {{"tls_client_certificates", "needs TLS, and tls_mode is disabled", listener}};
  }
  if (config.tls_client_certificates == Certificates::kRequired &&
      config.tls_mode != TlsMode::kRequired) {
    return {{"tls_client_certificates",
             "required needs tls_mode required: who asks for no TLS would need no certificate",
             listener}};
  }
  return std::nullopt;
}

// Each connection would open the next, until all ports are gone.
std::optional<Contradiction> FindLoop(const Config& config, std::string_view listen) {
  const auto check = [&](std::string_view option, std::string_view server,
                         size_t listener) -> std::optional<Contradiction> {
    if (!IsServedBy(Parsed(server), Parsed(listen))) return std::nullopt;
    return {{option, Quoted(server) + " is the proxy itself (listen has " + Quoted(listen) + ")",
             listener}};
  };
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    for (const std::string& server : config.listeners[i].server) {
      if (auto found = check("server", server, i); found.has_value()) return found;
    }
    for (const std::string& server : config.listeners[i].sni_server) {
      const absl::StatusOr<SniServer> parsed = ParseSniServer(server);
      if (!parsed.ok()) continue;
      if (auto found = check("sni_server", parsed->address, i); found.has_value()) return found;
    }
  }
  return std::nullopt;
}

// Whether listeners before `listener`, or its own addresses before `own`, have that address.
std::optional<Contradiction> FindTwice(const Config& config, size_t listener, size_t own) {
  const std::string& listen = config.listeners[listener].listen[own];
  for (size_t i = 0; i <= listener; ++i) {
    const std::vector<std::string>& others = config.listeners[i].listen;
    const size_t count = i == listener ? own : others.size();
    for (size_t k = 0; k < count; ++k) {
      if (!SamePlace(Parsed(others[k]), Parsed(listen))) continue;
      return {{"listen",
               Quoted(listen) + (i == listener ? " is there twice" : " is another listener's too"),
               listener}};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Contradiction> FindContradiction(const Config& config) {
  if (config.sandbox == SandboxMode::kOn && config.core_dumps) {
    return {{"core_dumps", "needs sandbox off: nothing can be written inside"}};
  }
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    if (auto found = FindHalfPair(listener, i); found.has_value()) return found;
    if (auto found = FindVainDemand(listener, i); found.has_value()) return found;
    for (size_t k = 0; k < i && !listener.name.empty(); ++k) {
      if (listener.name == config.listeners[k].name) {
        return {{"name", Quoted(listener.name) + " is another listener's too", i}};
      }
    }
    for (size_t k = 0; k < listener.listen.size(); ++k) {
      const std::string& listen = listener.listen[k];
      if (auto found = FindTwice(config, i, k); found.has_value()) return found;
      if (auto found = FindLoop(config, listen); found.has_value()) return found;
      if (!config.admin.empty() && SamePlace(Parsed(config.admin), Parsed(listen))) {
        return {{"admin", Quoted(config.admin) + " is in listen as well", i}};
      }
    }
  }
  return std::nullopt;
}

}  // namespace sallyport
