// Deferral: signatures that the library asks for and somebody else makes. Private to tls/.
#ifndef TLS_DEFERRAL_H_
#define TLS_DEFERRAL_H_

#include <openssl/base.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tls/signature.h"

namespace sallyport::tls {

// DeferSignatures makes connections that `ctx`'s certificate is chosen for ask their Deferral for
// signatures with `key`, and keeps the key. REQUIRES: `ctx` has its certificate already, since that
// is what the library holds the method against; every such connection has a Deferral.
void DeferSignatures(bssl::UniquePtr<EVP_PKEY> key, SSL_CTX* ctx);

// Deferral is one connection's, while its handshake lasts. Which key is asked for is the SSL_CTX's
// affair that the connection has by then, for a client's name may have changed that.
class Deferral {
 public:
  // `ssl` refers to the Deferral until that goes, and has to outlive it.
  explicit Deferral(SSL* ssl);
  ~Deferral();
  Deferral(const Deferral&) = delete;
  Deferral& operator=(const Deferral&) = delete;

  // wanted: the handshake stands still until Finish.
  bool wanted() const { return state_ == State::kWanted || state_ == State::kUnderWay; }

  // As Engine's calls of like names. REQUIRES: wanted(); TakeRequest: once.
  SignatureRequest TakeRequest();
  void Finish(std::span<const uint8_t> signature);

  // TakeFailure: whether the library was told that there is no signature; once.
  bool TakeFailure();

 private:
  friend struct DeferringKey;  // The library's way to here.
  enum class State { kNone, kWanted, kUnderWay, kFinished, kFailed };

  SSL* ssl_;
  State state_ = State::kNone;
  std::optional<SignatureRequest> request_;
  std::vector<uint8_t> signature_;
};

}  // namespace sallyport::tls

#endif  // TLS_DEFERRAL_H_
