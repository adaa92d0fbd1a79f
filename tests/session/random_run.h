// Random conversations: whole ones, whose every choice comes from dice. Tests throw them from a
// seed; fuzz targets let the input decide.
#ifndef TESTS_SESSION_RANDOM_RUN_H_
#define TESTS_SESSION_RANDOM_RUN_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/session/packets.h"

namespace sallyport::tests {

class Dice {
 public:
  // Draw gives a number below its argument.
  using Draw = std::function<size_t(size_t bound)>;
  explicit Dice(Draw draw) : draw_(std::move(draw)) {}
  explicit Dice(uint32_t seed)
      : draw_([random = std::mt19937(seed)](size_t bound) mutable { return random() % bound; }) {}

  size_t Below(size_t bound) { return draw_(bound); }
  bool OneIn(size_t n) { return Below(n) == 0; }
  template <typename T>
  const T& Of(const std::vector<T>& choices) {
    return choices[Below(choices.size())];
  }
  std::string Bytes(size_t size_max) {
    std::string bytes(Below(size_max + 1), '\0');
    for (char& byte : bytes) byte = static_cast<char>(Below(256));
    return bytes;
  }
  std::string_view Plugin() {
    if (OneIn(12)) return Of<std::string_view>({"mysql_clear_password", "dialog", "unheard_of"});
    return Of<std::string_view>(
        {kCachingSha2, kCachingSha2, kSha256, kSha256, kNative, "client_ed25519"});
  }
  std::string_view Nonce() {
    return Of<std::string_view>({kGreetingNonce, kSwitchNonce, kOtherNonce, "short"});
  }
  // Mostly as it was.
  std::string Damaged(std::string bytes) {
    if (!bytes.empty() && OneIn(25)) bytes[Below(bytes.size())] = static_cast<char>(Below(256));
    if (OneIn(40)) bytes.resize(Below(bytes.size() + 1));
    if (OneIn(80)) bytes += Bytes(300);
    return bytes;
  }

 private:
  Draw draw_;
};

// RunTwoHostileSides: nothing may crash, no CHECK may fail, memory stays bounded.
void RunTwoHostileSides(Dice* dice);

// RunHonestClient: a client on TLS that does what the protocol asks of it, and a hostile server on
// plaintext TCP that says anything at any time. The password never gets there.
void RunHonestClient(Dice* dice);

}  // namespace sallyport::tests

#endif  // TESTS_SESSION_RANDOM_RUN_H_
