#include "proxy/overseer.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <utility>

#include "proxy/log/log.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A worker answers within a turn of its loop, in a few milliseconds. One that doesn't is looked
// after by the service manager's watchdog; here it only must not keep others waiting.
constexpr milliseconds kPatience{500};
constexpr milliseconds kPatienceForAll{1'000};

constexpr int kWorkerShift = 48;  // In a connection's id.
constexpr int kCursorShift = 32;  // In ListSessions' `after`: the worker, then its slot.

bool Came(const auto& future, steady_clock::time_point deadline) {
  const auto patience = std::min(deadline, steady_clock::now() + kPatience);
  return future.valid() && future.wait_until(patience) == std::future_status::ready;
}

std::string_view TlsModeOf(const Service& service) {
  if (service.tls == nullptr) return "disabled";
  return service.session.tls_required ? "required" : "preferred";
}

CertificateFacts FactsOf(const tls::CertificateInfo& info, bool self_signed) {
  return {.subject = info.subject,
          .names = info.dns_names,
          .key_type = info.key_type,
          .not_after = info.chain_not_after,
          .self_signed = self_signed};
}

}  // namespace

void Overseer::SetServices(Services services) {
  const std::lock_guard lock(mutex_);
  services_ = std::move(services);
}

Services Overseer::services() const {
  const std::lock_guard lock(mutex_);
  return services_;
}

SessionList Overseer::ListSessions(uint64_t after, uint32_t count_max) const {
  const steady_clock::time_point deadline = steady_clock::now() + kPatienceForAll;
  SessionList list;
  uint64_t worker = after >> kCursorShift;
  auto slot = static_cast<uint32_t>(after);
  while (worker < workers_.size() && list.sessions.size() < count_max) {
    SessionPage page;
    if (!workers_[worker]->ended()) {
      const auto left = static_cast<uint32_t>(count_max - list.sessions.size());
      std::future<SessionPage> future = workers_[worker]->List({slot, left});
      if (Came(future, deadline)) {
        page = future.get();
      } else {
        ++list.silent_workers;
      }
    }
    std::move(page.sessions.begin(), page.sessions.end(), std::back_inserter(list.sessions));
    slot = page.next_slot.value_or(0);
    if (!page.next_slot.has_value()) ++worker;
  }
  if (worker < workers_.size()) list.next = (worker << kCursorShift) + slot;
  return list;
}

CloseOutcome Overseer::CloseSession(uint64_t id) const {
  const uint64_t worker = id >> kWorkerShift;
  if (worker >= workers_.size() || workers_[worker]->ended()) return CloseOutcome::kNoSuchSession;
  std::future<bool> future = workers_[worker]->CloseSession(id);
  if (!Came(future, steady_clock::now() + kPatience)) return CloseOutcome::kNoAnswer;
  if (!future.get()) return CloseOutcome::kNoSuchSession;
  LogInfo(Line("an operator closed a session").Add("id", id));
  return CloseOutcome::kClosed;
}

bool Overseer::DrainServer(std::string_view server, bool drained) {
  const Services services = this->services();
  const bool known = std::any_of(services.begin(), services.end(), [&](const auto& service) {
    return std::any_of(service->servers.begin(), service->servers.end(),
                       [&](const ServerAddress& address) { return address.text == server; });
  });
  if (!known) return false;
  drains_->Set(server, drained);
  LogInfo(Line(drained ? "an operator drains a server" : "an operator uses a server again")
              .Add("server", std::string(server)));
  return true;
}

std::vector<ListenerFacts> Overseer::Listeners() const {
  const Services services = this->services();
  std::vector<ListenerFacts> all;
  for (size_t i = 0; i < services.size(); ++i) {
    const Service& service = *services[i];
    ListenerFacts facts;
    facts.name = service.name;
    if (i < listen_.size()) facts.addresses = listen_[i];
    facts.tls_mode = TlsModeOf(service);
    if (service.tls != nullptr) {
      facts.certificate = FactsOf(service.tls->certificate(), service.self_signed);
    }
    for (const ServerAddress& server : service.servers) {
      facts.servers.push_back({server.text, server.drained()});
    }
    facts.open = service.open->value();
    facts.max_connections = service.max_connections;
    all.push_back(std::move(facts));
  }
  return all;
}

}  // namespace sallyport
