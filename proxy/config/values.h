// Values: the texts an option may have, read and held against their limits.
#ifndef PROXY_CONFIG_VALUES_H_
#define PROXY_CONFIG_VALUES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport {

// All errors are kInvalidArgument with a message on one line that begins with the quoted text.

// Quoted is `text` in quotes, control bytes escaped, cut when long: it can't spoil a line.
std::string Quoted(std::string_view text);

// NormalizedName: lower case is as it was, '-' becomes '_'.
std::string NormalizedName(std::string_view name);

// ParseBool: true, on, yes, 1 and their opposites, in any case.
absl::StatusOr<bool> ParseBool(std::string_view text);

absl::StatusOr<int64_t> ParseCount(std::string_view text, int64_t min, int64_t max);

// ParseSeconds reads a decimal number of seconds into milliseconds; min and max are milliseconds.
// What is finer than a millisecond is refused: 0 often means "never", so nothing may round to it.
absl::StatusOr<int64_t> ParseSeconds(std::string_view text, int64_t min, int64_t max);

// SecondsText is the shortest text that ParseSeconds reads back.
std::string SecondsText(int64_t milliseconds);

// ParseChoice is the place of `text`, in any case, in `choices`.
absl::StatusOr<size_t> ParseChoice(std::string_view text,
                                   std::span<const std::string_view> choices);

// CheckPath refuses control bytes and what is not UTF-8: neither could be shown or written back.
absl::Status CheckPath(std::string_view text);

// CheckName: the same, and of 1 to 64 bytes.
absl::Status CheckName(std::string_view text);

// An address as text. Nothing is looked up.
struct Endpoint {
  std::string_view host = {};  // Without brackets. Empty: all interfaces, or a unix socket.
  int port = 0;
  std::string_view unix_path = {};
};

struct AddressRules {
  bool unix_socket = false;  // "unix:/path".
  bool port_zero = false;    // Any free port.
  bool any_host = false;     // ":6033".
};

// ParseAddress reads HOST:PORT, [V6]:PORT or unix:/PATH as far as `rules` allow. The views point
// into `text`.
absl::StatusOr<Endpoint> ParseAddress(std::string_view text, const AddressRules& rules);

// A server for those who ask for a name. The views point into the parsed text.
struct SniServer {
  std::string_view name;  // Exact, or "*.example.com".
  std::string_view address;
};

// ParseSniServer reads NAME=HOST:PORT, NAME=[V6]:PORT or NAME=unix:/PATH.
absl::StatusOr<SniServer> ParseSniServer(std::string_view text);

// SamePlace: both are the same host and port as far as the text tells, port 0 never.
bool SamePlace(const Endpoint& a, const Endpoint& b);

// IsServedBy: a connection to `server` would arrive at `listen`, as far as the text tells.
bool IsServedBy(const Endpoint& server, const Endpoint& listen);

}  // namespace sallyport

#endif  // PROXY_CONFIG_VALUES_H_
