// What our callbacks need, kept by the SSL_CTX they are called for. An Engine outlives its Context
// and holds on to the SSL_CTX; so what an SSL_CTX refers to must live as long as that. Private to
// tls/.
#ifndef TLS_ATTACHMENT_H_
#define TLS_ATTACHMENT_H_

#include <openssl/base.h>

#include <memory>

namespace sallyport::tls {

enum class Slot { kTicketKeys, kClientAuth, kCertificates, kDeferringKey };

// Attach puts `object` into the slot, until `ctx` goes. Aborts without memory.
void Attach(SSL_CTX* ctx, Slot slot, std::shared_ptr<const void> object);

// Attached returns what was put there, which must have been a T; null where nothing was.
const void* Attached(const SSL_CTX* ctx, Slot slot);

template <typename T>
const T* AttachedAs(const SSL_CTX* ctx, Slot slot) {
  return static_cast<const T*>(Attached(ctx, slot));
}

}  // namespace sallyport::tls

#endif  // TLS_ATTACHMENT_H_
