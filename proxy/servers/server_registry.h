// ServerRegistry: each server's one ServerState, found by its text. A reload, a listener more, a
// name looked up again: a server that stays keeps what is known of it.
#ifndef PROXY_SERVERS_SERVER_REGISTRY_H_
#define PROXY_SERVERS_SERVER_REGISTRY_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/servers/server_drains.h"
#include "proxy/servers/server_state.h"

namespace sallyport {

// Any thread.
class ServerRegistry {
 public:
  // Get returns the server's state, a new one where nobody holds one. It lives as long as a
  // snapshot or a connection names it.
  std::shared_ptr<ServerState> Get(const std::string& text);

  // drains: an operator's switches. They live as long as this, whatever servers come and go.
  ServerDrains* drains() { return &drains_; }

  // All lists those that live, by text.
  std::vector<std::shared_ptr<const ServerState>> All() const;

 private:
  ServerDrains drains_;
  mutable std::mutex mutex_;
  std::map<std::string, std::weak_ptr<ServerState>> states_;
};

}  // namespace sallyport

#endif  // PROXY_SERVERS_SERVER_REGISTRY_H_
