#include "proxy/limiter/address_limiter.h"

#include <algorithm>
#include <span>

#include "absl/hash/hash.h"
#include "packet/check.h"

namespace sallyport {
namespace {

using Answer = AddressLimiter::Answer;

constexpr uint64_t kSecondUs = 1'000'000;

// A bucket that holds a second's worth, kept as the time at which it is full again.
class Rate {
 public:
  bool May(uint32_t per_second, uint64_t now_us) const {
    return per_second == 0 || full_us_ <= now_us + kSecondUs - kSecondUs / per_second;
  }
  void Take(uint32_t per_second, uint64_t now_us) {
    if (per_second > 0) full_us_ = std::max(full_us_, now_us) + kSecondUs / per_second;
  }
  uint64_t full_ms() const { return full_us_ / 1000; }

 private:
  uint64_t full_us_ = 0;
};

}  // namespace

// What isn't there is all zeros. One cache line.
struct alignas(64) AddressLimiter::Entry {
  AddressKey key;
  bool used = false;
  uint32_t open = 0;
  uint32_t failures = 0;
  Rate connections;
  Rate handshakes;
  uint64_t failures_end_ms = 0;  // When they are forgotten.
  uint64_t blocked_end_ms = 0;

  // When there is nothing left to remember.
  uint64_t end_ms() const {
    return std::max({connections.full_ms(), handshakes.full_ms(),
                     failures > 0 ? failures_end_ms : 0, blocked_end_ms});
  }
};

struct AddressLimiter::Locked {
  std::unique_lock<std::mutex> lock;
  std::span<Entry> places;

  Entry* Find(const AddressKey& key) {
    const auto found = std::find_if(places.begin(), places.end(), [&](const Entry& entry) {
      return entry.used && entry.key == key;
    });
    return found == places.end() ? nullptr : &*found;
  }
  // The place that is missed least. Null: all of them have connections open.
  Entry* Spare() {
    Entry* spare = nullptr;
    for (Entry& entry : places) {
      if (!entry.used) return &entry;
      if (entry.open > 0) continue;
      if (spare == nullptr || entry.end_ms() < spare->end_ms()) spare = &entry;
    }
    return spare;
  }
};

AddressKey::AddressKey(const IpAddress& address, uint32_t on_listener)
    : listener(on_listener), v4(address.is_v4()) {
  // An IPv6 address's first half, all of an IPv4 one.
  constexpr size_t kSize = sizeof(prefix);
  for (size_t i = 0; i < kSize; ++i) {
    prefix = prefix << 8 | address.bytes[v4 ? address.bytes.size() - kSize + i : i];
  }
}

AddressLimiter::AddressLimiter(size_t places, uint64_t seed)
    : sets_(places / kWays),
      seed_(seed),
      entries_(std::make_unique<Entry[]>(places)),
      locks_(std::make_unique<std::mutex[]>(kLocks)) {
  SALLYPORT_CHECK(places >= kWays && (places & (places - 1)) == 0);
}

AddressLimiter::~AddressLimiter() = default;

AddressLimiter::Locked AddressLimiter::Lock(const AddressKey& key) {
  const size_t hash = absl::HashOf(seed_, key.prefix, key.listener, key.v4);
  const size_t set = hash & (sets_ - 1);
  return {std::unique_lock(locks_[set % kLocks]), std::span(&entries_[set * kWays], kWays)};
}

AddressLimiter::Admission AddressLimiter::Admit(const AddressKey& key, const AddressLimits& limits,
                                                uint64_t now_ms) {
  const uint64_t now_us = now_ms * 1000;
  Locked locked = Lock(key);
  Entry* entry = locked.Find(key);
  if (entry == nullptr) {
    entry = locked.Spare();
    if (entry == nullptr) return {Answer::kWelcome, false};
    *entry = {};
    entry->key = key;
    entry->used = true;
  }
  if (limits.login_failures > 0 && now_ms < entry->blocked_end_ms) return {Answer::kBlocked, false};
  if (limits.connections > 0 && entry->open >= limits.connections) {
    return {Answer::kTooMany, false};
  }
  if (!entry->connections.May(limits.connections_per_second, now_us)) {
    return {Answer::kTooFast, false};
  }
  if (!entry->handshakes.May(limits.handshakes_per_second, now_us)) {
    return {Answer::kTooManyHandshakes, false};
  }
  entry->connections.Take(limits.connections_per_second, now_us);
  ++entry->open;
  return {Answer::kWelcome, true};
}

void AddressLimiter::Leave(const AddressKey& key) {
  Locked locked = Lock(key);
  Entry* entry = locked.Find(key);
  SALLYPORT_CHECK(entry != nullptr && entry->open > 0);
  --entry->open;
}

bool AddressLimiter::MayHandshake(const AddressKey& key, const AddressLimits& limits,
                                  uint64_t now_ms) {
  Locked locked = Lock(key);
  const Entry* entry = locked.Find(key);
  SALLYPORT_CHECK(entry != nullptr);
  return entry->handshakes.May(limits.handshakes_per_second, now_ms * 1000);
}

void AddressLimiter::CountHandshake(const AddressKey& key, const AddressLimits& limits,
                                    uint64_t now_ms) {
  Locked locked = Lock(key);
  Entry* entry = locked.Find(key);
  SALLYPORT_CHECK(entry != nullptr);
  entry->handshakes.Take(limits.handshakes_per_second, now_ms * 1000);
}

bool AddressLimiter::CountLoginFailure(const AddressKey& key, const AddressLimits& limits,
                                       uint64_t now_ms) {
  if (limits.login_failures == 0) return false;
  Locked locked = Lock(key);
  Entry* entry = locked.Find(key);
  SALLYPORT_CHECK(entry != nullptr);
  if (entry->failures == 0 || now_ms >= entry->failures_end_ms) {
    entry->failures = 0;
    entry->failures_end_ms = now_ms + limits.block_ms;
  }
  if (++entry->failures < limits.login_failures) return false;
  entry->failures = 0;
  entry->blocked_end_ms = now_ms + limits.block_ms;
  return true;
}

}  // namespace sallyport
