#include "tls/certificate.h"

#include <openssl/asn1.h>
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pool.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tls/library_error.h"
#include "tls/pem.h"
#include "tls/x509_text.h"

namespace sallyport::tls {
namespace {

// A handshake's answer must fit Engine::kHandshakeRoom, and the chain is the only part of it that
// an operator can make large. Real chains have 2 to 6 KiB.
constexpr size_t kChainBytesMax = 24 * 1024;

// Under 2048 bits a key is broken soon; over 8192 one signature takes 100 ms of a worker's time.
constexpr int kRsaBitsMin = 2048;
constexpr int kRsaBitsMax = 8192;

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

std::string Subject(const X509* certificate) {
  return NameText(X509_get_subject_name(certificate), NameOrder::kCertificates);
}

// Name is how messages call a certificate of the chain: "certificate 2 (CN=Example CA)".
std::string Name(const Chain& chain, size_t index) {
  return absl::StrCat("certificate ", index + 1, " (", Subject(chain.certificates[index].get()),
                      ")");
}

int CurveNid(const EVP_PKEY* key) {
  const EC_KEY* ec_key = EVP_PKEY_get0_EC_KEY(key);
  return EC_GROUP_get_curve_name(EC_KEY_get0_group(ec_key));
}

// KeyType names a key that can serve TLS 1.3, and is empty for one that can't.
std::string KeyType(const EVP_PKEY* key) {
  switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_RSA:
      return absl::StrCat("RSA ", EVP_PKEY_bits(key));
    case EVP_PKEY_ED25519:
      return "Ed25519";
    case EVP_PKEY_EC:
      break;
    default:
      return "";
  }
  switch (CurveNid(key)) {
    case NID_X9_62_prime256v1:
      return "ECDSA P-256";
    case NID_secp384r1:
      return "ECDSA P-384";
    case NID_secp521r1:
      return "ECDSA P-521";
    default:
      return "";
  }
}

absl::Status CheckKeyType(const EVP_PKEY* key) {
  if (KeyType(key).empty()) {
    return Invalid(
        "the private key is of a type TLS can't sign with here: use ECDSA (P-256, P-384, P-521), "
        "RSA or Ed25519");
  }
  const int bits = EVP_PKEY_bits(key);
  if (EVP_PKEY_id(key) == EVP_PKEY_RSA && bits < kRsaBitsMin) {
    return Invalid(
        absl::StrCat("the RSA key has ", bits, " bits; at least ", kRsaBitsMin, " are needed"));
  }
  if (EVP_PKEY_id(key) == EVP_PKEY_RSA && bits > kRsaBitsMax) {
    return Invalid(absl::StrCat("the RSA key has ", bits, " bits; at most ", kRsaBitsMax,
                                " are accepted, or each handshake would hold up all others"));
  }
  return absl::OkStatus();
}

bool IsPrivateKey(const PemBlock& block) {
  constexpr std::string_view kSuffix = "PRIVATE KEY";
  return std::string_view(block.label).ends_with(kSuffix);
}

// Labels is what a message says where a block that is needed isn't there.
std::string Labels(const std::vector<PemBlock>& blocks) {
  if (blocks.empty()) {
    return "it holds no PEM block at all";
  }
  return absl::StrCat("it holds: ",
                      absl::StrJoin(blocks, ", ", [](std::string* out, const PemBlock& block) {
                        out->append(block.label);
                      }));
}

bssl::UniquePtr<EVP_PKEY> ParsePrivateKey(const PemBlock& block) {
  const std::span<const uint8_t> der = block.der.bytes();
  CBS cbs;
  CBS_init(&cbs, der.data(), der.size());
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  bool ok = false;
  if (block.label == "PRIVATE KEY") {
    key.reset(EVP_parse_private_key(&cbs));
    ok = key != nullptr;
  } else if (block.label == "RSA PRIVATE KEY") {
    bssl::UniquePtr<RSA> rsa(RSA_parse_private_key(&cbs));
    ok = rsa != nullptr && EVP_PKEY_set1_RSA(key.get(), rsa.get());
  } else if (block.label == "EC PRIVATE KEY") {
    bssl::UniquePtr<EC_KEY> ec_key(EC_KEY_parse_private_key(&cbs, nullptr));
    ok = ec_key != nullptr && EVP_PKEY_set1_EC_KEY(key.get(), ec_key.get());
  }
  if (!ok || CBS_len(&cbs) != 0) {
    return nullptr;
  }
  return key;
}

}  // namespace

absl::StatusOr<Chain> ReadChain(std::string_view pem) {
  LibraryErrors errors;
  absl::StatusOr<std::vector<PemBlock>> blocks = ReadPem(pem);
  if (!blocks.ok()) {
    return Invalid(absl::StrCat("the certificate can't be read: ", blocks.status().message()));
  }
  Chain chain;
  size_t total = 0;
  for (const PemBlock& block : *blocks) {
    if (!IsCertificate(block)) {
      continue;  // A key in the same file, "EC PARAMETERS", "DH PARAMETERS", ...
    }
    const std::span<const uint8_t> der = block.der.bytes();
    bssl::UniquePtr<CRYPTO_BUFFER> buffer(CRYPTO_BUFFER_new(der.data(), der.size(), nullptr));
    bssl::UniquePtr<X509> certificate;
    if (buffer != nullptr) {
      certificate.reset(X509_parse_from_buffer(buffer.get()));
    }
    if (certificate == nullptr) {
      return Invalid(absl::StrCat("certificate ", chain.der.size() + 1,
                                  " of the PEM can't be read: ", TakeLibraryError()));
    }
    total += der.size();
    chain.der.push_back(std::move(buffer));
    chain.certificates.push_back(std::move(certificate));
  }
  if (chain.der.empty()) {
    return Invalid(absl::StrCat("no certificate in the PEM: ", Labels(*blocks)));
  }
  if (total > kChainBytesMax) {
    return Invalid(absl::StrCat("the certificate chain has ", total, " bytes; at most ",
                                kChainBytesMax, " are sent to clients"));
  }
  return chain;
}

absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> ReadPrivateKey(std::string_view pem) {
  LibraryErrors errors;
  absl::StatusOr<std::vector<PemBlock>> blocks = ReadPem(pem);
  if (!blocks.ok()) {
    return Invalid(absl::StrCat("the private key can't be read: ", blocks.status().message()));
  }
  const PemBlock* found = nullptr;
  for (const PemBlock& block : *blocks) {
    if (!IsPrivateKey(block)) {
      continue;
    }
    if (found != nullptr) {
      return Invalid("more than one private key in the PEM");
    }
    found = &block;
  }
  if (found == nullptr) {
    return Invalid(absl::StrCat("no private key in the PEM: ", Labels(*blocks)));
  }
  if (found->encrypted || found->label == "ENCRYPTED PRIVATE KEY") {
    return Invalid(
        "the private key is encrypted; decrypt it first (openssl pkey -in KEY -out PLAIN_KEY)");
  }
  bssl::UniquePtr<EVP_PKEY> key = ParsePrivateKey(*found);
  if (key == nullptr) {
    return Invalid(absl::StrCat("the private key can't be read: ", TakeLibraryError()));
  }
  if (absl::Status status = CheckKeyType(key.get()); !status.ok()) {
    return status;
  }
  return key;
}

absl::Status CheckKeyIsLeafs(const Chain& chain, const EVP_PKEY* key) {
  LibraryErrors errors;
  for (size_t i = 0; i < chain.certificates.size(); ++i) {
    bssl::UniquePtr<EVP_PKEY> public_key(X509_get_pubkey(chain.certificates[i].get()));
    if (public_key == nullptr || EVP_PKEY_cmp(public_key.get(), key) != 1) {
      continue;
    }
    if (i == 0) {
      return absl::OkStatus();
    }
    return Invalid(absl::StrCat("the key belongs to ", Name(chain, i),
                                " of the chain; that one must come first"));
  }
  return Invalid(absl::StrCat("the key does not match the certificate (",
                              Subject(chain.certificates[0].get()), ")"));
}

absl::Status CheckOrder(const Chain& chain) {
  LibraryErrors errors;
  for (size_t i = 0; i + 1 < chain.certificates.size(); ++i) {
    X509* subject = chain.certificates[i].get();
    X509* issuer = chain.certificates[i + 1].get();
    if (X509_check_issued(issuer, subject) != X509_V_OK) {
      return Invalid(absl::StrCat(Name(chain, i + 1), " is not the issuer of ", Name(chain, i),
                                  "; the chain must be leaf first, each followed by its issuer"));
    }
    bssl::UniquePtr<EVP_PKEY> issuer_key(X509_get_pubkey(issuer));
    if (issuer_key == nullptr || X509_verify(subject, issuer_key.get()) != 1) {
      return Invalid(absl::StrCat("the signature in ", Name(chain, i), " is not by ",
                                  Name(chain, i + 1), ": ", TakeLibraryError()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckValidity(const Chain& chain, int64_t now) {
  LibraryErrors errors;
  for (size_t i = 0; i < chain.certificates.size(); ++i) {
    const X509* certificate = chain.certificates[i].get();
    const std::string name = i == 0 ? "the certificate" : Name(chain, i);
    int64_t not_before = 0;
    int64_t not_after = 0;
    if (!ToUnixSeconds(X509_get0_notBefore(certificate), &not_before) ||
        !ToUnixSeconds(X509_get0_notAfter(certificate), &not_after)) {
      return Invalid(absl::StrCat(name, " has no readable validity period"));
    }
    if (now < not_before) {
      return Invalid(absl::StrCat(name, " is not valid before ", FormatUtc(not_before)));
    }
    if (now > not_after) {
      return Invalid(absl::StrCat(name, " expired on ", FormatUtc(not_after)));
    }
  }
  return absl::OkStatus();
}

CertificateInfo Describe(const Chain& chain, const EVP_PKEY* key) {
  LibraryErrors errors;
  const X509* leaf = chain.certificates[0].get();
  CertificateInfo info;
  info.subject = Subject(leaf);
  info.key_type = KeyType(key);
  info.common_name = CommonName(X509_get_subject_name(leaf));
  info.chain_length = chain.der.size();
  ToUnixSeconds(X509_get0_notAfter(leaf), &info.not_after);
  info.chain_not_after = info.not_after;
  for (const bssl::UniquePtr<X509>& certificate : chain.certificates) {
    int64_t not_after = info.chain_not_after;
    ToUnixSeconds(X509_get0_notAfter(certificate.get()), &not_after);
    info.chain_not_after = std::min(info.chain_not_after, not_after);
  }
  GENERAL_NAMES* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  for (size_t i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) {
      const ASN1_IA5STRING* text = name->d.dNSName;
      info.dns_names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                  static_cast<size_t>(ASN1_STRING_length(text)));
    }
  }
  GENERAL_NAMES_free(names);
  return info;
}

std::string NamesDigest(const Chain& chain) {
  LibraryErrors errors;
  const X509* leaf = chain.certificates[0].get();
  const int index = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
  std::string names;
  if (index >= 0) {
    const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(X509_get_ext(leaf, index));
    names.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                 static_cast<size_t>(ASN1_STRING_length(value)));
  } else {
    names = Subject(leaf);
  }
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(names.data()), names.size(), digest);
  return std::string(reinterpret_cast<const char*>(digest), sizeof(digest));
}

}  // namespace sallyport::tls
