// Side: which of a connection's two sockets. Per-direction state is an array of two, indexed by it.
#ifndef PROXY_SIDE_H_
#define PROXY_SIDE_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace sallyport {

enum class Side : uint8_t { kClient = 0, kServer = 1 };

inline constexpr std::array<Side, 2> kBothSides = {Side::kClient, Side::kServer};

constexpr Side Other(Side side) { return side == Side::kClient ? Side::kServer : Side::kClient; }
constexpr size_t Index(Side side) { return static_cast<size_t>(side); }

// PerSide is an array of two that a Side indexes.
template <typename T>
struct PerSide {
  std::array<T, 2> values{};
  T& operator[](Side side) { return values[Index(side)]; }
  const T& operator[](Side side) const { return values[Index(side)]; }
};

}  // namespace sallyport

#endif  // PROXY_SIDE_H_
