// Against somebody else's implementation: the `openssl` command.
#include "tests/tls/openssl.h"

#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <string>

#include "tls/rsa_password.h"
#include "tls/self_signed.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;

// --- Keys and certificates, as operators make them.

TEST_F(OpenSslTest, KeysAndCertificatesOfOperators) {
  const char* const keys[] = {
      "ecparam -name prime256v1 -genkey -out @key",  // "EC PARAMETERS" first.
      "ecparam -name secp384r1 -genkey -noout -out @key",
      "genrsa -traditional -out @key 2048",
      "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out @key",
      "genpkey -algorithm ED25519 -out @key",
  };
  for (const char* key : keys) {
    ASSERT_TRUE(OpenSsl(key)) << key;
    ASSERT_TRUE(OpenSsl("req -x509 -key @key -subj /O=Example/CN=db -days 2 -out @cert"));
    const std::string certificate = ReadFile("cert");
    const std::string private_key = ReadFile("key");
    const auto context = Context::Create({.certificate_pem = certificate,
                                          .private_key_pem = private_key,
                                          .now = std::time(nullptr)});
    ASSERT_TRUE(context.ok()) << key << ": " << context.status();
    EXPECT_EQ((*context)->certificate().subject, "O=Example,CN=db");
  }
}

TEST_F(OpenSslTest, TheSelfSignedCertificateVerifies) {
  const auto pair =
      MakeSelfSigned({"db.example.com", "192.0.2.1", "2001:db8::1"}, std::time(nullptr), 30);
  ASSERT_TRUE(pair.ok());
  WriteFile("self", pair->certificate_pem);
  EXPECT_TRUE(
      OpenSsl("verify -purpose sslserver -CAfile @self -verify_hostname db.example.com "
              "@self"));
  EXPECT_TRUE(OpenSsl("verify -purpose sslserver -CAfile @self -verify_ip 192.0.2.1 @self"));
  EXPECT_TRUE(OpenSsl("verify -purpose sslserver -CAfile @self -verify_ip 2001:db8::1 @self"));
  EXPECT_FALSE(OpenSsl("verify -purpose sslserver -CAfile @self -verify_ip 192.0.2.2 @self"));
  EXPECT_FALSE(OpenSsl("verify -purpose sslclient -CAfile @self @self"));
}

// --- Passwords, both ways.

constexpr std::array<uint8_t, kPasswordNonceSize> kNonce = {
    0x3b, 0x55, 0x78, 0x7d, 0x2c, 0x5f, 0x7c, 0x72, 0x49, 0x52,
    0x3f, 0x28, 0x47, 0x6f, 0x77, 0x28, 0x5f, 0x4d, 0x1b, 0x01};

std::string XorNonce(std::string bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(static_cast<uint8_t>(bytes[i]) ^ kNonce[i % kNonce.size()]);
  }
  return bytes;
}

constexpr char kOaep[] = " -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha1 ";

TEST_F(OpenSslTest, DecryptsOurPasswords) {
  ASSERT_TRUE(OpenSsl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out @key"));
  ASSERT_TRUE(OpenSsl("pkey -in @key -pubout -out @public"));
  for (const size_t length : {0, 1, 7, 20, 213}) {
    const std::string password = std::string(length, 'p') + '\0';
    std::array<uint8_t, kRsaCiphertextSizeMax> out;
    size_t size = 0;
    const Bytes bytes = ToBytes(password);
    ASSERT_EQ(EncryptPassword(ReadFile("public"), bytes, kNonce, out, &size), EncryptResult::kOk);
    WriteFile("encrypted", {reinterpret_cast<const char*>(out.data()), size});
    ASSERT_TRUE(
        OpenSsl("pkeyutl -decrypt -inkey @key -in @encrypted -out @plain" + std::string(kOaep)));
    EXPECT_EQ(XorNonce(ReadFile("plain")), password);
  }
}

TEST_F(OpenSslTest, EncryptsPasswordsForUs) {
  const auto key = PasswordKey::Generate();
  ASSERT_TRUE(key.ok());
  WriteFile("public", (*key)->public_key_pem());
  for (const size_t length : {0, 1, 7, 20, 213}) {
    const std::string password = std::string(length, 'p') + '\0';
    WriteFile("plain", XorNonce(password));
    ASSERT_TRUE(OpenSsl("pkeyutl -encrypt -pubin -inkey @public -in @plain -out @encrypted" +
                        std::string(kOaep)));
    const Secret decrypted = (*key)->Decrypt(ToBytes(ReadFile("encrypted")), kNonce);
    EXPECT_EQ(Bytes(decrypted.bytes().begin(), decrypted.bytes().end()), ToBytes(password));
  }
}

// --- s_client.

struct Suite {
  KeyType key;
  const char* arguments;
  const char* cipher;
};

TEST_F(OpenSslTest, TalksEachCipher) {
  const Suite suites[] = {
      {KeyType::kP256, "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"},
      {KeyType::kP256, "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"},
      {KeyType::kP256, "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
       "TLS_CHACHA20_POLY1305_SHA256"},
      {KeyType::kRsa2048, "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"},
      {KeyType::kEd25519, "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"},
      {KeyType::kP256, "-tls1_2 -cipher ECDHE+AES", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
      {KeyType::kP256, "-tls1_2 -cipher ECDHE+CHACHA20",
       "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
      {KeyType::kRsa2048, "-tls1_2 -cipher ECDHE+AES", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
      {KeyType::kRsa2048, "-tls1_2 -cipher ECDHE+AES256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
  };
  for (const Suite& suite : suites) {
    const std::unique_ptr<Context> context = MakeContext(suite.key);
    Talk talk(*context, std::string("-quiet ") + suite.arguments, "hello\n");
    EXPECT_EQ(talk.heard(), "hello\n") << suite.arguments << talk.engine().error();
    EXPECT_EQ(talk.said(), "you said: hello\n");
    ASSERT_TRUE(talk.engine().handshake_done());
    EXPECT_EQ(talk.engine().parameters().cipher, suite.cipher);
  }
}

// BoringSSL's client always offers AES-128 of TLS 1.3; this one can be told not to.
TEST_F(OpenSslTest, ReadsOnWhereSomebodyElseSends) {
  const std::unique_ptr<Context> context = MakeContext();
  for (const char* suite : {"-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256",
                            "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384",
                            "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",
                            "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256",
                            "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384",
                            "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256"}) {
    Talk talk(*context, std::string("-quiet ") + suite, "hello\n", true);
    ASSERT_TRUE(talk.engine().handshake_done()) << suite;
    EXPECT_EQ(talk.said(), "you said: hello\n") << suite;
  }
}

TEST_F(OpenSslTest, VerifiesTheSelfSignedServer) {
  const int64_t now = std::time(nullptr);
  const auto pair = MakeSelfSigned({"127.0.0.1"}, now, 30);
  ASSERT_TRUE(pair.ok());
  const auto context = Context::Create({.certificate_pem = pair->certificate_pem,
                                        .private_key_pem = pair->private_key_pem,
                                        .now = now});
  ASSERT_TRUE(context.ok());
  WriteFile("ca", pair->certificate_pem);
  Talk talk(**context, "-quiet -CAfile @ca -verify_return_error -verify_ip 127.0.0.1", "hello\n");
  EXPECT_EQ(talk.said(), "you said: hello\n");
  Talk other(**context, "-quiet -CAfile @ca -verify_return_error -verify_ip 127.0.0.2", "hello\n");
  EXPECT_EQ(other.last(), Engine::Status::kError);
  EXPECT_EQ(other.heard(), "");
}

TEST_F(OpenSslTest, ResumesItsSessions) {
  const std::unique_ptr<Context> context = MakeContext();
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const std::string arguments = std::string("-quiet ") + version;
    Talk first(*context, arguments + " -sess_out @session", "hello\n");
    ASSERT_TRUE(first.engine().handshake_done());
    EXPECT_FALSE(first.engine().parameters().resumed);
    Talk second(*context, arguments + " -sess_in @session", "hello again\n");
    ASSERT_TRUE(second.engine().handshake_done());
    EXPECT_TRUE(second.engine().parameters().resumed) << version;
    EXPECT_EQ(second.said(), "you said: hello again\n");
  }
}

TEST_F(OpenSslTest, MayNotRenegotiate) {
  const std::unique_ptr<Context> context = MakeContext();
  Talk talk(*context, "-tls1_2", "R\n");  // s_client's command for it.
  EXPECT_EQ(talk.last(), Engine::Status::kError);
  EXPECT_EQ(talk.engine().error(), "NO_RENEGOTIATION");
}

TEST_F(OpenSslTest, UpdatesItsKeys) {
  const std::unique_ptr<Context> context = MakeContext();
  Talk talk(*context, "-tls1_3", "K\n");  // A KeyUpdate that asks for ours.
  EXPECT_EQ(talk.heard(), "after KeyUpdate\n");
  EXPECT_NE(talk.said().find("you said: after KeyUpdate\n"), std::string::npos);
}

TEST_F(OpenSslTest, OldVersionsAreRefused) {
  const std::unique_ptr<Context> context = MakeContext();
  Talk talk(*context, "-quiet -tls1_1 -cipher ALL:%SECLEVEL=0", "hello\n");
  EXPECT_EQ(talk.last(), Engine::Status::kError);
  EXPECT_EQ(talk.engine().error(), "UNSUPPORTED_PROTOCOL");
}

}  // namespace
}  // namespace sallyport::tls
