#include "tls/deferral.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "tls/attachment.h"
#include "tls/require.h"

namespace sallyport::tls {

// DeferringKey stands in the private key's place: it notes what is to be signed, and later hands
// over what somebody made of it.
struct DeferringKey {
  using State = Deferral::State;

  bssl::UniquePtr<EVP_PKEY> key;

  static Deferral* Of(SSL* ssl) { return static_cast<Deferral*>(SSL_get_app_data(ssl)); }

  static ssl_private_key_result_t Sign(SSL* ssl, uint8_t*, size_t*, size_t, uint16_t algorithm,
                                       const uint8_t* in, size_t size) {
    Deferral* deferral = Of(ssl);
    const auto* own = AttachedAs<DeferringKey>(SSL_get_SSL_CTX(ssl), Slot::kDeferringKey);
    deferral->state_ = State::kWanted;
    deferral->request_.emplace(own->key.get(), algorithm, std::span(in, size));
    return ssl_private_key_retry;
  }

  static ssl_private_key_result_t Complete(SSL* ssl, uint8_t* out, size_t* size, size_t size_max) {
    Deferral* deferral = Of(ssl);
    const std::vector<uint8_t> signature = std::exchange(deferral->signature_, {});
    if (signature.empty() || signature.size() > size_max) {
      deferral->state_ = State::kFailed;
      return ssl_private_key_failure;
    }
    std::copy(signature.begin(), signature.end(), out);
    *size = signature.size();
    return ssl_private_key_success;
  }

  // No cipher of ours has a key exchange that decrypts.
  static ssl_private_key_result_t Decrypt(SSL*, uint8_t*, size_t*, size_t, const uint8_t*, size_t) {
    return ssl_private_key_failure;
  }

  static constexpr SSL_PRIVATE_KEY_METHOD kMethod = {Sign, Decrypt, Complete};
};

void DeferSignatures(bssl::UniquePtr<EVP_PKEY> key, SSL_CTX* ctx) {
  // Some versions of the library drop their own reference to the key now, so this is the one.
  SSL_CTX_set_private_key_method(ctx, &DeferringKey::kMethod);
  auto own = std::make_shared<DeferringKey>();
  own->key = std::move(key);
  Attach(ctx, Slot::kDeferringKey, std::move(own));
}

Deferral::Deferral(SSL* ssl) : ssl_(ssl) {
  Require(SSL_set_app_data(ssl, this), "Deferral: memory");
}

Deferral::~Deferral() { SSL_set_app_data(ssl_, nullptr); }

SignatureRequest Deferral::TakeRequest() {
  Require(state_ == State::kWanted, "Engine::TakeSignatureRequest: once");
  state_ = State::kUnderWay;
  SignatureRequest request = *std::move(request_);
  request_.reset();
  return request;
}

void Deferral::Finish(std::span<const uint8_t> signature) {
  Require(wanted(), "Engine::FinishSignature: a signature is wanted");
  state_ = State::kFinished;
  signature_.assign(signature.begin(), signature.end());
}

bool Deferral::TakeFailure() {
  if (state_ != State::kFailed) {
    return false;
  }
  state_ = State::kNone;
  return true;
}

}  // namespace sallyport::tls
