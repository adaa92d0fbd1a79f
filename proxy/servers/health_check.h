// HealthCheck: one conversation with a server, as far as it tells that a client would be served:
// greeting, a log-in for a user whom nobody knows, refusal. mysqld counts that as a failed log-in
// and not as a broken handshake (max_connect_errors), and no account or plugin is needed. It is the
// Session that finishes a log-in in place of a client that left, with no client from the start.
#ifndef PROXY_SERVERS_HEALTH_CHECK_H_
#define PROXY_SERVERS_HEALTH_CHECK_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/ring/address.h"
#include "proxy/session/session.h"

namespace sallyport {

class HealthCheck {
 public:
  enum class Result : uint8_t { kRunning, kPassed, kFailed };

  // Begins to connect. The socket is the check's own. proxy_protocol: the version of the PROXY
  // header that this server waits for, which says that there is no client (LOCAL); 0: none.
  HealthCheck(const Address& address, int proxy_protocol);
  ~HealthCheck();
  HealthCheck(const HealthCheck&) = delete;
  HealthCheck& operator=(const HealthCheck&) = delete;

  // What to poll for; fd is -1 when it ended before anything could be sent.
  int fd() const { return fd_; }
  short events() const;

  // Step goes on after a poll; never blocks. room: for a receive. outboxes: empty, and are again.
  Result Step(std::span<uint8_t> room, Outboxes* outboxes);
  // traits: of the greeting that came; null: none. Valid until the next Step.
  const GreetingTraits* traits() const { return session_.server_traits(); }
  // why it failed, for the log.
  const std::string& why() const { return why_; }

 private:
  Result Fail(std::string_view why);
  bool SendProxyHeader();
  Result OnConnected(Outboxes* outboxes);
  Result OnBytes(std::span<uint8_t> bytes, Outboxes* outboxes);
  Result Verdict();

  static const SessionOptions kOptions;

  int fd_ = -1;
  int proxy_protocol_;
  bool connected_ = false;
  Session session_;
  std::string why_;
};

}  // namespace sallyport

#endif  // PROXY_SERVERS_HEALTH_CHECK_H_
