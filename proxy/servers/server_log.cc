#include "proxy/servers/server_log.h"

#include "proxy/log/log.h"

namespace sallyport {

void LogServerDown(const ServerState& server, std::string_view why) {
  LogWarning(Line("server is down").Add("server", server.text()).Add("why", why));
}

void LogServerBack(const ServerState& server) {
  LogInfo(Line("server is back").Add("server", server.text()));
}

}  // namespace sallyport
