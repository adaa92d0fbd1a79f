// Context: a certificate, its key and the TLS settings of a listener, as all workers share them.
#ifndef TLS_CONTEXT_H_
#define TLS_CONTEXT_H_

#include <openssl/base.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::tls {

struct ContextOptions {
  std::string_view certificate_pem;  // The whole chain, leaf first.
  std::string_view private_key_pem;
  int64_t now = 0;  // Unix seconds: what the validity period is held against.
};

// What the certificate says, for logs and metrics.
struct CertificateInfo {
  std::string subject;
  std::vector<std::string> dns_names;
  std::string key_type;    // "ECDSA P-256", "RSA 2048", ...
  int64_t not_after = 0;   // Unix seconds.
  size_t chain_length = 0;
};

// Context is immutable after Create and may be used by all threads at once; Engines keep a reference
// to what they need of it. TLS 1.2 and 1.3; AES-128-GCM first, then ChaCha20-Poly1305 and
// AES-256-GCM; X25519 and P-256; tickets under keys of the Context's own, so that a client resumes
// on any worker. No renegotiation, no compression, no early data.
class Context {
 public:
  // Create checks everything that can be known before a client comes. kInvalidArgument, with a
  // message fit for an operator ("the key does not match the certificate", "the certificate expired
  // on 2025-01-31 12:00 UTC", ...; never any part of the key), when: no certificate or key in the PEM,
  // more than one key, an encrypted key, a mismatch, expired or not yet valid, a chain whose parts do
  // not follow each other, an RSA key under 2048 bits, a key type that can't sign.
  static absl::StatusOr<std::unique_ptr<Context>> Create(const ContextOptions& options);

  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const CertificateInfo& certificate() const { return certificate_; }
  SSL_CTX* ssl_ctx() const { return ssl_ctx_.get(); }  // For Engine only.

 private:
  Context();

  bssl::UniquePtr<SSL_CTX> ssl_ctx_;
  CertificateInfo certificate_;
};

}  // namespace sallyport::tls

#endif  // TLS_CONTEXT_H_
