#include "tls/context.h"

#include <openssl/evp.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tls/certificate.h"
#include "tls/library_error.h"

namespace sallyport::tls {
namespace {

// TLS 1.2 suites in our order. No CBC: its padding has been attacked time and again, and every
// MySQL or MariaDB client that speaks TLS 1.2 with a library of this decade has GCM. No RSA key
// exchange: whoever steals the key must not read what was recorded before. (TLS 1.3 has these three
// ciphers only, and BoringSSL takes the client's order among them, or ChaCha20 without AES
// instructions.)
constexpr char kTls12Ciphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384";

// P-384 costs several times P-256, so it is last: for clients under rules that allow nothing else.
// The hybrid first, where the library has it (2024 and later): what is recorded today stays secret
// from tomorrow's quantum computers, for 30 us a handshake.
constexpr char kGroups[] = "X25519:P-256:P-384";
constexpr char kHybridGroups[] = "X25519MLKEM768:X25519:P-256:P-384";

// The library's own list without its last resort, SHA-1.
constexpr uint16_t kSignatures[] = {
    SSL_SIGN_ED25519,          SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256,
    SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384,
    SSL_SIGN_RSA_PKCS1_SHA384, SSL_SIGN_ECDSA_SECP521R1_SHA512, SSL_SIGN_RSA_PSS_RSAE_SHA512,
    SSL_SIGN_RSA_PKCS1_SHA512,
};

// A ticket is only good for the application it was made for; this names ours.
constexpr uint8_t kSessionIdContext[] = {'s', 'a', 'l', 'l', 'y', 'p', 'o', 'r', 't'};

bool Configure(SSL_CTX* ctx) {
  if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
      !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
      !SSL_CTX_set_strict_cipher_list(ctx, kTls12Ciphers) ||
      !(SSL_CTX_set1_curves_list(ctx, kHybridGroups) || SSL_CTX_set1_curves_list(ctx, kGroups)) ||
      !SSL_CTX_set_signing_algorithm_prefs(ctx, kSignatures, std::size(kSignatures)) ||
      !SSL_CTX_set_session_id_context(ctx, kSessionIdContext, sizeof(kSessionIdContext)) ||
      // MySQL clients keep one ticket and use it again; a second is bytes for nothing.
      !SSL_CTX_set_num_tickets(ctx, 1)) {
    return false;
  }
  // Our order, not the client's. This covers ciphers of TLS 1.2 and groups.
  SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Tickets only: a cache would be memory per client and a lock between workers. The library makes
  // the ticket keys with the SSL_CTX and changes them every two days by itself.
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

}  // namespace

Context::Context() = default;
Context::~Context() = default;

absl::StatusOr<std::unique_ptr<Context>> Context::Create(const ContextOptions& options) {
  LibraryErrors errors;
  absl::StatusOr<Chain> chain = ReadChain(options.certificate_pem);
  if (!chain.ok()) {
    return chain.status();
  }
  absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> key = ReadPrivateKey(options.private_key_pem);
  if (!key.ok()) {
    return key.status();
  }
  for (const absl::Status& status : {CheckKeyIsLeafs(*chain, key->get()), CheckOrder(*chain),
                                     CheckValidity(*chain, options.now)}) {
    if (!status.ok()) {
      return status;
    }
  }
  std::unique_ptr<Context> context(new Context);
  // "With buffers": certificates stay the bytes they are; no connection parses or holds an X509.
  context->ssl_ctx_.reset(SSL_CTX_new(TLS_with_buffers_method()));
  if (context->ssl_ctx_ == nullptr || !Configure(context->ssl_ctx_.get())) {
    return absl::InternalError(absl::StrCat("TLS can't be set up: ", TakeLibraryError()));
  }
  if (!Install(context->ssl_ctx_.get(), *chain, key->get())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate can't serve TLS: ", TakeLibraryError()));
  }
  context->certificate_ = Describe(*chain, key->get());
  if (options.defer_signatures && EVP_PKEY_id(key->get()) == EVP_PKEY_RSA) {
    context->deferred_key_ = *std::move(key);
  }
  return context;
}

}  // namespace sallyport::tls
