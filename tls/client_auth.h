// ClientAuth: what a Context asks of clients' certificates.
#ifndef TLS_CLIENT_AUTH_H_
#define TLS_CLIENT_AUTH_H_

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::tls {

enum class ClientCertificates {
  kOff,       // Clients aren't asked for one.
  kOptional,  // One that is sent must be good; none will do.
  kRequired,
};

struct ClientAuthOptions {
  ClientCertificates mode = ClientCertificates::kOff;
  std::string_view ca_pem = {};  // Whom to trust: roots, or CAs below them.
  // Empty: nobody asks whether a certificate was revoked. Else every certificate of a client's
  // chain needs a list by its issuer here that hasn't run out; those of ca_pem itself need none.
  std::string_view crl_pem = {};
  int depth = 4;  // CAs between a client's certificate and the one that is trusted, at most.
};

// ClientAuth is immutable and shared by all threads.
class ClientAuth {
 public:
  // Create reads the PEM blocks. kInvalidArgument, with a message for the operator, when: ca_pem
  // has no certificate, or one that can't be read; crl_pem is not empty and has no list, or one
  // that can't be read, isn't signed by a CA of ca_pem, or at `now` (Unix seconds) has run out or
  // isn't yet valid; the depth is not within 0 and 16. REQUIRES: a mode other than kOff.
  static absl::StatusOr<std::shared_ptr<const ClientAuth>> Create(const ClientAuthOptions& options,
                                                                  int64_t now);
  ~ClientAuth();
  ClientAuth(const ClientAuth&) = delete;
  ClientAuth& operator=(const ClientAuth&) = delete;

  // digest is a SHA-256 over all of the options. A ticket stands in for a certificate that was
  // verified; under other options it would have to be verified anew.
  const std::string& digest() const { return digest_; }

  // When the first of the CA certificates expires, and the first of the revocation lists runs out:
  // from then on clients that need it are refused. Unix seconds; 0: none does.
  int64_t authorities_not_after() const { return authorities_not_after_; }
  int64_t revocations_not_after() const { return revocations_not_after_; }

 private:
  friend struct ClientAuthCallback;  // The library's way to here.
  friend void AskForCertificates(std::shared_ptr<const ClientAuth>, SSL_CTX*);

  ClientAuth();
  absl::Status ReadAuthorities(std::string_view pem);
  absl::Status ReadRevocations(std::string_view pem, int64_t now);
  absl::Status AddRevocations(X509_CRL* crl, size_t number, int64_t now);

  ClientCertificates mode_ = ClientCertificates::kOff;
  int depth_ = 0;
  int64_t authorities_not_after_ = 0;
  int64_t revocations_not_after_ = 0;
  bssl::UniquePtr<X509_STORE> store_;
  std::vector<bssl::UniquePtr<X509>> authorities_;
  std::string digest_;
};

// AskForCertificates makes `ctx` ask clients for certificates and verify them, and keeps `auth`.
// A client that fails gets the alert that fits (unknown_ca, certificate_expired,
// certificate_revoked, bad_certificate, unsupported_certificate, decrypt_error; without a
// certificate certificate_required, or in TLS 1.2 handshake_failure), and the queue an error whose
// text says why. A session ends with the certificate at the latest, and so do its tickets.
void AskForCertificates(std::shared_ptr<const ClientAuth> auth, SSL_CTX* ctx);

// ShareCertificates makes connections with the same client certificate hold it but once. An
// application's many connections have one certificate, of 1 to 4 KB with its chain, which is kept
// for as long as the connection (and in its tickets) to say who it is.
void ShareCertificates(SSL_CTX* ctx);

}  // namespace sallyport::tls

#endif  // TLS_CLIENT_AUTH_H_
