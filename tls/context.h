// Context: a certificate, its key and the TLS settings of a listener, as all workers share them.
#ifndef TLS_CONTEXT_H_
#define TLS_CONTEXT_H_

#include <openssl/base.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tls/certificate_info.h"
#include "tls/client_auth.h"
#include "tls/settings.h"
#include "tls/ticket_keys.h"

namespace sallyport::tls {

struct PemPair {
  std::string_view certificate_pem;  // The whole chain, leaf first.
  std::string_view private_key_pem;
};

// CheckPair says what Context::Create would of this pair alone, without "pair 2: ".
absl::Status CheckPair(const PemPair& pair, int64_t now);

struct ContextOptions {
  std::string_view certificate_pem;  // The whole chain, leaf first.
  std::string_view private_key_pem;
  int64_t now = 0;  // Unix seconds: what the validity period is held against.
  // Engines ask for the signatures of an RSA key (0.6 ms for one of 2048 bits), so that another
  // thread can make them. Other keys cost little: Engines sign with those themselves.
  bool defer_signatures = false;

  // Further certificates, from which clients choose by name (tls/certificate_set.h says how); the
  // one above is the default.
  std::vector<PemPair> more_certificates = {};
  Settings settings = {};
  ClientAuthOptions client_auth = {};
  // Null: new ones, in memory. A reload hands over ticket_keys() of the Context before, so that
  // clients resume.
  std::shared_ptr<const TicketKeys> ticket_keys = nullptr;
};

// Context is immutable after Create and may be used by all threads at once; Engines keep a
// reference to what they need of it. TLS 1.2 and 1.3 with three ciphers, X25519 (hybrid with
// ML-KEM-768 where the library has it), P-256, P-384, unless the settings narrow it down. No
// renegotiation, compression or early data; ALPN is ignored.
//
// A ticket stands in for a handshake, so it is good only where that handshake would have come to
// the same: with a certificate of the same names, since the client looked at those and won't
// again, and with the same demands on the client's certificate, since nobody looks at that again
// either. Both are in the session id context, which the library compares. So a ticket got under one
// name doesn't resume under another certificate's; after a reload with another CA, another
// revocation list or a stricter mode everybody shakes hands in full; and a certificate that was
// renewed, or has another key, or that another machine has for the same names, costs nobody his
// ticket.
class Context {
 public:
  // Create checks everything that can be known before a client comes. PEM blocks of other kinds are
  // skipped, so certificate and key may come from one file, in any order; a key may be PKCS#8,
  // PKCS#1 or SEC1. kInvalidArgument, with a message fit for an operator ("the key does not match
  // the certificate (CN=db)", "the certificate expired on 2025-01-31 12:00 UTC", ...; never any
  // part of the key), when: no certificate or key in the PEM, more than one key, an encrypted key,
  // a mismatch, a certificate of the chain expired or not yet valid, a chain whose parts do not
  // follow each other or over 24 KiB of DER, an RSA key under 2048 or over 8192 bits, a key that is
  // neither RSA, ECDSA (P-256, P-384, P-521) nor Ed25519. With more than one certificate such a
  // message begins with "pair 2: ". And when settings or client_auth are refused (tls/settings.h,
  // tls/client_auth.h), or no cipher for TLS 1.2 goes with any certificate's key.
  static absl::StatusOr<std::unique_ptr<Context>> Create(const ContextOptions& options);

  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // certificate is the default; certificates are all, in the order of the options.
  const CertificateInfo& certificate() const { return certificates_[0]; }
  const std::vector<CertificateInfo>& certificates() const { return certificates_; }
  const std::shared_ptr<const TicketKeys>& ticket_keys() const { return ticket_keys_; }
  // client_auth: null where clients aren't asked.
  const std::shared_ptr<const ClientAuth>& client_auth() const { return client_auth_; }
  // defers_signatures: for one of the certificates at least.
  bool defers_signatures() const { return defers_signatures_; }
  SSL_CTX* ssl_ctx() const { return ssl_ctx_.get(); }  // For Engine only.

 private:
  Context();

  bssl::UniquePtr<SSL_CTX> ssl_ctx_;
  std::vector<CertificateInfo> certificates_;
  std::shared_ptr<const TicketKeys> ticket_keys_;
  std::shared_ptr<const ClientAuth> client_auth_;
  bool defers_signatures_ = false;
};

}  // namespace sallyport::tls

#endif  // TLS_CONTEXT_H_
