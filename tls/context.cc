#include "tls/context.h"

#include <openssl/evp.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tls/certificate.h"
#include "tls/certificate_set.h"
#include "tls/deferral.h"
#include "tls/library_error.h"

namespace sallyport::tls {
namespace {

// The library's own list without its last resort, SHA-1.
constexpr uint16_t kSignatures[] = {
    SSL_SIGN_ED25519,          SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256,
    SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PKCS1_SHA384, SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_RSA_PSS_RSAE_SHA512,
    SSL_SIGN_RSA_PKCS1_SHA512,
};

struct Certificate {
  Chain chain;
  bssl::UniquePtr<EVP_PKEY> key;
};

// Shared is what all certificates of a Context have in common.
struct Shared {
  const Settings& settings;
  std::shared_ptr<const TicketKeys> ticket_keys;
  std::shared_ptr<const ClientAuth> client_auth;  // Null where clients aren't asked.
  bool defer_signatures;
};

bool IsDeferred(const Certificate& certificate, const Shared& shared) {
  return shared.defer_signatures && EVP_PKEY_id(certificate.key.get()) == EVP_PKEY_RSA;
}

// What a ticket is good for: see Context.
bool SetTicketScope(const Certificate& certificate, const ClientAuth* auth, SSL_CTX* ctx) {
  const std::string scope = absl::StrCat("sallyport", NamesDigest(certificate.chain),
                                         auth == nullptr ? "" : auth->digest());
  uint8_t digest[SHA256_DIGEST_LENGTH];
  static_assert(sizeof(digest) <= SSL_MAX_SID_CTX_LENGTH);
  SHA256(reinterpret_cast<const uint8_t*>(scope.data()), scope.size(), digest);
  return SSL_CTX_set_session_id_context(ctx, digest, sizeof(digest));
}

bool Configure(SSL_CTX* ctx) {
  if (!SSL_CTX_set_signing_algorithm_prefs(ctx, kSignatures, std::size(kSignatures)) ||
      !SSL_CTX_set_verify_algorithm_prefs(ctx, kSignatures, std::size(kSignatures)) ||
      // MySQL clients keep one ticket and use it again; a second is bytes for nothing.
      !SSL_CTX_set_num_tickets(ctx, 1)) {
    return false;
  }
  // Tickets only: a cache would be memory per client and a lock between workers.
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_early_data_enabled(ctx, 0);  // Can be replayed; a login must not be.
  return true;
}

bool Install(SSL_CTX* ctx, const Chain& chain, EVP_PKEY* key) {
  std::vector<CRYPTO_BUFFER*> buffers;
  for (const bssl::UniquePtr<CRYPTO_BUFFER>& buffer : chain.der) {
    buffers.push_back(buffer.get());
  }
  return SSL_CTX_set_chain_and_key(ctx, buffers.data(), buffers.size(), key, nullptr);
}

absl::StatusOr<Certificate> ReadCertificate(const PemPair& pems, int64_t now) {
  absl::StatusOr<Chain> chain = ReadChain(pems.certificate_pem);
  if (!chain.ok()) {
    return chain.status();
  }
  absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> key = ReadPrivateKey(pems.private_key_pem);
  if (!key.ok()) {
    return key.status();
  }
  for (const absl::Status& status :
       {CheckKeyIsLeafs(*chain, key->get()), CheckOrder(*chain), CheckValidity(*chain, now)}) {
    if (!status.ok()) {
      return status;
    }
  }
  return Certificate{*std::move(chain), *std::move(key)};
}

absl::StatusOr<bssl::UniquePtr<SSL_CTX>> MakeSslCtx(const Certificate& certificate,
                                                    const Shared& shared) {
  // "With buffers": certificates stay the bytes they are; no connection parses or holds an X509.
  bssl::UniquePtr<SSL_CTX> ctx(SSL_CTX_new(TLS_with_buffers_method()));
  if (ctx == nullptr || !Configure(ctx.get()) ||
      !SetTicketScope(certificate, shared.client_auth.get(), ctx.get())) {
    return absl::InternalError(absl::StrCat("TLS can't be set up: ", TakeLibraryError()));
  }
  if (absl::Status status = ApplySettings(shared.settings, ctx.get()); !status.ok()) {
    return status;
  }
  if (!Install(ctx.get(), certificate.chain, certificate.key.get())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate can't serve TLS: ", TakeLibraryError()));
  }
  if (IsDeferred(certificate, shared)) {
    DeferSignatures(bssl::UpRef(certificate.key), ctx.get());
  }
  UseTicketKeys(shared.ticket_keys, ctx.get());
  if (shared.client_auth != nullptr) {
    AskForCertificates(shared.client_auth, ctx.get());
    ShareCertificates(ctx.get());
  }
  return ctx;
}

absl::Status InPair(const absl::Status& status, size_t number, size_t count) {
  return count == 1
             ? status
             : absl::Status(status.code(), absl::StrCat("pair ", number, ": ", status.message()));
}

absl::StatusOr<std::vector<Certificate>> ReadCertificates(const ContextOptions& options) {
  std::vector<PemPair> pairs = {{options.certificate_pem, options.private_key_pem}};
  pairs.insert(pairs.end(), options.more_certificates.begin(), options.more_certificates.end());
  std::vector<Certificate> certificates;
  for (const PemPair& pair : pairs) {
    absl::StatusOr<Certificate> certificate = ReadCertificate(pair, options.now);
    if (!certificate.ok()) {
      return InPair(certificate.status(), certificates.size() + 1, pairs.size());
    }
    certificates.push_back(*std::move(certificate));
  }
  return certificates;
}

}  // namespace

absl::Status CheckPair(const PemPair& pair, int64_t now) {
  LibraryErrors errors;
  return ReadCertificate(pair, now).status();
}

Context::Context() = default;
Context::~Context() = default;

absl::StatusOr<std::unique_ptr<Context>> Context::Create(const ContextOptions& options) {
  LibraryErrors errors;
  absl::StatusOr<std::vector<Certificate>> certificates = ReadCertificates(options);
  if (!certificates.ok()) {
    return certificates.status();
  }
  Shared shared{options.settings, options.ticket_keys, nullptr, options.defer_signatures};
  if (shared.ticket_keys == nullptr) {
    shared.ticket_keys = TicketKeys::Make(options.now);
  }
  if (options.client_auth.mode != ClientCertificates::kOff) {
    absl::StatusOr<std::shared_ptr<const ClientAuth>> auth =
        ClientAuth::Create(options.client_auth, options.now);
    if (!auth.ok()) {
      return auth.status();
    }
    shared.client_auth = *std::move(auth);
  }
  std::unique_ptr<Context> context(new Context);
  context->ticket_keys_ = shared.ticket_keys;
  context->client_auth_ = shared.client_auth;
  std::shared_ptr<CertificateSet> set = std::make_shared<CertificateSet>();
  bool ecdsa = false;
  bool rsa = false;
  for (const Certificate& certificate : *certificates) {
    absl::StatusOr<bssl::UniquePtr<SSL_CTX>> ctx = MakeSslCtx(certificate, shared);
    if (!ctx.ok()) {
      return ctx.status();
    }
    context->defers_signatures_ |= IsDeferred(certificate, shared);
    (EVP_PKEY_id(certificate.key.get()) == EVP_PKEY_RSA ? rsa : ecdsa) = true;
    context->certificates_.push_back(Describe(certificate.chain, certificate.key.get()));
    if (context->ssl_ctx_ == nullptr) {
      context->ssl_ctx_ = bssl::UpRef(*ctx);
    }
    set->Add(*std::move(ctx), context->certificates_.back());
  }
  SSL_CTX* ctx = context->ssl_ctx_.get();
  if (absl::Status status = CheckCiphersFit(ctx, ecdsa, rsa); !status.ok()) {
    return status;
  }
  if (certificates->size() > 1) {
    ChooseByName(std::move(set), ctx);
  }
  return context;
}

}  // namespace sallyport::tls
