#include "tls/certificate_set.h"

#include <openssl/bytestring.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

#include "tls/attachment.h"
#include "tls/require.h"

namespace sallyport::tls {
namespace {

// What a key, by the beginning of its CertificateInfo::key_type, can sign. In order of their cost.
struct KeyKind {
  std::string_view type;
  std::vector<uint16_t> algorithms;
  std::vector<uint16_t> tls12_algorithms;
  int cipher_nid;  // Of the ciphers in TLS 1.2.
  uint16_t tls12_group;
};

const std::vector<KeyKind>& KeyKinds() {
  // In TLS 1.2 an ECDSA algorithm is a hash, on any curve.
  static const std::vector<uint16_t>* const ecdsa =
      new std::vector<uint16_t>{SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384,
                                SSL_SIGN_ECDSA_SECP521R1_SHA512};
  static const std::vector<KeyKind>* const kinds = new std::vector<KeyKind>{
      {"ECDSA P-256",
       {SSL_SIGN_ECDSA_SECP256R1_SHA256},
       *ecdsa,
       NID_auth_ecdsa,
       SSL_CURVE_SECP256R1},
      {"Ed25519", {SSL_SIGN_ED25519}, {SSL_SIGN_ED25519}, NID_auth_ecdsa, 0},
      {"ECDSA P-384",
       {SSL_SIGN_ECDSA_SECP384R1_SHA384},
       *ecdsa,
       NID_auth_ecdsa,
       SSL_CURVE_SECP384R1},
      {"ECDSA P-521",
       {SSL_SIGN_ECDSA_SECP521R1_SHA512},
       *ecdsa,
       NID_auth_ecdsa,
       SSL_CURVE_SECP521R1},
      {"RSA",
       {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA512},
       {SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA512,
        SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_RSA_PKCS1_SHA384, SSL_SIGN_RSA_PKCS1_SHA512},
       NID_auth_rsa,
       0}};
  return *kinds;
}

// A cursor over u16s: false at the end.
bool NextIn(CBS* list, const std::vector<uint16_t>& wanted) {
  uint16_t value = 0;
  while (CBS_get_u16(list, &value)) {
    if (std::find(wanted.begin(), wanted.end(), value) != wanted.end()) {
      return true;
    }
  }
  return false;
}

// Extension is the extension's body; empty where the hello has none.
CBS Extension(const SSL_CLIENT_HELLO* hello, uint16_t type) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  CBS body;
  CBS_init(&body, nullptr, 0);
  if (SSL_early_callback_ctx_extension_get(hello, type, &data, &size)) {
    CBS_init(&body, data, size);
  }
  return body;
}

bool WillBeTls13(const SSL_CLIENT_HELLO* hello) {
  CBS body = Extension(hello, TLSEXT_TYPE_supported_versions);
  CBS versions;
  return SSL_CTX_get_max_proto_version(SSL_get_SSL_CTX(hello->ssl)) >= TLS1_3_VERSION &&
         CBS_get_u8_length_prefixed(&body, &versions) && NextIn(&versions, {TLS1_3_VERSION});
}

}  // namespace

CertificateSet::~CertificateSet() = default;

void CertificateSet::Add(bssl::UniquePtr<SSL_CTX> ctx, const CertificateInfo& info) {
  auto certificate = std::make_unique<Certificate>();
  certificate->ctx = ctx.get();
  certificate->own = std::move(ctx);
  for (const KeyKind& kind : KeyKinds()) {
    if (info.key_type.starts_with(kind.type)) {
      certificate->algorithms = kind.algorithms;
      certificate->tls12_algorithms = kind.tls12_algorithms;
      certificate->tls12_group = kind.tls12_group;
      for (const SSL_CIPHER* cipher : SSL_CTX_get_ciphers(certificate->ctx)) {
        if (SSL_CIPHER_get_auth_nid(cipher) == kind.cipher_nid) {
          certificate->tls12_ciphers.push_back(SSL_CIPHER_get_protocol_id(cipher));
        }
      }
      break;
    }
    ++certificate->cost;
  }
  const auto insert = [&](Group* group) {
    group->insert(std::upper_bound(
                      group->begin(), group->end(), certificate.get(),
                      [](const Certificate* a, const Certificate* b) { return a->cost < b->cost; }),
                  certificate.get());
  };
  std::vector<std::string> names = info.dns_names;
  if (names.empty() && !info.common_name.empty()) {
    names.push_back(info.common_name);
  }
  for (const std::string& each : names) {
    const std::string name = NormalName(each);
    Group* const group = groups_.At(name);
    if (group == nullptr) {
      continue;
    }
    insert(group);
    if (certificates_.empty() && default_name_.empty()) {
      default_name_ = name;
    }
  }
  certificates_.push_back(std::move(certificate));
}

struct CertificateChoice {
  using Certificate = CertificateSet::Certificate;

  static bool CanServe(const Certificate& certificate, const SSL_CLIENT_HELLO* hello, bool tls13) {
    CBS body = Extension(hello, TLSEXT_TYPE_signature_algorithms);
    CBS algorithms;
    if (!CBS_get_u16_length_prefixed(&body, &algorithms) ||
        !NextIn(&algorithms, tls13 ? certificate.algorithms : certificate.tls12_algorithms)) {
      return false;
    }
    if (tls13) {
      return true;
    }
    CBS ciphers;
    CBS_init(&ciphers, hello->cipher_suites, hello->cipher_suites_len);
    body = Extension(hello, TLSEXT_TYPE_supported_groups);
    CBS groups;
    return NextIn(&ciphers, certificate.tls12_ciphers) &&
           (certificate.tls12_group == 0 || !CBS_get_u16_length_prefixed(&body, &groups) ||
            NextIn(&groups, {certificate.tls12_group}));
  }

  static const Certificate* Choose(const CertificateSet& set, std::string_view name,
                                   const SSL_CLIENT_HELLO* hello) {
    const bool tls13 = WillBeTls13(hello);
    const CertificateSet::Group* exact = set.groups_.FindExact(name);
    const CertificateSet::Group* wildcard = set.groups_.FindWildcard(name);
    if (exact == nullptr && wildcard == nullptr) {
      exact = &set.default_;
    }
    for (const CertificateSet::Group* group : {exact, wildcard}) {
      for (size_t i = 0; group != nullptr && i < group->size(); ++i) {
        if (CanServe(*(*group)[i], hello, tls13)) {
          return (*group)[i];
        }
      }
    }
    return exact != nullptr ? exact->front() : wildcard->front();
  }

  static ssl_select_cert_result_t Run(const SSL_CLIENT_HELLO* hello) {
    const CertificateSet* set =
        AttachedAs<CertificateSet>(SSL_get_SSL_CTX(hello->ssl), Slot::kCertificates);
    const char* sni = SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
    const Certificate* chosen = Choose(*set, NormalName(sni == nullptr ? "" : sni), hello);
    return SSL_set_SSL_CTX(hello->ssl, chosen->ctx) == nullptr ? ssl_select_cert_error
                                                               : ssl_select_cert_success;
  }
};

void ChooseByName(std::shared_ptr<CertificateSet> set, SSL_CTX* ctx) {
  Require(!set->certificates_.empty() && set->certificates_[0]->ctx == ctx,
          "ChooseByName: the set's first");
  const std::string_view name = set->default_name_;
  if (name.empty()) {
    set->default_.push_back(set->certificates_[0].get());
  } else {
    set->default_ = *set->groups_.At(std::string(name));
  }
  // `ctx` is about to own the set, which must not own `ctx` in turn.
  set->certificates_[0]->own.reset();
  SSL_CTX_set_select_certificate_cb(ctx, CertificateChoice::Run);
  Attach(ctx, Slot::kCertificates, std::move(set));
}

}  // namespace sallyport::tls
