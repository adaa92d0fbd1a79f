#include "tls/attachment.h"

#include <openssl/ex_data.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <utility>

#include "tls/require.h"

namespace sallyport::tls {
namespace {

using Slots = std::array<std::shared_ptr<const void>, 4>;

void Free(void*, void* slots, CRYPTO_EX_DATA*, int, long, void*) {  // NOLINT(runtime/int)
  delete static_cast<Slots*>(slots);
}

int Index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, Free);
  Require(index >= 0, "Attach: memory");
  return index;
}

}  // namespace

void Attach(SSL_CTX* ctx, Slot slot, std::shared_ptr<const void> object) {
  Slots* slots = static_cast<Slots*>(SSL_CTX_get_ex_data(ctx, Index()));
  if (slots == nullptr) {
    slots = new Slots;
    Require(SSL_CTX_set_ex_data(ctx, Index(), slots), "Attach: memory");
  }
  (*slots)[static_cast<size_t>(slot)] = std::move(object);
}

const void* Attached(const SSL_CTX* ctx, Slot slot) {
  const Slots* slots = static_cast<const Slots*>(SSL_CTX_get_ex_data(ctx, Index()));
  return slots == nullptr ? nullptr : (*slots)[static_cast<size_t>(slot)].get();
}

}  // namespace sallyport::tls
