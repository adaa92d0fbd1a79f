#include "proxy/server_watch.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/ring/address.h"
#include "proxy/start.h"

namespace sallyport {
namespace {

std::vector<HealthTarget> TargetsOf(const Services& services) {
  std::vector<HealthTarget> targets;
  const auto add = [&targets](const Service& service) {
    for (const ServerAddress& server : service.servers) {
      targets.push_back({server.address, server.state, service.health_check_interval_ms,
                         service.health_check_timeout_ms, service.proxy_protocol_out});
    }
  };
  for (const auto& service : services) {
    if (service->health_check_interval_ms > 0) add(*service);
  }
  // Of a server's targets the first counts: those who only want its greeting come last.
  for (const auto& service : services) {
    if (service->health_check_interval_ms == 0 && service->session.greets) add(*service);
  }
  return targets;
}

std::vector<WatchedNames> NamesOf(const Services& services) {
  std::vector<WatchedNames> listeners;
  for (const auto& service : services) {
    WatchedNames watched = {service->names, service->resolve_interval_ms, {}};
    for (const ServerAddress& server : service->servers) watched.states.push_back(server.state);
    listeners.push_back(std::move(watched));
  }
  return listeners;
}

}  // namespace

ServerWatch::ServerWatch(std::function<void(const Services&)> publish)
    : publish_(std::move(publish)),
      names_(ResolveAddress,
             [this](uint64_t generation, size_t listener, const std::vector<ResolvedName>& names) {
               OnNamesChanged(generation, listener, names);
             }) {}

void ServerWatch::Put(Services services) {
  const std::lock_guard lock(mutex_);
  services_ = std::move(services);
  Publish();
}

void ServerWatch::Start() {
  const std::lock_guard lock(mutex_);
  started_ = true;
  Watch();
}

Services ServerWatch::services() const {
  const std::lock_guard lock(mutex_);
  return services_;
}

void ServerWatch::OnNamesChanged(uint64_t generation, size_t listener,
                                 const std::vector<ResolvedName>& names) {
  const std::lock_guard lock(mutex_);
  if (generation != generation_) return;  // A reload looked them up meanwhile.
  auto service = std::make_shared<Service>(*services_[listener]);
  GiveServers(names, &registry_, service.get());
  services_[listener] = std::move(service);
  Publish();
}

// With mutex_ held.
void ServerWatch::Publish() {
  publish_(services_);
  if (started_) Watch();
}

// Likewise.
void ServerWatch::Watch() {
  health_.Set(TargetsOf(services_));
  generation_ = names_.Set(NamesOf(services_));
}

std::string ServerWatch::WhyNotReady() const {
  for (const auto& service : services()) {
    const std::vector<ServerAddress>& servers = service->servers;
    const bool any_up = std::any_of(servers.begin(), servers.end(), [](const auto& server) {
      return !server.state->down() && !server.drained();
    });
    if (any_up) continue;
    std::string texts;
    for (const ServerAddress& server : servers) {
      absl::StrAppend(&texts, texts.empty() ? "" : ", ", server.text);
    }
    return absl::StrCat(service->name.empty() ? "" : service->name + ": ",
                        "no server is up: ", texts);
  }
  return "";
}

}  // namespace sallyport
