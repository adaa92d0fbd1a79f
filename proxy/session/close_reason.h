// CloseReason: why a connection ended, in one word for the log and the metrics.
#ifndef PROXY_SESSION_CLOSE_REASON_H_
#define PROXY_SESSION_CLOSE_REASON_H_

#include <cstdint>
#include <string_view>

namespace sallyport {

// One line a reason: SALLYPORT_CLOSE_REASONS(name, text). In order of a connection's way.
#define SALLYPORT_CLOSE_REASONS(X)                                    \
  X(kNone, "none")                                                    \
  X(kTooManyConnections, "too_many_connections")                      \
  X(kBadProxyHeader, "bad_proxy_header")                              \
  X(kAddressRefused, "address_refused") /* One of its limits. */      \
  X(kServerUnreachable, "server_unreachable")                         \
  X(kServerRefused, "server_refused") /* ERR instead of a greeting */ \
  X(kServerMalformed, "server_malformed")                             \
  X(kServerLacksFlags, "server_lacks_flags") /* that were offered */  \
  X(kClientLeftEarly, "client_left_early")                            \
  X(kHandshakeTimeout, "handshake_timeout")                           \
  X(kBadHandshake, "bad_handshake")                                   \
  X(kPacketTooLong, "packet_too_long")                                \
  X(kTlsRequired, "tls_required")                                     \
  X(kTlsFailed, "tls_failed")                                         \
  X(kUserNotCertified, "user_not_certified")                          \
  X(kSecretRefused, "secret_refused")                                 \
  X(kPasswordUnusable, "password_unusable")                           \
  X(kServerKeyDiffers, "server_key_differs")                          \
  X(kLoginFailed, "login_failed")                                     \
  X(kServerLostInLogin, "server_lost_in_login")                       \
  X(kClientClosed, "client_closed")                                   \
  X(kServerClosed, "server_closed")                                   \
  X(kClientError, "client_error")                                     \
  X(kServerError, "server_error")                                     \
  X(kKeyUpdateRefused, "key_update_refused") /* by kernel TLS */      \
  X(kKeyUpdateFailed, "key_update_failed")   /* likewise */           \
  X(kIdleTimeout, "idle_timeout")                                     \
  X(kClosedByOperator, "closed_by_operator")                          \
  X(kShutdown, "shutdown")

enum class CloseReason : uint8_t {
#define SALLYPORT_CLOSE_REASON(name, text) name,
  SALLYPORT_CLOSE_REASONS(SALLYPORT_CLOSE_REASON)
#undef SALLYPORT_CLOSE_REASON
};

constexpr std::string_view ToText(CloseReason reason) {
  switch (reason) {
#define SALLYPORT_CLOSE_REASON(name, text) \
  case CloseReason::name:                  \
    return text;
    SALLYPORT_CLOSE_REASONS(SALLYPORT_CLOSE_REASON)
#undef SALLYPORT_CLOSE_REASON
  }
  return "";
}

}  // namespace sallyport

#endif  // PROXY_SESSION_CLOSE_REASON_H_
