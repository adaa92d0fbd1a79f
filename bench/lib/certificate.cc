#include "bench/lib/certificate.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <string>

#include "packet/check.h"

namespace sallyport::bench {
namespace {

std::string Text(BIO* bio) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  SALLYPORT_CHECK(BIO_mem_contents(bio, &data, &size));
  return std::string(reinterpret_cast<const char*>(data), size);
}

}  // namespace

tls::CertificatePair MakeRsaCertificate(int bits) {
  const bssl::UniquePtr<BIGNUM> e(BN_new());
  bssl::UniquePtr<RSA> rsa(RSA_new());
  const bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  SALLYPORT_CHECK(BN_set_word(e.get(), RSA_F4) &&
                  RSA_generate_key_ex(rsa.get(), bits, e.get(), nullptr) &&
                  EVP_PKEY_set1_RSA(key.get(), rsa.get()));
  const bssl::UniquePtr<X509> certificate(X509_new());
  X509* x509 = certificate.get();
  constexpr long kDay = 24 * 60 * 60;  // NOLINT(runtime/int): the library's type.
  const auto* name = reinterpret_cast<const uint8_t*>("localhost");
  SALLYPORT_CHECK(X509_set_version(x509, X509_VERSION_3) &&
                  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) &&
                  X509_gmtime_adj(X509_getm_notBefore(x509), -kDay) != nullptr &&
                  X509_gmtime_adj(X509_getm_notAfter(x509), kDay) != nullptr &&
                  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, name,
                                             -1, -1, 0) &&
                  X509_set_issuer_name(x509, X509_get_subject_name(x509)) &&
                  X509_set_pubkey(x509, key.get()) && X509_sign(x509, key.get(), EVP_sha256()));
  const bssl::UniquePtr<BIO> certificate_pem(BIO_new(BIO_s_mem()));
  const bssl::UniquePtr<BIO> key_pem(BIO_new(BIO_s_mem()));
  SALLYPORT_CHECK(
      PEM_write_bio_X509(certificate_pem.get(), x509) &&
      PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
  return {.certificate_pem = Text(certificate_pem.get()), .private_key_pem = Text(key_pem.get())};
}

}  // namespace sallyport::bench
