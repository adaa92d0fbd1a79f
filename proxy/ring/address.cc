#include "proxy/ring/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace sallyport {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Invalid(std::string_view text, std::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("'", View(text), "': ", View(reason)));
}

std::string UnixToString(const sockaddr_un& address, size_t size) {
  const size_t header = offsetof(sockaddr_un, sun_path);
  if (size <= header) return std::string(kUnixPrefix);
  std::string path(address.sun_path, size - header);
  // An abstract name begins with NUL and is as long as the address says; a path ends at its NUL.
  if (path[0] == '\0') {
    path[0] = '@';
  } else {
    path.resize(strnlen(path.data(), path.size()));
  }
  return absl::StrCat(View(kUnixPrefix), path);
}

absl::StatusOr<std::vector<Address>> ResolveUnix(std::string_view text) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path == "@") return Invalid(text, "a path is missing after unix:");
  if (path.find('\0') != path.npos) return Invalid(text, "a path has no NUL in it");
  if (path.size() >= sizeof(address.sun_path)) {
    return Invalid(text, absl::StrCat("the path of a unix socket has at most ",
                                      sizeof(address.sun_path) - 1, " bytes"));
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  size_t size = offsetof(sockaddr_un, sun_path) + path.size();
  if (path[0] == '@') {
    address.sun_path[0] = '\0';
  } else {
    size += 1;  // A path's size counts its NUL; an abstract name has none.
  }
  const sockaddr* const generic = reinterpret_cast<const sockaddr*>(&address);
  return std::vector<Address>{Address(generic, static_cast<socklen_t>(size))};
}

struct HostAndPort {
  std::string host;
  int port = 0;
  bool numeric = false;  // The host stood in brackets: an IPv6 address, no name.
};

absl::StatusOr<HostAndPort> Split(std::string_view text) {
  HostAndPort result;
  std::string_view port;
  if (!text.empty() && text[0] == '[') {
    const size_t end = text.find(']');
    if (end == text.npos) return Invalid(text, "a ] is missing");
    if (end + 1 >= text.size() || text[end + 1] != ':') {
      return Invalid(text, "a port is missing, as in [::1]:3306");
    }
    result.host = text.substr(1, end - 1);
    result.numeric = true;
    if (result.host.empty()) return Invalid(text, "an address is missing between [ and ]");
    port = text.substr(end + 2);
  } else {
    const size_t colon = text.rfind(':');
    if (colon == text.npos) return Invalid(text, "a port is missing, as in host:3306");
    result.host = text.substr(0, colon);
    if (result.host.find(':') != result.host.npos) {
      return Invalid(text, "an IPv6 address stands in brackets, as in [::1]:3306");
    }
    port = text.substr(colon + 1);
  }
  const bool digits = !port.empty() && std::all_of(port.begin(), port.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(View(port), &result.port) || result.port > 65535) {
    return Invalid(text, "the port is no number from 0 to 65535");
  }
  return result;
}

std::vector<Address> AllInterfaces(int port) {
  std::vector<Address> result;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<uint16_t>(port));
  result.emplace_back(reinterpret_cast<const sockaddr*>(&v4), sizeof(v4));
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return result;  // A kernel without IPv6.
  close(fd);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(static_cast<uint16_t>(port));
  result.emplace_back(reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
  return result;
}

}  // namespace

Address::Address(const sockaddr* address, socklen_t size)
    : size_(std::min<socklen_t>(size, sizeof(storage_))) {
  memcpy(&storage_, address, size_);
}

int Address::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  }
  return 0;
}

namespace {

bool IsNear(uint32_t v4) {
  struct Network {
    uint32_t prefix, mask;
  };
  constexpr Network kNetworks[] = {{0x7F000000, 0xFF000000},   // 127.0.0.0/8
                                   {0x0A000000, 0xFF000000},   // 10.0.0.0/8
                                   {0xAC100000, 0xFFF00000},   // 172.16.0.0/12
                                   {0xC0A80000, 0xFFFF0000},   // 192.168.0.0/16
                                   {0xA9FE0000, 0xFFFF0000}};  // 169.254.0.0/16
  return std::any_of(std::begin(kNetworks), std::end(kNetworks),
                     [v4](Network network) { return (v4 & network.mask) == network.prefix; });
}

}  // namespace

bool Address::is_near() const {
  if (family() == AF_INET) {
    return IsNear(ntohl(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr.s_addr));
  }
  if (family() != AF_INET6) return is_unix();
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    uint32_t v4;
    memcpy(&v4, v6.s6_addr + 12, sizeof(v4));
    return IsNear(ntohl(v4));
  }
  const bool unique_local = (v6.s6_addr[0] & 0xFE) == 0xFC;  // fc00::/7
  return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6) || unique_local;
}

std::string Address::ToString() const {
  char host[INET6_ADDRSTRLEN];
  switch (family()) {
    case AF_INET: {
      const sockaddr_in* const v4 = reinterpret_cast<const sockaddr_in*>(&storage_);
      inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
      return absl::StrCat(host, ":", port());
    }
    case AF_INET6: {
      const sockaddr_in6* const v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
      inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
      return absl::StrCat("[", host, "]:", port());
    }
    case AF_UNIX:
      return UnixToString(*reinterpret_cast<const sockaddr_un*>(&storage_), size_);
    default:
      return "-";
  }
}

absl::StatusOr<std::vector<Address>> ResolveAddress(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return ResolveUnix(text);
  const absl::StatusOr<HostAndPort> parts = Split(text);
  if (!parts.ok()) return parts.status();
  if (parts->host.empty()) return AllInterfaces(parts->port);

  addrinfo hints{};
  hints.ai_family = parts->numeric ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (parts->numeric ? AI_NUMERICHOST : 0);
  addrinfo* list = nullptr;
  const std::string port = absl::StrCat(parts->port);
  const int error = getaddrinfo(parts->host.c_str(), port.c_str(), &hints, &list);
  if (error != 0) {
    if (parts->numeric) return Invalid(text, "no IPv6 address stands in the brackets");
    return absl::UnavailableError(absl::StrCat("'", View(text), "': ", gai_strerror(error)));
  }
  std::vector<Address> result;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    result.emplace_back(at->ai_addr, at->ai_addrlen);
  }
  freeaddrinfo(list);
  return result;
}

}  // namespace sallyport
