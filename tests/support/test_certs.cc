#include "tests/support/test_certs.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/cipher.h>
#include <openssl/curve25519.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

namespace sallyport::tests {
namespace {

char kPassphrase[] = "passphrase";  // Not const, because the library's older header asks for char*.

// Check stops the test, which without its certificates tests nothing.
void Check(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "test_certs: %s failed\n", what);
    ERR_print_errors_fp(stderr);
    std::abort();
  }
}

bssl::UniquePtr<EVP_PKEY> MakeRsa(int bits) {
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> exponent(BN_new());
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  Check(BN_set_word(exponent.get(), RSA_F4) &&
            RSA_generate_key_ex(rsa.get(), bits, exponent.get(), nullptr) &&
            EVP_PKEY_set1_RSA(key.get(), rsa.get()),
        "RSA_generate_key_ex");
  return key;
}

bssl::UniquePtr<EVP_PKEY> MakeEc(int nid) {
  bssl::UniquePtr<EC_KEY> ec_key(EC_KEY_new_by_curve_name(nid));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  Check(ec_key != nullptr && EC_KEY_generate_key(ec_key.get()) &&
            EVP_PKEY_set1_EC_KEY(key.get(), ec_key.get()),
        "EC_KEY_generate_key");
  return key;
}

bssl::UniquePtr<EVP_PKEY> MakeEd25519() {
  uint8_t public_key[ED25519_PUBLIC_KEY_LEN];
  uint8_t private_key[ED25519_PRIVATE_KEY_LEN];
  ED25519_keypair(public_key, private_key);
  bssl::UniquePtr<EVP_PKEY> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, private_key, 32));
  Check(key != nullptr, "ED25519_keypair");
  return key;
}

bssl::UniquePtr<EVP_PKEY> MakeKey(KeyType type) {
  switch (type) {
    case KeyType::kP224:
      return MakeEc(NID_secp224r1);
    case KeyType::kP256:
      return MakeEc(NID_X9_62_prime256v1);
    case KeyType::kP384:
      return MakeEc(NID_secp384r1);
    case KeyType::kP521:
      return MakeEc(NID_secp521r1);
    case KeyType::kRsa512:
      return MakeRsa(512);
    case KeyType::kRsa1024:
      return MakeRsa(1024);
    case KeyType::kRsa2048:
      return MakeRsa(2048);
    case KeyType::kEd25519:
      return MakeEd25519();
  }
  std::abort();
}

bssl::UniquePtr<EVP_PKEY> ParseKey(const std::string& pem) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  Check(key != nullptr, "PEM_read_bio_PrivateKey");
  return key;
}

// Written runs `write` on a BIO and returns what it wrote.
template <typename Write>
std::string Written(Write write) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  const uint8_t* text = nullptr;
  size_t size = 0;
  Check(write(bio.get()) && BIO_mem_contents(bio.get(), &text, &size), "PEM_write_bio");
  return std::string(reinterpret_cast<const char*>(text), size);
}

void SetName(X509_NAME* name, const std::string& cn) {
  Check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const uint8_t*>(cn.data()),
                                   static_cast<int>(cn.size()), -1, 0),
        "X509_NAME_add_entry_by_txt");
}

void AddNames(const std::vector<std::string>& texts, int type, GENERAL_NAMES* names) {
  for (const std::string& text : texts) {
    bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
    ASN1_IA5STRING* value = ASN1_IA5STRING_new();
    Check(ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())), "SAN");
    GENERAL_NAME_set0_value(name.get(), type, value);
    Check(bssl::PushToStack(names, std::move(name)), "SAN");
  }
}

void AddExtensions(X509* x509, const TestCertificate& certificate) {
  bssl::UniquePtr<BASIC_CONSTRAINTS> constraints(BASIC_CONSTRAINTS_new());
  constraints->ca = certificate.ca ? 0xff : 0;
  Check(X509_add1_ext_i2d(x509, NID_basic_constraints, constraints.get(), 1, 0), "constraints");
  bssl::UniquePtr<GENERAL_NAMES> names(sk_GENERAL_NAME_new_null());
  AddNames(certificate.dns_names, GEN_DNS, names.get());
  AddNames(certificate.uris, GEN_URI, names.get());
  AddNames(certificate.emails, GEN_EMAIL, names.get());
  if (sk_GENERAL_NAME_num(names.get()) > 0) {
    Check(X509_add1_ext_i2d(x509, NID_subject_alt_name, names.get(), 0, 0), "SAN");
  }
  if (certificate.for_servers_only) {
    bssl::UniquePtr<STACK_OF(ASN1_OBJECT)> usage(sk_ASN1_OBJECT_new_null());
    bssl::UniquePtr<ASN1_OBJECT> server(OBJ_nid2obj(NID_server_auth));
    Check(bssl::PushToStack(usage.get(), std::move(server)) &&
              X509_add1_ext_i2d(x509, NID_ext_key_usage, usage.get(), 0, 0),
          "extended key usage");
  }
  if (certificate.padding > 0) {
    const std::string comment(certificate.padding, 'x');
    bssl::UniquePtr<ASN1_IA5STRING> text(ASN1_IA5STRING_new());
    Check(ASN1_STRING_set(text.get(), comment.data(), static_cast<int>(comment.size())) &&
              X509_add1_ext_i2d(x509, NID_netscape_comment, text.get(), 0, 0),
          "padding");
  }
}

}  // namespace

std::string MakeKeyPem(KeyType type) {
  const bssl::UniquePtr<EVP_PKEY> key = MakeKey(type);
  return Written([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

const std::string& TestKeyPem(KeyType type) {
  static std::mutex mutex;
  static std::map<KeyType, std::string>* const keys = new std::map<KeyType, std::string>;
  std::lock_guard<std::mutex> lock(mutex);
  std::string& pem = (*keys)[type];
  if (pem.empty()) {
    pem = MakeKeyPem(type);
  }
  return pem;
}

std::string ToPkcs1Pem(const std::string& key_pem) {
  const bssl::UniquePtr<EVP_PKEY> key = ParseKey(key_pem);
  return Written([&](BIO* bio) {
    return PEM_write_bio_RSAPrivateKey(bio, EVP_PKEY_get0_RSA(key.get()), nullptr, nullptr, 0,
                                       nullptr, nullptr);
  });
}

std::string ToSec1Pem(const std::string& key_pem) {
  const bssl::UniquePtr<EVP_PKEY> key = ParseKey(key_pem);
  return Written([&](BIO* bio) {
    return PEM_write_bio_ECPrivateKey(bio, EVP_PKEY_get0_EC_KEY(key.get()), nullptr, nullptr, 0,
                                      nullptr, nullptr);
  });
}

std::string ToEncryptedPkcs8Pem(const std::string& key_pem) {
  const bssl::UniquePtr<EVP_PKEY> key = ParseKey(key_pem);
  return Written([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key.get(), EVP_aes_128_cbc(), kPassphrase,
                                         sizeof(kPassphrase) - 1, nullptr, nullptr);
  });
}

std::string ToEncryptedPkcs1Pem(const std::string& key_pem) {
  const bssl::UniquePtr<EVP_PKEY> key = ParseKey(key_pem);
  uint8_t passphrase[] = "passphrase";
  return Written([&](BIO* bio) {
    return PEM_write_bio_RSAPrivateKey(bio, EVP_PKEY_get0_RSA(key.get()), EVP_aes_128_cbc(),
                                       passphrase, sizeof(passphrase) - 1, nullptr, nullptr);
  });
}

std::string ToPublicPem(const std::string& key_pem) {
  const bssl::UniquePtr<EVP_PKEY> key = ParseKey(key_pem);
  return Written([&](BIO* bio) { return PEM_write_bio_PUBKEY(bio, key.get()); });
}

std::string MakeCertificatePem(const std::string& key_pem, const TestCertificate& certificate) {
  const bssl::UniquePtr<EVP_PKEY> key = ParseKey(key_pem);
  const bool self_signed = certificate.issuer.empty();
  const bssl::UniquePtr<EVP_PKEY> issuer_key =
      ParseKey(self_signed ? key_pem : certificate.issuer_key_pem);
  bssl::UniquePtr<X509> x509(X509_new());
  bssl::UniquePtr<ASN1_TIME> not_before(ASN1_TIME_set(nullptr, certificate.not_before));
  bssl::UniquePtr<ASN1_TIME> not_after(ASN1_TIME_set(nullptr, certificate.not_after));
  Check(X509_set_version(x509.get(), X509_VERSION_3) &&
            ASN1_INTEGER_set(X509_get_serialNumber(x509.get()),
                             static_cast<long>(certificate.serial)) &&
            X509_set1_notBefore(x509.get(), not_before.get()) &&
            X509_set1_notAfter(x509.get(), not_after.get()) &&
            X509_set_pubkey(x509.get(), key.get()),
        "X509_new");
  SetName(X509_get_subject_name(x509.get()), certificate.subject);
  SetName(X509_get_issuer_name(x509.get()), self_signed ? certificate.subject : certificate.issuer);
  AddExtensions(x509.get(), certificate);
  const EVP_MD* digest = EVP_PKEY_id(issuer_key.get()) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  Check(X509_sign(x509.get(), issuer_key.get(), digest), "X509_sign");
  return Written([&](BIO* bio) { return PEM_write_bio_X509(bio, x509.get()); });
}

std::string MakeCrlPem(const TestCrl& test) {
  const bssl::UniquePtr<EVP_PKEY> key = ParseKey(test.issuer_key_pem);
  bssl::UniquePtr<X509_CRL> crl(X509_CRL_new());
  bssl::UniquePtr<X509_NAME> issuer(X509_NAME_new());
  SetName(issuer.get(), test.issuer);
  bssl::UniquePtr<ASN1_TIME> this_update(ASN1_TIME_set(nullptr, test.this_update));
  bssl::UniquePtr<ASN1_TIME> next_update(ASN1_TIME_set(nullptr, test.next_update));
  Check(X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2) &&
            X509_CRL_set_issuer_name(crl.get(), issuer.get()) &&
            X509_CRL_set1_lastUpdate(crl.get(), this_update.get()) &&
            X509_CRL_set1_nextUpdate(crl.get(), next_update.get()),
        "X509_CRL_new");
  for (const int64_t number : test.serials) {
    bssl::UniquePtr<X509_REVOKED> revoked(X509_REVOKED_new());
    bssl::UniquePtr<ASN1_INTEGER> serial(ASN1_INTEGER_new());
    Check(ASN1_INTEGER_set(serial.get(), static_cast<long>(number)) &&
              X509_REVOKED_set_serialNumber(revoked.get(), serial.get()) &&
              X509_REVOKED_set_revocationDate(revoked.get(), this_update.get()) &&
              X509_CRL_add0_revoked(crl.get(), revoked.release()),
          "X509_CRL_add0_revoked");
  }
  Check(X509_CRL_sort(crl.get()) && X509_CRL_sign(crl.get(), key.get(), EVP_sha256()),
        "X509_CRL_sign");
  return Written([&](BIO* bio) { return PEM_write_bio_X509_CRL(bio, crl.get()); });
}

}  // namespace sallyport::tests
