#include "tls/ticket_keys.h"

#include <openssl/base64.h>
#include <openssl/cipher.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tls/attachment.h"
#include "tls/library_error.h"
#include "tls/text.h"

namespace sallyport::tls {
namespace {

constexpr size_t kNameSize = 16;
constexpr size_t kIvSize = 16;  // AES's block.
constexpr size_t kShortKeySize = kNameSize + 16 + 16;
constexpr size_t kLongKeySize = kNameSize + 32 + 32;

// What the library's callback may return.
constexpr int kFailed = -1;
constexpr int kUnknownKey = 0;  // A full handshake follows.
constexpr int kUsed = 1;
constexpr int kUsedAndOld = 2;  // The client gets a new ticket, also in TLS 1.2.

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

const EVP_CIPHER* CipherOf(const Secret& aes) {
  return aes.bytes().size() == 32 ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
}

bool InitHmac(HMAC_CTX* hmac, const Secret& key) {
  return HMAC_Init_ex(hmac, key.bytes().data(), key.bytes().size(), EVP_sha256(), nullptr);
}

// Decode is empty where `line` is no base64.
Secret Decode(std::string_view line) {
  Secret decoded(line.size());  // More than enough.
  size_t size = 0;
  if (!EVP_DecodeBase64(decoded.bytes().data(), &size, decoded.bytes().size(),
                        reinterpret_cast<const uint8_t*>(line.data()), line.size())) {
    return Secret();
  }
  return Secret(decoded.bytes().first(size));
}

}  // namespace

struct TicketCallback {
  static int Run(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac,
                 int encrypt) {
    const TicketKeys* keys = AttachedAs<TicketKeys>(SSL_get_SSL_CTX(ssl), Slot::kTicketKeys);
    if (!encrypt) {
      return keys->ForTicket(name, iv, cipher, hmac);
    }
    // A session that is put into a ticket has just been made, by the library's clock: that is our
    // time. (One that TLS 1.2 renews is older; that postpones a rotation, and nothing else.)
    const int64_t now = static_cast<int64_t>(SSL_SESSION_get_time(SSL_get_session(ssl)));
    return keys->ForNewTicket(now, name, iv, cipher, hmac);
  }
};

TicketKeys::Key TicketKeys::Split(Secret key) {
  const std::span<const uint8_t> bytes = key.bytes();
  const size_t size = (bytes.size() - kNameSize) / 2;
  Key split;
  std::copy_n(bytes.begin(), kNameSize, split.name.begin());
  split.aes = Secret(bytes.subspan(kNameSize, size));
  split.hmac = Secret(bytes.subspan(kNameSize + size));
  return split;
}

TicketKeys::Key TicketKeys::MakeKey() {
  Secret random(kLongKeySize);
  RAND_bytes(random.bytes().data(), random.bytes().size());  // Never fails; aborts.
  return Split(std::move(random));
}

std::shared_ptr<TicketKeys> TicketKeys::Make(int64_t now) {
  std::shared_ptr<TicketKeys> keys(new TicketKeys);
  keys->rotates_ = true;
  keys->rotate_at_ = now + kSecondsPerKey;
  keys->keys_.push_back(MakeKey());
  return keys;
}

absl::StatusOr<std::shared_ptr<TicketKeys>> TicketKeys::Read(std::string_view text) {
  LibraryErrors errors;
  std::shared_ptr<TicketKeys> keys(new TicketKeys);
  size_t number = 0;
  size_t count = 0;
  for (const std::string_view line : SplitAt(text, '\n')) {
    ++number;
    if (line.empty()) {
      continue;
    }
    Secret key = Decode(line);
    const size_t size = key.bytes().size();
    if (key.empty()) {
      return Invalid(absl::StrCat("line ", number, " of the ticket keys is no base64"));
    }
    if (size != kShortKeySize && size != kLongKeySize) {
      return Invalid(absl::StrCat("line ", number, " of the ticket keys has ", size,
                                  " bytes; a key has ", kLongKeySize, " or ", kShortKeySize));
    }
    ++count;
    keys->keys_.insert(keys->keys_.begin(), Split(std::move(key)));
    if (keys->keys_.size() > kKeysMax) {
      keys->keys_.pop_back();
    }
  }
  if (count < kKeysMin) {
    return Invalid(absl::StrCat("the ticket keys have ", count, count == 1 ? " line" : " lines",
                                "; at least ", kKeysMin,
                                " are needed, of which the one before the last makes tickets"));
  }
  keys->current_ = 1;
  return keys;
}

void TicketKeys::RotateWhenDue(int64_t now) const {
  if (!rotates_ || now < rotate_at_.load(std::memory_order_relaxed)) {
    return;
  }
  std::unique_lock<std::shared_mutex> lock(mutex_);
  const int64_t due = rotate_at_.load(std::memory_order_relaxed);
  if (now < due) {
    return;  // Another thread was first.
  }
  // A former key is one of the last day. Where nobody came for longer, there is none.
  keys_.insert(keys_.begin(), MakeKey());
  keys_.resize(now - due < kSecondsPerKey ? 2 : 1);
  rotate_at_.store(now + kSecondsPerKey, std::memory_order_relaxed);
}

int TicketKeys::ForNewTicket(int64_t now, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher,
                             HMAC_CTX* hmac) const {
  RotateWhenDue(now);
  std::shared_lock<std::shared_mutex> lock(mutex_, std::defer_lock);
  if (rotates_) {
    lock.lock();
  }
  const Key& key = keys_[current_];
  std::copy(key.name.begin(), key.name.end(), name);
  RAND_bytes(iv, kIvSize);
  const bool ok = InitHmac(hmac, key.hmac) && EVP_EncryptInit_ex(cipher, CipherOf(key.aes), nullptr,
                                                                 key.aes.bytes().data(), iv);
  return ok ? kUsed : kFailed;
}

int TicketKeys::ForTicket(const uint8_t* name, const uint8_t* iv, EVP_CIPHER_CTX* cipher,
                          HMAC_CTX* hmac) const {
  std::shared_lock<std::shared_mutex> lock(mutex_, std::defer_lock);
  if (rotates_) {
    lock.lock();
  }
  for (size_t i = 0; i < keys_.size(); ++i) {
    const Key& key = keys_[i];
    if (!std::equal(key.name.begin(), key.name.end(), name)) {
      continue;
    }
    const bool ok =
        InitHmac(hmac, key.hmac) &&
        EVP_DecryptInit_ex(cipher, CipherOf(key.aes), nullptr, key.aes.bytes().data(), iv);
    // A newer key than ours means that another machine's rotation came first: no reason to renew.
    return !ok ? kFailed : i <= current_ ? kUsed : kUsedAndOld;
  }
  return kUnknownKey;
}

void UseTicketKeys(std::shared_ptr<const TicketKeys> keys, SSL_CTX* ctx) {
  Attach(ctx, Slot::kTicketKeys, std::move(keys));
  SSL_CTX_set_tlsext_ticket_key_cb(ctx, TicketCallback::Run);
}

}  // namespace sallyport::tls
