// Balance: how a listener's connections are spread over its servers.
#ifndef PROXY_SERVERS_BALANCE_H_
#define PROXY_SERVERS_BALANCE_H_

namespace sallyport {

// kFirstAvailable: the first in the list that is up, so the others stand by. kRoundRobin: each in
// turn. kLeastConnections: the one with the fewest open here; among equals, each in turn.
enum class Balance { kFirstAvailable, kRoundRobin, kLeastConnections };

}  // namespace sallyport

#endif  // PROXY_SERVERS_BALANCE_H_
