#include "tls/client_auth.h"

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tls/attachment.h"
#include "tls/library_error.h"
#include "tls/pem.h"
#include "tls/require.h"
#include "tls/x509_text.h"

namespace sallyport::tls {
namespace {

// A client's whole chain is in its tickets, and a ClientHello that brings one back must stay under
// the library's 16 KiB for a message. Real chains have 1 to 6 KiB.
constexpr size_t kChainBytesMax = 12 * 1024;

// The names of the CAs help a client that has several certificates to choose. They are in the
// server's flight, which must fit Engine::kHandshakeRoom; a longer list is left out, and that means
// "any".
constexpr size_t kAuthorityNamesBytesMax = 2 * 1024;

constexpr int kDepthMax = 16;

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

std::string NameOf(const X509_NAME* name) { return NameText(name, NameOrder::kCertificates); }

// KeepFirst keeps in `*first` the earliest of the times it is called with; 0 is none.
void KeepFirst(int64_t time, int64_t* first) {
  if (time != 0 && (*first == 0 || time < *first)) {
    *first = time;
  }
}

// AnchorNeedsNoList lets pass that there is no revocation list for the certificate at the chain's
// end: it is trusted because the operator said so, and nobody else's word is asked.
int AnchorNeedsNoList(int ok, X509_STORE_CTX* store_ctx) {
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(store_ctx);
  const bool is_anchor = chain != nullptr && X509_STORE_CTX_get_error_depth(store_ctx) + 1 ==
                                                 static_cast<int>(sk_X509_num(chain));
  if (!ok && is_anchor && X509_STORE_CTX_get_error(store_ctx) == X509_V_ERR_UNABLE_TO_GET_CRL) {
    X509_STORE_CTX_set_error(store_ctx, X509_V_OK);
    return 1;
  }
  return ok;
}

}  // namespace

struct ClientAuthCallback {
  // Parses the chain and verifies it; X509_V_OK or why not. The leaf's end goes to `*not_after`.
  static int Verify(const ClientAuth& auth, const STACK_OF(CRYPTO_BUFFER) * chain, int64_t now,
                    int64_t* not_after) {
    bssl::UniquePtr<X509> leaf;
    bssl::UniquePtr<STACK_OF(X509)> others(sk_X509_new_null());
    size_t total = 0;
    for (size_t i = 0; i < sk_CRYPTO_BUFFER_num(chain); ++i) {
      CRYPTO_BUFFER* buffer = sk_CRYPTO_BUFFER_value(chain, i);
      total += CRYPTO_BUFFER_len(buffer);
      bssl::UniquePtr<X509> x509(total <= kChainBytesMax ? X509_parse_from_buffer(buffer)
                                                         : nullptr);
      if (x509 == nullptr) {
        return X509_V_ERR_CERT_REJECTED;
      }
      if (i == 0) {
        leaf = std::move(x509);
      } else {
        Require(bssl::PushToStack(others.get(), std::move(x509)), "ClientAuth: memory");
      }
    }
    bssl::UniquePtr<X509_STORE_CTX> store_ctx(X509_STORE_CTX_new());
    if (leaf == nullptr || store_ctx == nullptr || others == nullptr ||
        !X509_STORE_CTX_init(store_ctx.get(), auth.store_.get(), leaf.get(), others.get()) ||
        !X509_STORE_CTX_set_purpose(store_ctx.get(), X509_PURPOSE_SSL_CLIENT)) {
      return X509_V_ERR_UNSPECIFIED;
    }
    X509_STORE_CTX_set_time(store_ctx.get(), 0, static_cast<time_t>(now));
    if (X509_verify_cert(store_ctx.get()) != 1) {
      const int error = X509_STORE_CTX_get_error(store_ctx.get());
      return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
    }
    // Counted here: the library's own count has changed by one over the years.
    const size_t length = sk_X509_num(X509_STORE_CTX_get0_chain(store_ctx.get()));
    if (length > static_cast<size_t>(auth.depth_) + 2) {
      return X509_V_ERR_CERT_CHAIN_TOO_LONG;
    }
    return ToUnixSeconds(X509_get0_notAfter(leaf.get()), not_after) ? X509_V_OK
                                                                    : X509_V_ERR_UNSPECIFIED;
  }

  static ssl_verify_result_t Run(SSL* ssl, uint8_t* alert) {
    const ClientAuth* auth = AttachedAs<ClientAuth>(SSL_get_SSL_CTX(ssl), Slot::kClientAuth);
    // The session was begun a moment ago, by the library's clock.
    SSL_SESSION* session = SSL_get_session(ssl);
    const int64_t now = static_cast<int64_t>(SSL_SESSION_get_time(session));
    int64_t not_after = 0;
    const int error = Verify(*auth, SSL_get0_peer_certificates(ssl), now, &not_after);
    ERR_clear_error();  // What is left there would make the library's next answer an error.
    if (error != X509_V_OK) {
      *alert = static_cast<uint8_t>(SSL_alert_from_verify_result(error));
      AddReason(X509_verify_cert_error_string(error));
      return ssl_verify_invalid;
    }
    // Whoever resumes isn't verified again, so what he resumes must not outlive the certificate.
    const int64_t rest = std::max<int64_t>(not_after - now, 0);
    const int64_t timeout = std::min<int64_t>(SSL_SESSION_get_timeout(session), rest);
    SSL_SESSION_set_timeout(session, static_cast<uint32_t>(timeout));
    return ssl_verify_ok;
  }
};

ClientAuth::ClientAuth() = default;
ClientAuth::~ClientAuth() = default;

absl::Status ClientAuth::ReadAuthorities(std::string_view pem) {
  absl::StatusOr<std::vector<PemBlock>> blocks = ReadPem(pem);
  if (!blocks.ok()) {
    return Invalid(absl::StrCat("the CA certificates can't be read: ", blocks.status().message()));
  }
  for (const PemBlock& block : *blocks) {
    if (!IsCertificate(block)) {
      continue;
    }
    const std::span<const uint8_t> der = block.der.bytes();
    bssl::UniquePtr<CRYPTO_BUFFER> buffer(CRYPTO_BUFFER_new(der.data(), der.size(), nullptr));
    bssl::UniquePtr<X509> x509(buffer == nullptr ? nullptr : X509_parse_from_buffer(buffer.get()));
    if (x509 == nullptr || !X509_STORE_add_cert(store_.get(), x509.get())) {
      return Invalid(absl::StrCat("CA certificate ", authorities_.size() + 1,
                                  " can't be read: ", TakeLibraryError()));
    }
    int64_t not_after = 0;
    if (ToUnixSeconds(X509_get0_notAfter(x509.get()), &not_after)) {
      KeepFirst(not_after, &authorities_not_after_);
    }
    authorities_.push_back(std::move(x509));
  }
  return authorities_.empty() ? Invalid("no CA certificate in the PEM") : absl::OkStatus();
}

absl::Status ClientAuth::ReadRevocations(std::string_view pem, int64_t now) {
  absl::StatusOr<std::vector<PemBlock>> blocks = ReadPem(pem);
  if (!blocks.ok()) {
    return Invalid(absl::StrCat("the revocation lists can't be read: ", blocks.status().message()));
  }
  size_t number = 0;
  for (const PemBlock& block : *blocks) {
    if (block.label != "X509 CRL") {
      continue;
    }
    ++number;
    const uint8_t* der = block.der.bytes().data();
    const long size = static_cast<long>(block.der.bytes().size());  // NOLINT(runtime/int)
    bssl::UniquePtr<X509_CRL> crl(d2i_X509_CRL(nullptr, &der, size));
    if (crl == nullptr) {
      return Invalid(
          absl::StrCat("revocation list ", number, " can't be read: ", TakeLibraryError()));
    }
    if (absl::Status status = AddRevocations(crl.get(), number, now); !status.ok()) {
      return status;
    }
  }
  return number == 0 ? Invalid("no revocation list in the PEM") : absl::OkStatus();
}

absl::Status ClientAuth::AddRevocations(X509_CRL* crl, size_t number, int64_t now) {
  X509_NAME* issuer = X509_CRL_get_issuer(crl);
  const std::string name = absl::StrCat("revocation list ", number, " (", NameOf(issuer), ")");
  const bool is_signed = std::any_of(
      authorities_.begin(), authorities_.end(), [&](const bssl::UniquePtr<X509>& authority) {
        bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(authority.get()));
        return X509_NAME_cmp(issuer, X509_get_subject_name(authority.get())) == 0 &&
               key != nullptr && X509_CRL_verify(crl, key.get()) == 1;
      });
  if (!is_signed) {
    return Invalid(absl::StrCat(name, " isn't signed by one of the CA certificates"));
  }
  int64_t from = 0;
  int64_t to = 0;
  if (!ToUnixSeconds(X509_CRL_get0_lastUpdate(crl), &from)) {
    return Invalid(absl::StrCat(name, " has no readable date"));
  }
  if (now < from) {
    return Invalid(absl::StrCat(name, " is not valid before ", FormatUtc(from)));
  }
  const ASN1_TIME* next = X509_CRL_get0_nextUpdate(crl);  // Null: it never runs out.
  if (next != nullptr && ToUnixSeconds(next, &to) && now > to) {
    return Invalid(absl::StrCat(name, " ran out on ", FormatUtc(to)));
  }
  KeepFirst(to, &revocations_not_after_);
  return X509_STORE_add_crl(store_.get(), crl)
             ? absl::OkStatus()
             : Invalid(absl::StrCat(name, " can't be used: ", TakeLibraryError()));
}

absl::StatusOr<std::shared_ptr<const ClientAuth>> ClientAuth::Create(
    const ClientAuthOptions& options, int64_t now) {
  LibraryErrors errors;
  Require(options.mode != ClientCertificates::kOff, "ClientAuth::Create: a mode other than kOff");
  if (options.depth < 0 || options.depth > kDepthMax) {
    return Invalid(absl::StrCat("the depth of client certificates is ", options.depth,
                                "; it may be 0 to ", kDepthMax));
  }
  std::shared_ptr<ClientAuth> auth(new ClientAuth);
  auth->mode_ = options.mode;
  auth->depth_ = options.depth;
  auth->store_.reset(X509_STORE_new());
  Require(auth->store_ != nullptr, "ClientAuth: memory");
  if (absl::Status status = auth->ReadAuthorities(options.ca_pem); !status.ok()) {
    return status;
  }
  unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;  // NOLINT(runtime/int): the library's type.
  if (!options.crl_pem.empty()) {
    if (absl::Status status = auth->ReadRevocations(options.crl_pem, now); !status.ok()) {
      return status;
    }
    flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
    X509_STORE_set_verify_cb(auth->store_.get(), AnchorNeedsNoList);
  }
  X509_STORE_set_flags(auth->store_.get(), flags);
  X509_STORE_set_depth(auth->store_.get(), kDepthMax + 2);  // Verify counts for itself.
  std::string all = absl::StrCat(static_cast<int>(options.mode), " ", options.depth, " ",
                                 options.ca_pem.size(), " ");
  all.append(options.ca_pem).append(options.crl_pem);
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(all.data()), all.size(), digest);
  auth->digest_.assign(reinterpret_cast<const char*>(digest), sizeof(digest));
  return auth;
}

void AskForCertificates(std::shared_ptr<const ClientAuth> auth, SSL_CTX* ctx) {
  LibraryErrors errors;
  bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> names(sk_CRYPTO_BUFFER_new_null());
  size_t total = 0;
  for (const bssl::UniquePtr<X509>& authority : auth->authorities_) {
    uint8_t* der = nullptr;
    const int size = i2d_X509_NAME(X509_get_subject_name(authority.get()), &der);
    bssl::UniquePtr<uint8_t> own(der);
    Require(names != nullptr && size > 0, "ClientAuth: memory");
    total += static_cast<size_t>(size);
    bssl::UniquePtr<CRYPTO_BUFFER> name(CRYPTO_BUFFER_new(der, static_cast<size_t>(size), nullptr));
    Require(bssl::PushToStack(names.get(), std::move(name)), "ClientAuth: memory");
  }
  if (total <= kAuthorityNamesBytesMax) {
    SSL_CTX_set0_client_CAs(ctx, names.release());
  }
  SSL_CTX_set_max_cert_list(ctx, kChainBytesMax);
  const bool required = auth->mode_ == ClientCertificates::kRequired;
  SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                            ClientAuthCallback::Run);
  Attach(ctx, Slot::kClientAuth, std::move(auth));
}

void ShareCertificates(SSL_CTX* ctx) {
  // The process's, because connections outlive Contexts. It holds what connections hold.
  static CRYPTO_BUFFER_POOL* const pool = CRYPTO_BUFFER_POOL_new();
  Require(pool != nullptr, "ShareCertificates: memory");
  SSL_CTX_set0_buffer_pool(ctx, pool);
}

}  // namespace sallyport::tls
