#include "proxy/config/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "proxy/log/escape.h"
#include "tls/name_table.h"

namespace sallyport {
namespace {

// A path of unix(7) has 108 bytes with its end.
constexpr size_t kUnixPathMax = 107;
constexpr size_t kQuotedMax = 100;
constexpr size_t kNameMax = 64;

absl::Status Bad(std::string_view text, const std::string& why) {
  return absl::InvalidArgumentError(Quoted(text) + " " + why);
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()),
                                absl::string_view(b.data(), b.size()));
}

std::optional<int64_t> WholeNumber(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool IsIp(int family, std::string_view text) {
  in6_addr address;
  return inet_pton(family, std::string(text).c_str(), &address) == 1;
}

// Names go to the resolver, which would take "127.0.0.300" for a name and say something obscure.
absl::Status CheckHost(std::string_view text, std::string_view host, bool bracketed) {
  if (bracketed) {
    // An interface may follow, as in fe80::1%eth0; whether it exists is found out when it is used.
    if (IsIp(AF_INET6, host.substr(0, host.find('%')))) return absl::OkStatus();
    return Bad(text, "has no IPv6 address in its brackets");
  }
  if (host.find_first_not_of("0123456789.") == std::string_view::npos) {
    if (host.empty() || IsIp(AF_INET, host)) return absl::OkStatus();
    return Bad(text, "is not an IPv4 address with a port");
  }
  const auto in_name = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  };
  if (!std::all_of(host.begin(), host.end(), in_name)) return Bad(text, "is not HOST:PORT");
  return absl::OkStatus();
}

absl::StatusOr<Endpoint> ParseUnixPath(std::string_view text, const AddressRules& rules) {
  if (!rules.unix_socket) {
    return Bad(text, "is a unix socket: only a server may be one");
  }
  const std::string_view path = text.substr(5);
  // '@' stands for the NUL that begins an abstract name.
  if (path.size() < 2 || (path[0] != '/' && path[0] != '@')) {
    return Bad(text, "has no absolute path (unix:/PATH)");
  }
  if (path.size() > kUnixPathMax) return Bad(text, "is longer than a unix socket's path may be");
  if (absl::Status status = CheckPath(text); !status.ok()) return status;
  return Endpoint{.unix_path = path};
}

bool IsLoopback4(std::string_view host) {
  return host.starts_with("127.") || EqualsIgnoringCase(host, "localhost");
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    uint32_t rune = 0;
    const size_t size = Utf8Size(text, &rune);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace

std::string Quoted(std::string_view text) {
  const std::string shown(text.substr(0, kQuotedMax));
  return '"' + absl::Utf8SafeCHexEscape(shown) + (text.size() > kQuotedMax ? "\"..." : "\"");
}

std::string NormalizedName(std::string_view name) {
  std::string normalized(name);
  std::replace(normalized.begin(), normalized.end(), '-', '_');
  return normalized;
}

absl::StatusOr<bool> ParseBool(std::string_view text) {
  for (const std::string_view word : {"true", "on", "yes", "1"}) {
    if (EqualsIgnoringCase(text, word)) return true;
  }
  for (const std::string_view word : {"false", "off", "no", "0"}) {
    if (EqualsIgnoringCase(text, word)) return false;
  }
  return Bad(text, "is neither true nor false");
}

absl::StatusOr<int64_t> ParseCount(std::string_view text, int64_t min, int64_t max) {
  const std::optional<int64_t> value = WholeNumber(text);
  if (!value.has_value()) return Bad(text, "is not a whole number");
  if (*value < min || *value > max) {
    return Bad(text, absl::StrFormat("is not between %d and %d", min, max));
  }
  return *value;
}

absl::StatusOr<int64_t> ParseSeconds(std::string_view text, int64_t min, int64_t max) {
  double seconds = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(seconds)) {
    return Bad(text, "is not a number of seconds");
  }
  const double milliseconds = seconds * 1000;
  const bool in_range =
      milliseconds >= static_cast<double>(min) && milliseconds <= static_cast<double>(max);
  if (!in_range) {
    return Bad(text,
               "is not between " + SecondsText(min) + " and " + SecondsText(max) + " seconds");
  }
  const double whole = std::round(milliseconds);
  // Binary fractions: 0.001 * 1000 need not be 1.
  const bool finer = std::abs(milliseconds - whole) > 1e-5 || (whole == 0 && seconds != 0);
  if (finer) return Bad(text, "is finer than a millisecond");
  return static_cast<int64_t>(whole);
}

std::string SecondsText(int64_t milliseconds) {
  std::string text = absl::StrFormat("%d.%03d", milliseconds / 1000, milliseconds % 1000);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

absl::StatusOr<size_t> ParseChoice(std::string_view text,
                                   std::span<const std::string_view> choices) {
  std::string all;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (EqualsIgnoringCase(text, choices[i])) return i;
    all += (i == 0 ? "" : ", ") + std::string(choices[i]);
  }
  return Bad(text, "is none of " + all);
}

absl::Status CheckPath(std::string_view text) {
  if (HasControls(text)) return Bad(text, "has control characters");
  return IsUtf8(text) ? absl::OkStatus() : Bad(text, "is not UTF-8");
}

absl::Status CheckName(std::string_view text) {
  if (text.empty() || text.size() > kNameMax) {
    return Bad(text, absl::StrFormat("has not between 1 and %d bytes", kNameMax));
  }
  return CheckPath(text);
}

absl::StatusOr<Endpoint> ParseAddress(std::string_view text, const AddressRules& rules) {
  if (text.starts_with("unix:")) return ParseUnixPath(text, rules);
  const bool bracketed = text.starts_with('[');
  const size_t bracket = bracketed ? text.find(']') : 0;
  const size_t colon = bracket == std::string_view::npos ? bracket : text.find(':', bracket);
  if (colon == std::string_view::npos || (bracketed && colon != bracket + 1)) {
    return Bad(text, bracketed ? "is not [V6]:PORT" : "has no port (HOST:PORT)");
  }
  const std::string_view port_text = text.substr(colon + 1);
  if (!bracketed && port_text.find(':') != std::string_view::npos) {
    return Bad(text, "has more than one colon: an IPv6 address goes in brackets ([V6]:PORT)");
  }
  Endpoint endpoint{.host = bracketed ? text.substr(1, colon - 2) : text.substr(0, colon)};
  if (absl::Status status = CheckHost(text, endpoint.host, bracketed); !status.ok()) return status;
  if (endpoint.host.empty() && !rules.any_host) return Bad(text, "names no host (HOST:PORT)");

  const std::optional<int64_t> port = WholeNumber(port_text);
  const int port_min = rules.port_zero ? 0 : 1;
  if (!port.has_value() || *port < port_min || *port > 65535) {
    return Bad(text, absl::StrFormat("has no port between %d and 65535", port_min));
  }
  endpoint.port = static_cast<int>(*port);
  return endpoint;
}

absl::StatusOr<SniServer> ParseSniServer(std::string_view text) {
  constexpr size_t kHostNameMax = 253;
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return Bad(text, "is not NAME=ADDRESS");
  const std::string_view name = text.substr(0, equals);
  const bool is_host_name =
      name.size() <= kHostNameMax && std::all_of(name.begin(), name.end(), [](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
               c == '.' || c == '*';
      });
  if (!is_host_name || tls::NameTable<bool>().At(tls::NormalName(name)) == nullptr) {
    return Bad(text, "names no host, nor all of a domain (a.example.com, *.example.com)");
  }
  const std::string_view address = text.substr(equals + 1);
  const absl::StatusOr<Endpoint> endpoint = ParseAddress(address, {.unix_socket = true});
  if (!endpoint.ok()) return endpoint.status();
  return SniServer{name, address};
}

bool SamePlace(const Endpoint& a, const Endpoint& b) {
  if (!a.unix_path.empty() || !b.unix_path.empty()) return a.unix_path == b.unix_path;
  return a.port != 0 && a.port == b.port && EqualsIgnoringCase(a.host, b.host);
}

bool IsServedBy(const Endpoint& server, const Endpoint& listen) {
  if (!server.unix_path.empty() || server.port != listen.port) return false;
  // To connect to "all interfaces" is to connect to the loopback.
  const bool loopback4 = IsLoopback4(server.host) || server.host == "0.0.0.0";
  const bool loopback6 = server.host == "::1" || server.host == "::";
  if (listen.host.empty()) return loopback4 || loopback6;
  if (listen.host == "0.0.0.0") return loopback4;
  if (listen.host == "::") return loopback6;  // Listeners are one family each (IPV6_V6ONLY).
  return EqualsIgnoringCase(server.host, listen.host);
}

}  // namespace sallyport
