// The addresses of a world's servers.
#ifndef TESTS_SIM_ADDRESSES_H_
#define TESTS_SIM_ADDRESSES_H_

#include <cstddef>

#include "proxy/ring/address.h"

namespace sallyport::sim {

inline constexpr size_t kServersMax = 4;

Address ServerAddressOf(size_t place, bool unix_server);
size_t ServerPlaceOf(const Address& address);

}  // namespace sallyport::sim

#endif  // TESTS_SIM_ADDRESSES_H_
