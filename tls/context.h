// Context: a certificate, its key and the TLS settings of a listener, as all workers share them.
#ifndef TLS_CONTEXT_H_
#define TLS_CONTEXT_H_

#include <openssl/base.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "tls/certificate_info.h"

namespace sallyport::tls {

struct ContextOptions {
  std::string_view certificate_pem;  // The whole chain, leaf first.
  std::string_view private_key_pem;
  int64_t now = 0;  // Unix seconds: what the validity period is held against.
  // Engines ask for the signatures of an RSA key (0.6 ms for one of 2048 bits), so that another
  // thread can make them. Other keys cost little: Engines sign with those themselves.
  bool defer_signatures = false;
};

// Context is immutable after Create and may be used by all threads at once; Engines keep a
// reference to what they need of it. TLS 1.2 and 1.3 with three ciphers: AES-128-GCM first, then
// ChaCha20-Poly1305, then AES-256-GCM (in TLS 1.3 the library takes the client's order, or ChaCha20
// where the machine has no AES instructions). X25519 (hybrid with ML-KEM-768 where the library has
// it), P-256, P-384. Tickets are under keys of the Context's own, so that a client resumes on any
// worker, and a new Context (a reload) means one full handshake. No renegotiation, compression,
// early data, client certificates; ALPN is ignored.
class Context {
 public:
  // Create checks everything that can be known before a client comes. PEM blocks of other kinds are
  // skipped, so certificate and key may come from one file, in any order; a key may be PKCS#8,
  // PKCS#1 or SEC1. kInvalidArgument, with a message fit for an operator ("the key does not match
  // the certificate (CN=db)", "the certificate expired on 2025-01-31 12:00 UTC", ...; never any
  // part of the key), when: no certificate or key in the PEM, more than one key, an encrypted key,
  // a mismatch, a certificate of the chain expired or not yet valid, a chain whose parts do not
  // follow each other or over 24 KiB of DER, an RSA key under 2048 or over 8192 bits, a key that is
  // neither RSA, ECDSA (P-256, P-384, P-521) nor Ed25519.
  static absl::StatusOr<std::unique_ptr<Context>> Create(const ContextOptions& options);

  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const CertificateInfo& certificate() const { return certificate_; }
  bool defers_signatures() const { return deferred_key_ != nullptr; }
  SSL_CTX* ssl_ctx() const { return ssl_ctx_.get(); }             // For Engine only.
  EVP_PKEY* deferred_key() const { return deferred_key_.get(); }  // Likewise.

 private:
  Context();

  bssl::UniquePtr<SSL_CTX> ssl_ctx_;
  bssl::UniquePtr<EVP_PKEY> deferred_key_;  // Null where Engines sign.
  CertificateInfo certificate_;
};

}  // namespace sallyport::tls

#endif  // TLS_CONTEXT_H_
