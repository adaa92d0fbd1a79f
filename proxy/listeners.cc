#include "proxy/listeners.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/config/command_line.h"

namespace sallyport {
namespace {

// Connections that wait to be accepted, for each worker; the kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;

// What the service manager calls the socket of config.admin.
constexpr char kAdminName[] = "admin";

using GivenSockets = std::vector<InheritedSockets::Socket>;

bool Fail(std::string what, bool bad_config, StartError* error) {
  error->option = "listen";
  error->what = std::move(what);
  error->bad_config = bad_config;
  return false;
}

// Opens what all workers need at one address, beside what is given.
bool Place(const GivenSockets& given, const Address& address, size_t listener,
           const SocketTuning& tuning, Listeners* out, StartError* error) {
  const size_t workers = out->of_worker.size();
  std::vector<NamedSocket> sockets;
  for (const InheritedSockets::Socket& socket : given) sockets.push_back({socket.fd, socket.name});
  Address bound = address;
  while (sockets.size() < workers) {
    const absl::StatusOr<int> fd = Listen(bound, kBacklog);
    if (!fd.ok() && given.empty()) return Fail(std::string(fd.status().message()), false, error);
    if (!fd.ok()) break;
    sockets.push_back({*fd, given.empty() ? "" : given.front().name});
    bound = LocalAddress(*fd);
  }
  out->addresses.push_back({bound, listener});
  out->to_hand_over.insert(out->to_hand_over.end(), sockets.begin(), sockets.end());
  const size_t own = sockets.size();
  while (sockets.size() < workers) {
    const int fd = fcntl(sockets[sockets.size() % own].fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return Fail(absl::StrCat("dup: ", std::strerror(errno)), false, error);
    sockets.push_back({fd, ""});
  }
  const std::unique_ptr<Ring> tuner = MakeEpollRing();  // Tune needs no Start.
  for (size_t i = 0; i < sockets.size(); ++i) {
    tuner->Tune(sockets[i].fd, tuning);  // Accepted sockets inherit it: no calls for each of them.
    out->of_worker[i % workers].push_back({sockets[i].fd, static_cast<uint32_t>(listener)});
  }
  return true;
}

bool PlaceNamed(const GivenSockets& given, size_t listener, const SocketTuning& tuning,
                Listeners* out, StartError* error) {
  std::map<std::string, GivenSockets> by_address;
  for (const InheritedSockets::Socket& socket : given) {
    by_address[socket.address.ToString()].push_back(socket);
  }
  for (const auto& [text, sockets] : by_address) {
    const Address address = sockets.front().address;
    if (!Place(sockets, address, listener, tuning, out, error)) return false;
  }
  return true;
}

bool PlaceBound(const std::string& text, size_t listener, const SocketTuning& tuning,
                InheritedSockets* inherited, Listeners* out, StartError* error) {
  const absl::StatusOr<std::vector<Address>> resolved = ResolveAddress(text);
  if (!resolved.ok()) {
    return Fail(text + ": " + std::string(resolved.status().message()),
                absl::IsInvalidArgument(resolved.status()), error);
  }
  for (const Address& address : *resolved) {
    const GivenSockets given = inherited->TakeBound(address);
    if (!Place(given, address, listener, tuning, out, error)) return false;
  }
  return true;
}

}  // namespace

bool OpenListeners(const Config& config, const NewServices& services, int workers,
                   InheritedSockets* inherited, Listeners* out, StartError* error) {
  out->of_worker.resize(static_cast<size_t>(workers));
  for (size_t i = 0; i < config.listeners.size(); ++i) {
    error->listener = i;
    const SocketTuning& tuning = services[i]->tuning;
    const GivenSockets named = inherited->TakeNamed(config.listeners[i].name);
    if (!PlaceNamed(named, i, tuning, out, error)) return false;
    if (!named.empty()) continue;
    for (const std::string& text : config.listeners[i].listen) {
      if (!PlaceBound(text, i, tuning, inherited, out, error)) return false;
    }
  }
  error->listener = CommandLine::kNoListener;
  return true;
}

int TakeAdminSocket(const Config& config, InheritedSockets* inherited) {
  if (config.admin.empty()) return -1;
  GivenSockets found = inherited->TakeNamed(kAdminName);
  const absl::StatusOr<std::vector<Address>> addresses = ResolveAddress(config.admin);
  for (size_t i = 0; addresses.ok() && i < addresses->size() && found.empty(); ++i) {
    found = inherited->TakeBound((*addresses)[i]);
  }
  return found.empty() ? -1 : found.front().fd;
}

bool CheckLeft(const InheritedSockets& inherited, StartError* error) {
  for (const InheritedSockets::Socket& socket : inherited.left()) {
    if (!socket.from_manager) continue;
    return Fail(absl::StrCat("the service manager passes ", socket.address.ToString(), " (\"",
                             socket.name, "\"), which is no listener's address or name"),
                false, error);
  }
  return true;
}

}  // namespace sallyport
