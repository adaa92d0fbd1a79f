// The lines of a server that goes down and comes back.
#ifndef PROXY_SERVERS_SERVER_LOG_H_
#define PROXY_SERVERS_SERVER_LOG_H_

#include <string_view>

#include "proxy/servers/server_state.h"

namespace sallyport {

// For who was told so by a ServerState: once for each change.
void LogServerDown(const ServerState& server, std::string_view why);
void LogServerBack(const ServerState& server);

}  // namespace sallyport

#endif  // PROXY_SERVERS_SERVER_LOG_H_
