// NameWatch: the thread that looks servers' names up again, at intervals and when a server fails.
#ifndef PROXY_SERVERS_NAME_WATCH_H_
#define PROXY_SERVERS_NAME_WATCH_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/ring/address.h"
#include "proxy/servers/server_state.h"

namespace sallyport {

// A `server` or `sni_server` of the configuration, and what its address was resolved to.
struct ResolvedName {
  std::string text;
  std::vector<Address> addresses;
  uint16_t group = 0;  // Of the listener's; 0: `server`.
};

// The servers of one listener.
struct WatchedNames {
  std::vector<ResolvedName> names;  // In the configuration's order.
  uint32_t interval_ms = 0;         // 0: never again.
  // Of the servers behind them: a failure there is a reason to look.
  std::vector<std::shared_ptr<const ServerState>> states;
};

// IsName: looking `text` up again may give something else (it is no address and no unix socket).
bool IsName(std::string_view text);

// What one look at a name came to.
enum class LookUp : uint8_t {
  kSame,  // The same addresses, in whatever order: a resolver's turns are no change.
  kChanged,
  kFailed,  // The old addresses stay.
};
// TakeLookUp puts what the resolver said into `*name`.
LookUp TakeLookUp(absl::StatusOr<std::vector<Address>> result, ResolvedName* name);

class NameWatch {
 public:
  using Resolve = std::function<absl::StatusOr<std::vector<Address>>(std::string_view text)>;
  // Called on the thread: the listener's names, with what they are now. generation: of the Set
  // that named them; what an older one named is to be ignored.
  using Changed = std::function<void(uint64_t generation, size_t listener,
                                     const std::vector<ResolvedName>& names)>;

  NameWatch(Resolve resolve, Changed changed);
  // Returns at once: a resolver may take half a minute, so the thread is left to end by itself.
  // `changed` isn't called any more; `resolve` may be.
  ~NameWatch();
  NameWatch(const NameWatch&) = delete;
  NameWatch& operator=(const NameWatch&) = delete;

  // Set says what to look up from now on, by listener, and returns the generation. The first call
  // with a name in it starts the thread, which takes over the caller's signal mask. Any thread,
  // also from within `changed`.
  uint64_t Set(std::vector<WatchedNames> listeners);

 private:
  class Looker;  // What the thread has; it may outlive this.
  std::shared_ptr<Looker> looker_;
};

}  // namespace sallyport

#endif  // PROXY_SERVERS_NAME_WATCH_H_
