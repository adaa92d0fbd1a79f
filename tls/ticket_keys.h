// TicketKeys: the keys that tickets are made and read with.
#ifndef TLS_TICKET_KEYS_H_
#define TLS_TICKET_KEYS_H_

#include <openssl/base.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tls/secret.h"

namespace sallyport::tls {

// TicketKeys may be shared by Contexts and used by all threads at once: a ticket made by one
// Context is good with another of the same keys, certificate and demands on clients. Keys are wiped
// when they go.
class TicketKeys {
 public:
  // Make makes keys that stay in memory. After each day new tickets are made under a new key; the
  // former reads for another day, and is then wiped. (The day passes when a ticket is made, by the
  // library's clock. Whoever takes the memory can read what was recorded under the keys in it.)
  // Give the former Context's to a new one, so that clients resume after a reload.
  static std::shared_ptr<TicketKeys> Make(int64_t now);
  static constexpr int64_t kSecondsPerKey = 86400;

  // Read reads keys that machines share, in the form of HAProxy's tls-ticket-keys: a key a line in
  // base64, oldest first. A key is 80 bytes (name 16, AES-256 32, HMAC-SHA256 32) or 48 (name 16,
  // AES-128 16, HMAC-SHA256 16); the lengths may be mixed. As with HAProxy the line before the last
  // makes tickets, so that a new last line can reach all machines before the next rotation puts it
  // to use; and as with HAProxy, fewer than three lines are refused, for then one of the three
  // roles (next, current, former) would be missing, and each rotation would cost full handshakes.
  // All lines read, up to the last kKeysMax. Empty lines are skipped.
  //
  // kInvalidArgument with a message for the operator, which names the line and holds no byte of it:
  // not base64, another length, fewer than three keys. The caller wipes `text`.
  static absl::StatusOr<std::shared_ptr<TicketKeys>> Read(std::string_view text);
  static constexpr size_t kKeysMin = 3;
  static constexpr size_t kKeysMax = 16;

  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

 private:
  friend struct TicketCallback;  // The library's way to here.

  struct Key {
    std::array<uint8_t, 16> name;  // Goes with each ticket in clear.
    Secret aes;                    // 16 or 32 bytes.
    Secret hmac;
  };

  TicketKeys() = default;
  static Key Split(Secret key);
  static Key MakeKey();
  void RotateWhenDue(int64_t now) const;

  // Both return what the library's callback is to return.
  int ForNewTicket(int64_t now, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher,
                   HMAC_CTX* hmac) const;
  int ForTicket(const uint8_t* name, const uint8_t* iv, EVP_CIPHER_CTX* cipher,
                HMAC_CTX* hmac) const;

  // Read's keys never change and need no lock. Make's are looked at under a shared one, as the
  // library does with its own, and change once a day.
  bool rotates_ = false;
  mutable std::shared_mutex mutex_;
  mutable std::atomic<int64_t> rotate_at_ = 0;
  mutable std::vector<Key> keys_;  // Newest first.
  size_t current_ = 0;             // The one that makes tickets.
};

// UseTicketKeys makes `ctx` use `keys`, and keeps them.
void UseTicketKeys(std::shared_ptr<const TicketKeys> keys, SSL_CTX* ctx);

}  // namespace sallyport::tls

#endif  // TLS_TICKET_KEYS_H_
