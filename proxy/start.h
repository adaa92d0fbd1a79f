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

#include "proxy/config/command_line.h"
#include "proxy/config/config.h"
#include "proxy/ring/ring.h"
#include "proxy/service.h"
#include "proxy/worker.h"

namespace sallyport {

// A failure, with the option that it belongs to.
struct StartError {
  std::string option;
  std::string what;
  bool bad_config = false;  // The configuration is wrong, not the machine: another exit code.
  size_t listener = CommandLine::kNoListener;  // Whose option.
};

// LoadTls reads certificate and key, or makes a self-signed pair in memory, and checks them.
// `before`: the snapshot to replace, or null; what is made in memory is kept.
bool LoadTls(const ListenerConfig& config, const Service* before, Service* out, StartError* error);

// MakeServices makes a snapshot for each listener: LoadTls, and the servers' names are resolved.
// `counts` outlive all snapshots; the first is the process's, the others the listeners'. At a
// reload `before` has the snapshots to replace, and `keep` says which of them stay as they are but
// for the process's own limit; both are empty at the start.
bool MakeServices(const Config& config, std::span<OpenCount> counts, const Services& before,
                  const std::vector<bool>& keep, Services* out, StartError* error);

// ChooseRing says which engine to use; with io_engine=auto, where io_uring is refused, it logs why.
using RingFactory = std::function<std::unique_ptr<Ring>()>;
bool ChooseRing(const Config& config, RingFactory* out, std::string* name, StartError* error);

// What is listened on, as it was bound.
struct BoundAddress {
  Address address;
  size_t listener = 0;
};

// OpenListeners opens, for each worker, a socket for each address to listen on. Port 0 becomes the
// same free port for all.
bool OpenListeners(const Config& config, const Services& services, int workers,
                   std::vector<std::vector<ListenSocket>>* sockets,
                   std::vector<BoundAddress>* addresses, StartError* error);

// RaiseFileLimit raises the soft limit of open files to what max_connections may need, and warns
// in the log where the hard limit forbids it.
void RaiseFileLimit(const Config& config, int workers);

}  // namespace sallyport

#endif  // PROXY_START_H_
