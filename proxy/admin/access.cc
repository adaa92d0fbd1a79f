#include "proxy/admin/access.h"

#include <arpa/inet.h>

#include <array>
#include <string>

namespace sallyport {
namespace {

// host:port, [v6]:port, or either without the port.
std::string_view WithoutPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  const size_t bracket = host.rfind(']');
  const bool port = colon != host.npos && (bracket == host.npos || colon > bracket);
  return port ? host.substr(0, colon) : host;
}

bool IsAddress(std::string_view host) {
  if (host.find('\0') != host.npos) return false;  // inet_pton would read up to it.
  std::array<char, sizeof(in6_addr)> address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const std::string inner(host.substr(1, host.size() - 2));
    return inet_pton(AF_INET6, inner.c_str(), address.data()) == 1;
  }
  return inet_pton(AF_INET, std::string(host).c_str(), address.data()) == 1;
}

}  // namespace

bool MayRead(const AccessHeaders& headers) {
  if (!headers.host.has_value()) return false;
  const std::string_view host = WithoutPort(*headers.host);
  return host == "localhost" || IsAddress(host);
}

bool MayChange(const AccessHeaders& headers) {
  if (!MayRead(headers) || !headers.sallyport.has_value()) return false;
  if (headers.origin.has_value() && *headers.origin != "http://" + std::string(*headers.host)) {
    return false;
  }
  return !headers.fetch_site.has_value() || *headers.fetch_site == "same-origin" ||
         *headers.fetch_site == "none";
}

}  // namespace sallyport
