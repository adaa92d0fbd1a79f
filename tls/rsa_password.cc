#include "tls/rsa_password.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tls/library_error.h"
#include "tls/pem.h"
#include "tls/require.h"

namespace sallyport::tls {
namespace {

using Nonce = std::span<const uint8_t, kPasswordNonceSize>;

constexpr int kProxyKeyBits = 2048;   // What mysqld makes for itself.
constexpr size_t kOaepOverhead = 42;  // Two SHA-1 hashes and two bytes.

// XorNonce is its own inverse.
void XorNonce(Nonce nonce, std::span<uint8_t> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= nonce[i % kPasswordNonceSize];
  }
}

bool UseOaepSha1(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha1()) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha1()) == 1;
}

// ParseServerKey returns null for all but an RSA key of an acceptable size.
bssl::UniquePtr<EVP_PKEY> ParseServerKey(std::string_view pem) {
  absl::StatusOr<std::vector<PemBlock>> blocks = ReadPem(pem);
  if (!blocks.ok() || blocks->empty() || blocks->front().label != "PUBLIC KEY") {
    return nullptr;
  }
  const std::span<const uint8_t> der = blocks->front().der.bytes();
  CBS cbs;
  CBS_init(&cbs, der.data(), der.size());
  bssl::UniquePtr<EVP_PKEY> key(EVP_parse_public_key(&cbs));
  if (key == nullptr || CBS_len(&cbs) != 0 || EVP_PKEY_id(key.get()) != EVP_PKEY_RSA) {
    return nullptr;
  }
  const size_t bits = static_cast<size_t>(EVP_PKEY_bits(key.get()));
  if (bits < kServerKeyBitsMin || bits > kServerKeyBitsMax) {
    return nullptr;
  }
  return key;
}

// GenerateKey returns null when the library fails.
bssl::UniquePtr<EVP_PKEY> GenerateKey() {
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> exponent(BN_new());
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (rsa == nullptr || exponent == nullptr || key == nullptr ||
      !BN_set_word(exponent.get(), RSA_F4) ||
      !RSA_generate_key_ex(rsa.get(), kProxyKeyBits, exponent.get(), nullptr) ||
      !EVP_PKEY_set1_RSA(key.get(), rsa.get())) {
    return nullptr;
  }
  return key;
}

}  // namespace

ServerKey::ServerKey(bssl::UniquePtr<EVP_PKEY> key) : key_(std::move(key)) {}
ServerKey::~ServerKey() = default;

absl::StatusOr<std::unique_ptr<ServerKey>> ServerKey::Parse(std::string_view public_key_pem) {
  LibraryErrors errors;
  bssl::UniquePtr<EVP_PKEY> key = ParseServerKey(public_key_pem);
  if (key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no RSA public key in PEM of ",
                                                   kServerKeyBitsMin, " to ", kServerKeyBitsMax,
                                                   " bits (BEGIN PUBLIC KEY)"));
  }
  return std::unique_ptr<ServerKey>(new ServerKey(std::move(key)));
}

bool ServerKey::is(const EVP_PKEY& key) const { return EVP_PKEY_cmp(key_.get(), &key) == 1; }

EncryptResult EncryptPassword(std::string_view public_key_pem, std::span<const uint8_t> password,
                              Nonce nonce, std::span<uint8_t> out, size_t* out_size,
                              const ServerKey* expected) {
  LibraryErrors errors;
  Require(out.size() >= kRsaCiphertextSizeMax, "EncryptPassword: kRsaCiphertextSizeMax");
  bssl::UniquePtr<EVP_PKEY> key = ParseServerKey(public_key_pem);
  if (key == nullptr) {
    return EncryptResult::kBadKey;
  }
  if (expected != nullptr && !expected->is(*key)) return EncryptResult::kOtherKey;
  if (password.size() + kOaepOverhead > static_cast<size_t>(EVP_PKEY_size(key.get()))) {
    return EncryptResult::kPasswordTooLong;
  }
  Secret scrambled(password);
  XorNonce(nonce, scrambled.bytes());
  bssl::UniquePtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key.get(), nullptr));
  size_t size = out.size();
  if (context == nullptr || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      !UseOaepSha1(context.get()) ||
      EVP_PKEY_encrypt(context.get(), out.data(), &size, scrambled.bytes().data(),
                       scrambled.bytes().size()) != 1) {
    return EncryptResult::kBadKey;  // A modulus or exponent that the arithmetic refuses.
  }
  *out_size = size;
  return EncryptResult::kOk;
}

PasswordKey::PasswordKey() = default;
PasswordKey::~PasswordKey() = default;

absl::StatusOr<std::unique_ptr<PasswordKey>> PasswordKey::Generate() {
  LibraryErrors errors;
  std::unique_ptr<PasswordKey> result(new PasswordKey);
  result->key_ = GenerateKey();
  bssl::UniquePtr<BIO> text(BIO_new(BIO_s_mem()));
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  if (result->key_ == nullptr || text == nullptr ||
      !PEM_write_bio_PUBKEY(text.get(), result->key_.get()) ||
      !BIO_mem_contents(text.get(), &bytes, &size)) {
    return absl::InternalError(absl::StrCat("no RSA key can be made: ", TakeLibraryError()));
  }
  result->public_key_pem_.assign(reinterpret_cast<const char*>(bytes), size);
  return result;
}

Secret PasswordKey::Decrypt(std::span<const uint8_t> ciphertext, Nonce nonce) const {
  LibraryErrors errors;
  bssl::UniquePtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  Secret plain(static_cast<size_t>(EVP_PKEY_size(key_.get())));
  size_t size = plain.bytes().size();
  if (context == nullptr || EVP_PKEY_decrypt_init(context.get()) != 1 ||
      !UseOaepSha1(context.get()) ||
      EVP_PKEY_decrypt(context.get(), plain.bytes().data(), &size, ciphertext.data(),
                       ciphertext.size()) != 1) {
    return Secret();
  }
  const std::span<uint8_t> password = plain.bytes().first(size);
  XorNonce(nonce, password);
  if (password.empty() || password.back() != 0) {
    return Secret();
  }
  return Secret(std::span<const uint8_t>(password));
}

}  // namespace sallyport::tls
