#include "tls/self_signed.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tls/library_error.h"

namespace sallyport::tls {
namespace {

constexpr int64_t kSecondsPerHour = 3600;
constexpr int64_t kSecondsPerDay = 24 * kSecondsPerHour;
constexpr size_t kDnsNameMax = 253;
constexpr size_t kCommonNameMax = 64;  // ub-common-name of X.509.

bool IsDnsName(std::string_view name) {
  return !name.empty() && name.size() <= kDnsNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '*';
         });
}

bssl::UniquePtr<EVP_PKEY> MakeKey() {
  bssl::UniquePtr<EC_KEY> ec_key(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (ec_key == nullptr || key == nullptr || !EC_KEY_generate_key(ec_key.get()) ||
      !EVP_PKEY_set1_EC_KEY(key.get(), ec_key.get())) {
    return nullptr;
  }
  return key;
}

// Random, so that two certificates made by the same hand are never taken for one.
bool SetSerialNumber(X509* certificate) {
  bssl::UniquePtr<BIGNUM> number(BN_new());
  return number != nullptr && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetValidity(X509* certificate, int64_t now, int days) {
  bssl::UniquePtr<ASN1_TIME> from(ASN1_TIME_set(nullptr, now - kSecondsPerHour));
  bssl::UniquePtr<ASN1_TIME> to(ASN1_TIME_set(nullptr, now + days * kSecondsPerDay));
  return from != nullptr && to != nullptr && X509_set1_notBefore(certificate, from.get()) &&
         X509_set1_notAfter(certificate, to.get());
}

// Subject and issuer are the first name, which is for people: clients look at subjectAltName.
bool SetNames(X509* certificate, const std::string& name) {
  const std::string text = name.size() <= kCommonNameMax ? name : "sallyport";
  bssl::UniquePtr<X509_NAME> subject(X509_NAME_new());
  return subject != nullptr &&
         X509_NAME_add_entry_by_txt(subject.get(), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const uint8_t*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) &&
         X509_set_subject_name(certificate, subject.get()) &&
         X509_set_issuer_name(certificate, subject.get());
}

bssl::UniquePtr<GENERAL_NAME> MakeGeneralName(const std::string& text) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  if (name == nullptr) {
    return nullptr;
  }
  if (ASN1_OCTET_STRING* address = a2i_IPADDRESS(text.c_str())) {
    GENERAL_NAME_set0_value(name.get(), GEN_IPADD, address);
    return name;
  }
  bssl::UniquePtr<ASN1_IA5STRING> dns(ASN1_IA5STRING_new());
  if (dns == nullptr || !ASN1_STRING_set(dns.get(), text.data(), static_cast<int>(text.size()))) {
    return nullptr;
  }
  GENERAL_NAME_set0_value(name.get(), GEN_DNS, dns.release());
  return name;
}

bool AddSubjectAltName(X509* certificate, const std::vector<std::string>& names) {
  bssl::UniquePtr<GENERAL_NAMES> list(sk_GENERAL_NAME_new_null());
  for (const std::string& text : names) {
    bssl::UniquePtr<GENERAL_NAME> name = MakeGeneralName(text);
    if (list == nullptr || name == nullptr || !bssl::PushToStack(list.get(), std::move(name))) {
      return false;
    }
  }
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, list.get(), /*crit=*/0, 0);
}

// Not a CA: whoever puts this certificate into a trust store trusts this server, and not whatever
// its key might sign. No keyUsage, because OpenSSL 1.1 takes a certificate whose keyUsage lacks
// keyCertSign for one that isn't self-signed, and then finds no issuer.
bool AddConstraints(X509* certificate) {
  bssl::UniquePtr<BASIC_CONSTRAINTS> constraints(BASIC_CONSTRAINTS_new());
  bssl::UniquePtr<STACK_OF(ASN1_OBJECT)> usage(sk_ASN1_OBJECT_new_null());
  bssl::UniquePtr<ASN1_OBJECT> server(OBJ_nid2obj(NID_server_auth));
  if (constraints == nullptr || usage == nullptr || server == nullptr ||
      !bssl::PushToStack(usage.get(), std::move(server))) {
    return false;
  }
  constraints->ca = 0;
  return X509_add1_ext_i2d(certificate, NID_basic_constraints, constraints.get(), /*crit=*/1, 0) &&
         X509_add1_ext_i2d(certificate, NID_ext_key_usage, usage.get(), /*crit=*/0, 0);
}

std::string Contents(const BIO* bio) {
  const uint8_t* text = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio, &text, &size);
  return std::string(reinterpret_cast<const char*>(text), size);
}

bool WritePair(X509* certificate, EVP_PKEY* key, CertificatePair* pair) {
  bssl::UniquePtr<BIO> certificate_text(BIO_new(BIO_s_mem()));
  bssl::UniquePtr<BIO> key_text(BIO_new(BIO_s_mem()));  // Wiped when freed, as all the library's.
  if (certificate_text == nullptr || key_text == nullptr ||
      !PEM_write_bio_X509(certificate_text.get(), certificate) ||
      !PEM_write_bio_PKCS8PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr)) {
    return false;
  }
  pair->certificate_pem = Contents(certificate_text.get());
  pair->private_key_pem = Contents(key_text.get());
  return true;
}

}  // namespace

absl::StatusOr<CertificatePair> MakeSelfSigned(const std::vector<std::string>& names, int64_t now,
                                               int days) {
  LibraryErrors errors;
  if (names.empty()) {
    return absl::InvalidArgumentError("a certificate needs a name");
  }
  for (const std::string& name : names) {
    bssl::UniquePtr<ASN1_OCTET_STRING> address(a2i_IPADDRESS(name.c_str()));
    if (address == nullptr && !IsDnsName(name)) {
      return absl::InvalidArgumentError("a name is neither a DNS name nor an IP address");
    }
  }
  bssl::UniquePtr<EVP_PKEY> key = MakeKey();
  bssl::UniquePtr<X509> certificate(X509_new());
  CertificatePair pair;
  if (key == nullptr || certificate == nullptr ||
      !X509_set_version(certificate.get(), X509_VERSION_3) || !SetSerialNumber(certificate.get()) ||
      !SetValidity(certificate.get(), now, days) || !SetNames(certificate.get(), names[0]) ||
      !X509_set_pubkey(certificate.get(), key.get()) ||
      !AddSubjectAltName(certificate.get(), names) || !AddConstraints(certificate.get()) ||
      !X509_sign(certificate.get(), key.get(), EVP_sha256()) ||
      !WritePair(certificate.get(), key.get(), &pair)) {
    return absl::InternalError(absl::StrCat("no certificate can be made: ", TakeLibraryError()));
  }
  return pair;
}

}  // namespace sallyport::tls
