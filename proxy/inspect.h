// What an operator may ask of the sessions that are open: plain data between Admin's thread and the
// workers'.
#ifndef PROXY_INSPECT_H_
#define PROXY_INSPECT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport {

// One open connection, as its worker saw it between two events. user and database are the client's
// words: any bytes, up to 128 of them.
struct SessionInfo {
  uint64_t id = 0;  // As in the log.
  std::string client;
  std::string listener;  // Empty where it has no name.
  std::string server;
  uint32_t server_thread = 0;
  std::string user;
  std::string database;
  std::string plugin;
  std::string_view tls_version;  // Empty: in clear, or no handshake yet.
  std::string_view cipher;
  bool resumed = false;
  std::string_view state;
  uint64_t age_ms = 0;
  uint64_t idle_ms = 0;  // Since bytes last came.
  uint64_t bytes_from_client = 0;
  uint64_t bytes_from_server = 0;
  uint64_t bytes_waiting = 0;  // For either socket to take them.
};

// A worker looks at so many places of its table for one answer, and tells of so many sessions: some
// 0.3 ms in which its sessions wait.
inline constexpr uint32_t kSlotsPerAnswerMax = 16'384;
inline constexpr uint32_t kSessionsPerAnswerMax = 500;

// Which sessions of one worker.
struct SessionQuery {
  uint32_t first_slot = 0;
  uint32_t count_max = kSessionsPerAnswerMax;  // No more than that is told in any case.
};
struct SessionPage {
  std::vector<SessionInfo> sessions;
  std::optional<uint32_t> next_slot;  // Where to go on; none: that was all.
};

// Sessions of all workers. `next` is for the call that goes on behind them; none: those were all.
struct SessionList {
  std::vector<SessionInfo> sessions{};
  std::optional<uint64_t> next{};
  uint32_t silent_workers = 0;  // Whose answer did not come in time: their sessions are missing.
};

enum class CloseOutcome { kClosed, kNoSuchSession, kNoAnswer };

// What a listener is.
struct CertificateFacts {
  std::string subject{};
  std::vector<std::string> names{};
  std::string key_type{};
  int64_t not_after = 0;  // Unix seconds; of whichever of the chain expires first.
  bool self_signed = false;
};
struct ServerFacts {
  std::string server{};
  bool drained = false;
};
struct ListenerFacts {
  std::string name{};
  std::vector<std::string> addresses{};
  std::string_view tls_mode{};
  std::optional<CertificateFacts> certificate{};  // None where TLS is disabled.
  std::vector<ServerFacts> servers{};             // In the order in which they are tried.
  uint32_t open = 0;
  uint32_t max_connections = 0;
};

}  // namespace sallyport

#endif  // PROXY_INSPECT_H_
