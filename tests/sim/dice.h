// Dice: every decision of a simulated world, from its seed.
#ifndef TESTS_SIM_DICE_H_
#define TESTS_SIM_DICE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace sallyport::sim {

// SplitMix64: the same numbers on every machine and with every library.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9E37'79B9'7F4A'7C15;
    z = (z ^ (z >> 30)) * 0xBF58'476D'1CE4'E5B9;
    z = (z ^ (z >> 27)) * 0x94D0'49BB'1331'11EB;
    return z ^ (z >> 31);
  }
  size_t Below(size_t bound) { return static_cast<size_t>(Next() % bound); }
  size_t Between(size_t least, size_t most) { return least + Below(most - least + 1); }
  bool OneIn(size_t n) { return Below(n) == 0; }
  // Size: 1 to `most`, as often under 2^k as over it on the way there.
  size_t Size(size_t most) {
    const size_t bits = static_cast<size_t>(std::bit_width(most));
    const size_t bound = size_t{1} << Between(1, bits);
    const size_t size = 1 + Below(bound);
    return size < most ? size : most;
  }
  template <typename T>
  T Of(std::initializer_list<T> choices) {
    return choices.begin()[Below(choices.size())];
  }

 private:
  uint64_t state_;
};

// Pattern is `size` bytes that `seed` determines: another seed, or another place in it, is seen.
inline std::string Pattern(uint64_t seed, size_t size) {
  std::string bytes((size + 7) / 8 * 8, '\0');
  Dice dice(seed);
  for (size_t at = 0; at < bytes.size(); at += 8) {
    const uint64_t word = dice.Next();
    __builtin_memcpy(bytes.data() + at, &word, sizeof(word));
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace sallyport::sim

#endif  // TESTS_SIM_DICE_H_
