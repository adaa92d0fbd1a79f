#include "tests/session/rsa.h"

#include <openssl/bio.h>
#include <openssl/digest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tests/support/test_certs.h"

namespace sallyport::tests {
namespace {

const uint8_t* Data(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }
uint8_t* Data(std::string* text) { return reinterpret_cast<uint8_t*>(text->data()); }

void Xor(std::string_view nonce, std::string* bytes) {
  for (size_t i = 0; i < bytes->size(); ++i) (*bytes)[i] ^= nonce[i % nonce.size()];
}

bool UseOaep(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha1()) == 1;
}

bssl::UniquePtr<BIO> Bio(std::string_view text) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace

const std::string& ServerPublicKeyPem() {
  static const std::string* const pem = new std::string(ToPublicPem(TestKeyPem(KeyType::kRsa2048)));
  return *pem;
}

std::string ServerDecrypts(std::string_view ciphertext, std::string_view nonce) {
  bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(Bio(TestKeyPem(KeyType::kRsa2048)).get(), nullptr, nullptr, nullptr));
  bssl::UniquePtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key.get(), nullptr));
  std::string password(256, '\0');
  size_t size = password.size();
  if (!EVP_PKEY_decrypt_init(context.get()) || !UseOaep(context.get()) ||
      !EVP_PKEY_decrypt(context.get(), Data(&password), &size, Data(ciphertext),
                        ciphertext.size())) {
    ERR_clear_error();
    return "";
  }
  password.resize(size);
  Xor(nonce, &password);
  return password;
}

std::string ClientEncrypts(std::string_view public_key_pem, std::string_view password,
                           std::string_view nonce) {
  bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PUBKEY(Bio(public_key_pem).get(), nullptr, nullptr, nullptr));
  bssl::UniquePtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key.get(), nullptr));
  std::string scrambled = std::string(password) + '\0';
  Xor(nonce, &scrambled);
  std::string ciphertext(1024, '\0');
  size_t size = ciphertext.size();
  if (!EVP_PKEY_encrypt_init(context.get()) || !UseOaep(context.get()) ||
      !EVP_PKEY_encrypt(context.get(), Data(&ciphertext), &size, Data(scrambled),
                        scrambled.size())) {
    ERR_clear_error();
    return "";
  }
  ciphertext.resize(size);
  return ciphertext;
}

}  // namespace sallyport::tests
