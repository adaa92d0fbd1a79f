// From a checked Config to what workers need: at start, and the services again at each reload.
// Each function's error is a line for the operator; the message names the thing, not yet the
// option.
#ifndef PROXY_START_H_
#define PROXY_START_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/ring/ring.h"
#include "proxy/servers/server_registry.h"
#include "proxy/service.h"
#include "proxy/signer_pool.h"
#include "proxy/start_error.h"
#include "proxy/worker.h"

namespace sallyport {

// LoadServerKey reads server_public_key, where there is one. REQUIRES: listener <
// config.listeners.size().
bool LoadServerKey(const Config& config, size_t listener, Service* out, StartError* error);

// GiveServers makes `*service`'s servers of what their names were resolved to. REQUIRES: `names` in
// order of their groups, which service->groups has.
void GiveServers(std::vector<ResolvedName> names, ServerRegistry* registry, Service* service);

// Snapshots that are still in the making.
using NewServices = std::vector<std::shared_ptr<Service>>;

// MakeServices makes a snapshot for each listener: LoadTls, and the servers' names are resolved.
// `counts` outlive all snapshots; the first is the process's, the others the listeners'. At a
// reload `before` has the snapshots to replace, and `keep` says which of them stay as they are but
// for the process's own limit; both are empty at the start. The new ones have no signers yet.
bool MakeServices(const Config& config, std::span<OpenCount> counts, ServerRegistry* registry,
                  const Services& before, const std::vector<bool>& keep, NewServices* out,
                  StartError* error);

// GiveSigners lets `*pool` sign for the snapshots whose certificates defer that, and starts it
// where it is needed for the first time. `*pool` outlives the snapshots' connections. REQUIRES: the
// signals of this process are blocked.
void GiveSigners(const Config& config, std::unique_ptr<SignerPool>* pool, NewServices* services);

// GiveLimiter lets `*limiter` count the addresses of the snapshots that have limits of them, and
// makes it where it is needed for the first time. It outlives the snapshots' connections.
void GiveLimiter(std::unique_ptr<AddressLimiter>* limiter, NewServices* services);

// AllowedCpus lists the CPUs that this process may run on; empty when the kernel doesn't tell.
std::vector<int> AllowedCpus();

// ChooseRing says which engine to use; with io_engine=auto, where io_uring is refused, it logs why.
using RingFactory = std::function<std::unique_ptr<Ring>()>;
bool ChooseRing(const Config& config, RingFactory* out, std::string* name, StartError* error);

// Which folders' files may be read in the sandbox, and why there is none where it bears that.
struct SandboxState {
  bool entered = false;
  std::vector<std::string> readable;
  std::string refusal;  // The kernel's, where config.sandbox bears it.
};

// EnterSandboxFor confines this thread, and those that it starts, to what a reload of `config` and
// of the log need, as config.sandbox says. REQUIRES: log_file is open.
bool EnterSandboxFor(const Config& config, const std::string& config_file, SandboxState* out,
                     StartError* error);

// CheckReadable fails where a reload would need a file that lies outside the sandbox.
bool CheckReadable(const SandboxState& sandbox, const std::string& option, const std::string& file,
                   StartError* error);

}  // namespace sallyport

#endif  // PROXY_START_H_
