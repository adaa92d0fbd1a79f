#include "tests/sim/addresses.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <string>

namespace sallyport::sim {
namespace {

constexpr int kFirstPort = 3306;

}  // namespace

Address ServerAddressOf(size_t place, bool unix_server) {
  if (unix_server) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, ("/simulated" + std::to_string(place)).c_str());
    return Address(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(kFirstPort + static_cast<int>(place)));
  return Address(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

size_t ServerPlaceOf(const Address& address) {
  if (!address.is_unix()) return static_cast<size_t>(address.port() - kFirstPort);
  return static_cast<size_t>(address.ToString().back() - '0');
}

}  // namespace sallyport::sim
