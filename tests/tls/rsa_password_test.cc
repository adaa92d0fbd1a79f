// The RSA form of a password. openssl_test.cc checks it against another implementation.
#include "tls/rsa_password.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <algorithm>
#include <string>

#include "tests/support/test_certs.h"

namespace sallyport::tls {
namespace {

using Nonce = std::array<uint8_t, kPasswordNonceSize>;

constexpr Nonce kNonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};

std::vector<uint8_t> WithNul(const std::string& password) {
  std::vector<uint8_t> bytes(password.begin(), password.end());
  bytes.push_back(0);
  return bytes;
}

EncryptResult Encrypt(const std::string& key, const std::vector<uint8_t>& password,
                      std::vector<uint8_t>* ciphertext) {
  std::vector<uint8_t> out(kRsaCiphertextSizeMax);
  size_t size = 0;
  const EncryptResult result = EncryptPassword(key, password, kNonce, out, &size);
  out.resize(size);
  *ciphertext = out;
  EXPECT_EQ(ERR_peek_error(), 0u) << "the library's error queue isn't empty";
  return result;
}

const PasswordKey& ProxyKey() {
  static const PasswordKey* const key = PasswordKey::Generate()->release();
  return *key;
}

std::vector<uint8_t> Decrypt(const std::vector<uint8_t>& ciphertext, const Nonce& nonce = kNonce) {
  const Secret password = ProxyKey().Decrypt(ciphertext, nonce);
  EXPECT_EQ(ERR_peek_error(), 0u) << "the library's error queue isn't empty";
  return std::vector<uint8_t>(password.bytes().begin(), password.bytes().end());
}

TEST(RsaPassword, GoesThereAndBack) {
  for (const std::string& password :
       {std::string(), std::string("x"), std::string("secret"), std::string(19, 'a'),
        std::string(20, 'b'), std::string(21, 'c'), std::string(213, 'd')}) {
    std::vector<uint8_t> ciphertext;
    ASSERT_EQ(Encrypt(ProxyKey().public_key_pem(), WithNul(password), &ciphertext),
              EncryptResult::kOk);
    EXPECT_EQ(ciphertext.size(), 256u);
    EXPECT_EQ(Decrypt(ciphertext), WithNul(password));
  }
}

TEST(RsaPassword, TheLongestHas213CharactersWith2048Bits) {
  std::vector<uint8_t> ciphertext;
  EXPECT_EQ(Encrypt(ProxyKey().public_key_pem(), WithNul(std::string(213, 'x')), &ciphertext),
            EncryptResult::kOk);
  EXPECT_EQ(Encrypt(ProxyKey().public_key_pem(), WithNul(std::string(214, 'x')), &ciphertext),
            EncryptResult::kPasswordTooLong);
  EXPECT_TRUE(ciphertext.empty());
}

TEST(RsaPassword, TheLongestHas85CharactersWith1024Bits) {
  const std::string key = tests::ToPublicPem(tests::TestKeyPem(tests::KeyType::kRsa1024));
  std::vector<uint8_t> ciphertext;
  EXPECT_EQ(Encrypt(key, WithNul(std::string(85, 'x')), &ciphertext), EncryptResult::kOk);
  EXPECT_EQ(ciphertext.size(), 128u);
  EXPECT_EQ(Encrypt(key, WithNul(std::string(86, 'x')), &ciphertext),
            EncryptResult::kPasswordTooLong);
}

TEST(RsaPassword, TheSamePasswordNeverLooksTheSame) {
  std::vector<uint8_t> one;
  std::vector<uint8_t> two;
  ASSERT_EQ(Encrypt(ProxyKey().public_key_pem(), WithNul("secret"), &one), EncryptResult::kOk);
  ASSERT_EQ(Encrypt(ProxyKey().public_key_pem(), WithNul("secret"), &two), EncryptResult::kOk);
  EXPECT_NE(one, two);
}

// 16384 bits are too many to make in a test; only the modulus' size is looked at, so any will do.
std::string PublicKeyOfBits(size_t bits);

TEST(RsaPassword, RefusesKeysThatAreNone) {
  std::vector<uint8_t> ciphertext;
  const std::string keys[] = {
      "",
      "-----BEGIN PUBLIC KEY-----\n",
      "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
      std::string(3000, 'A'),
      tests::ToPublicPem(tests::TestKeyPem(tests::KeyType::kP256)),
      tests::ToPublicPem(tests::TestKeyPem(tests::KeyType::kEd25519)),
      tests::ToPublicPem(tests::TestKeyPem(tests::KeyType::kRsa512)),
      tests::TestKeyPem(tests::KeyType::kRsa2048),  // A private one: not what a server sends.
      PublicKeyOfBits(512),
      PublicKeyOfBits(1016),
      PublicKeyOfBits(8200),
      PublicKeyOfBits(16384),
  };
  for (const std::string& key : keys) {
    EXPECT_EQ(Encrypt(key, WithNul("secret"), &ciphertext), EncryptResult::kBadKey) << key;
    EXPECT_TRUE(ciphertext.empty());
  }
  EXPECT_EQ(Encrypt(PublicKeyOfBits(1024), WithNul("secret"), &ciphertext), EncryptResult::kOk);
  EXPECT_EQ(ciphertext.size(), 128u);
  EXPECT_EQ(Encrypt(PublicKeyOfBits(8192), WithNul("secret"), &ciphertext), EncryptResult::kOk);
  EXPECT_EQ(ciphertext.size(), kRsaCiphertextSizeMax);
}

// A server may write text around its key, and the file it comes from may lack the last line end.
TEST(RsaPassword, TakesAKeyAsServersSendIt) {
  std::vector<uint8_t> ciphertext;
  std::string key = ProxyKey().public_key_pem();
  EXPECT_EQ(key.find("-----BEGIN PUBLIC KEY-----\n"), 0u);
  key.pop_back();
  EXPECT_EQ(Encrypt(key, WithNul("secret"), &ciphertext), EncryptResult::kOk);
  key.push_back('\0');
  EXPECT_EQ(Encrypt("comment\n" + key, WithNul("secret"), &ciphertext), EncryptResult::kOk);
}

EncryptResult EncryptFor(const std::string& sent, const std::string& expected) {
  std::vector<uint8_t> out(kRsaCiphertextSizeMax);
  size_t size = 0;
  const absl::StatusOr<std::unique_ptr<ServerKey>> key = ServerKey::Parse(expected);
  EXPECT_TRUE(key.ok()) << key.status();
  return EncryptPassword(sent, WithNul("secret"), kNonce, out, &size, key->get());
}

TEST(ServerKey, TheSameKeyWillDoHoweverItIsWritten) {
  const std::string key = ProxyKey().public_key_pem();
  EXPECT_EQ(EncryptFor(key, key), EncryptResult::kOk);
  EXPECT_EQ(EncryptFor(key, "comment\n" + key + "\n\n"), EncryptResult::kOk);
}

TEST(ServerKey, AnotherWillNot) {
  const std::string key = ProxyKey().public_key_pem();
  EXPECT_EQ(EncryptFor(key, PublicKeyOfBits(1024)), EncryptResult::kOtherKey);
  EXPECT_EQ(EncryptFor(PublicKeyOfBits(2048), key), EncryptResult::kOtherKey);
  EXPECT_EQ(EncryptFor("garbage", key), EncryptResult::kBadKey);
}

TEST(ServerKey, ParseRefusesWhatNoServerMaySend) {
  for (const std::string& key : {std::string(), std::string("garbage"), PublicKeyOfBits(512),
                                 tests::ToPublicPem(tests::TestKeyPem(tests::KeyType::kP256)),
                                 tests::TestKeyPem(tests::KeyType::kRsa2048)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ServerKey::Parse(key).status())) << key;
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
}

TEST(RsaPassword, DecryptRefusesWhatIsNoCiphertext) {
  std::vector<uint8_t> good;
  ASSERT_EQ(Encrypt(ProxyKey().public_key_pem(), WithNul("secret"), &good), EncryptResult::kOk);
  EXPECT_TRUE(Decrypt({}).empty());
  EXPECT_TRUE(Decrypt({1}).empty());
  EXPECT_TRUE(Decrypt(std::vector<uint8_t>(256, 0xff)).empty());  // Above the modulus.
  EXPECT_TRUE(Decrypt(std::vector<uint8_t>(256, 0)).empty());
  std::vector<uint8_t> flipped = good;
  flipped[100] ^= 1;
  EXPECT_TRUE(Decrypt(flipped).empty());
  std::vector<uint8_t> longer = good;
  longer.push_back(0);
  EXPECT_TRUE(Decrypt(longer).empty());
  good.pop_back();
  EXPECT_TRUE(Decrypt(good).empty());
}

TEST(RsaPassword, DecryptRefusesAPasswordWithoutNul) {
  std::vector<uint8_t> ciphertext;
  ASSERT_EQ(Encrypt(ProxyKey().public_key_pem(), {'a', 'b'}, &ciphertext), EncryptResult::kOk);
  EXPECT_TRUE(Decrypt(ciphertext).empty());
  ASSERT_EQ(Encrypt(ProxyKey().public_key_pem(), {}, &ciphertext), EncryptResult::kOk);
  EXPECT_TRUE(Decrypt(ciphertext).empty());
}

TEST(RsaPassword, AnotherNonceGivesNoPassword) {
  std::vector<uint8_t> ciphertext;
  ASSERT_EQ(Encrypt(ProxyKey().public_key_pem(), WithNul("secret"), &ciphertext),
            EncryptResult::kOk);
  Nonce other = kNonce;
  std::reverse(other.begin(), other.end());
  EXPECT_NE(Decrypt(ciphertext, other), WithNul("secret"));
}

// --- A SubjectPublicKeyInfo made by hand: modulus all ones, exponent 65537.

void AppendDer(uint8_t tag, const std::string& content, std::string* out) {
  out->push_back(static_cast<char>(tag));
  const size_t size = content.size();
  if (size >= 256) {
    out->push_back('\x82');
    out->push_back(static_cast<char>(size >> 8));
  } else if (size >= 128) {
    out->push_back('\x81');
  }
  out->push_back(static_cast<char>(size));
  *out += content;
}

std::string Base64(const std::string& bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
    if (text.size() % 65 == 64) {
      text += '\n';
    }
  }
  return text;
}

std::string PublicKeyOfBits(size_t bits) {
  std::string numbers;
  AppendDer(0x02, std::string(1, '\0') + std::string(bits / 8, '\xff'), &numbers);
  AppendDer(0x02, std::string("\x01\x00\x01", 3), &numbers);
  std::string key;
  AppendDer(0x30, numbers, &key);
  const std::string rsa_encryption("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 13);
  std::string info;
  AppendDer(0x30, rsa_encryption, &info);
  AppendDer(0x03, std::string(1, '\0') + key, &info);
  std::string der;
  AppendDer(0x30, info, &der);
  return "-----BEGIN PUBLIC KEY-----\n" + Base64(der) + "\n-----END PUBLIC KEY-----\n";
}

}  // namespace
}  // namespace sallyport::tls
