// AddressLimiter: what each client's address has of each listener, and whether it may have more.
// For all threads; README.md says how its memory is bounded.
#ifndef PROXY_LIMITER_ADDRESS_LIMITER_H_
#define PROXY_LIMITER_ADDRESS_LIMITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "proxy/proxy_protocol/ip_address.h"

namespace sallyport {

// Of one address. 0: no limit.
struct AddressLimits {
  uint32_t connections = 0;             // Open at once.
  uint32_t connections_per_second = 0;  // On average; a second's worth may come at once.
  uint32_t handshakes_per_second = 0;   // TLS; likewise.
  // So many failures within block_ms of the first block the address for block_ms. A log-in that
  // succeeds forgives nothing: whoever guesses may have an account of his own.
  uint32_t login_failures = 0;
  uint32_t block_ms = 0;

  bool any() const {
    return connections > 0 || connections_per_second > 0 || handshakes_per_second > 0 ||
           login_failures > 0;
  }
};

// Who is counted as one, on one listener.
struct AddressKey {
  uint64_t prefix = 0;
  uint32_t listener = 0;
  bool v4 = false;

  AddressKey() = default;
  AddressKey(const IpAddress& address, uint32_t listener);
  friend bool operator==(const AddressKey&, const AddressKey&) = default;
};

class AddressLimiter {
 public:
  enum class Answer : uint8_t { kWelcome, kTooMany, kTooFast, kTooManyHandshakes, kBlocked };
  struct Admission {
    Answer answer = Answer::kWelcome;
    bool counted = false;  // Leave is due, once.
  };

  // places: how many addresses are remembered at most; a power of two, and at least kWays. seed: of
  // the hash; not to be guessed.
  AddressLimiter(size_t places, uint64_t seed);
  ~AddressLimiter();
  AddressLimiter(const AddressLimiter&) = delete;
  AddressLimiter& operator=(const AddressLimiter&) = delete;

  // Admit answers a new connection, and counts it where it is welcome. now_ms of different threads
  // may differ a little.
  Admission Admit(const AddressKey& key, const AddressLimits& limits, uint64_t now_ms);
  void Leave(const AddressKey& key);

  // Of an address that was counted in and has not left.
  bool MayHandshake(const AddressKey& key, const AddressLimits& limits, uint64_t now_ms);
  void CountHandshake(const AddressKey& key, const AddressLimits& limits, uint64_t now_ms);
  // CountLoginFailure: true if the address is blocked by it.
  bool CountLoginFailure(const AddressKey& key, const AddressLimits& limits, uint64_t now_ms);

  static constexpr size_t kWays = 8;

 private:
  struct Entry;
  struct Locked;  // The places of a key, and the lock on them.

  Locked Lock(const AddressKey& key);

  static constexpr size_t kLocks = 64;
  const size_t sets_;
  const uint64_t seed_;
  const std::unique_ptr<Entry[]> entries_;
  const std::unique_ptr<std::mutex[]> locks_;
};

}  // namespace sallyport

#endif  // PROXY_LIMITER_ADDRESS_LIMITER_H_
