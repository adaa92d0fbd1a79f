// The listening sockets of a start: those that were handed to this process, and new ones.
#ifndef PROXY_LISTENERS_H_
#define PROXY_LISTENERS_H_

#include <cstddef>
#include <vector>

#include "proxy/config/config.h"
#include "proxy/handover/inherited.h"
#include "proxy/ring/address.h"
#include "proxy/start.h"
#include "proxy/worker.h"

namespace sallyport {

// What is listened on, as it was bound.
struct BoundAddress {
  Address address;
  size_t listener = 0;
};

struct Listeners {
  std::vector<std::vector<ListenSocket>> of_worker;
  std::vector<BoundAddress> addresses;
  // For the process that takes this one's place: each once, whoever accepts from it.
  std::vector<NamedSocket> to_hand_over;
};

// OpenListeners gives each worker a socket for each address to listen on. Those of `inherited` that
// bear a listener's name are what it listens on, in the place of its `listen`; those that have an
// address of `listen` serve there. Where there are fewer than workers, others are bound beside them
// or, where the kernel refuses that (another user's, or without SO_REUSEPORT), workers share;
// where there are more, a worker has several. Port 0 becomes the same free port for all.
bool OpenListeners(const Config& config, const NewServices& services, int workers,
                   InheritedSockets* inherited, Listeners* out, StartError* error);

// TakeAdminSocket gives the inherited socket of config.admin, or -1.
int TakeAdminSocket(const Config& config, InheritedSockets* inherited);

// CheckLeft fails where the service manager passes a socket that nobody wants: clients who connect
// to it would wait for ever.
bool CheckLeft(const InheritedSockets& inherited, StartError* error);

}  // namespace sallyport

#endif  // PROXY_LISTENERS_H_
