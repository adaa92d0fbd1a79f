// What an operator sets up with the `openssl` command, and clients that come with it.
#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "tests/tls/openssl.h"
#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using OpenSslOperatorTest = OpenSslTest;

// OperatorsPair makes a key and a certificate for `name`.
struct OperatorsPair {
  OperatorsPair(const std::string& name, const std::string& algorithm) {
    EXPECT_TRUE(OpenSsl("genpkey " + algorithm + " -out @" + name + ".key"));
    EXPECT_TRUE(OpenSsl("req -x509 -key @" + name + ".key -subj /CN=x -days 2 -out @" + name +
                        ".crt -addext subjectAltName=DNS:" + name));
    certificate = ReadFile(name + ".crt");
    key = ReadFile(name + ".key");
  }
  PemPair pems() const { return {certificate, key}; }

  std::string certificate;
  std::string key;
};

constexpr char kEc[] = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
constexpr char kRsa[] = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";

TEST_F(OpenSslOperatorTest, ChoosesACertificateByName) {
  const OperatorsPair first("a.example.com", kEc);
  const OperatorsPair second("b.example.com", kEc);
  const OperatorsPair rsa("b.example.com", kRsa);
  WriteFile("ca", first.certificate + second.certificate + rsa.certificate);
  const auto context = Context::Create({.certificate_pem = first.certificate,
                                        .private_key_pem = first.key,
                                        .now = std::time(nullptr),
                                        .more_certificates = {second.pems(), rsa.pems()}});
  ASSERT_TRUE(context.ok()) << context.status();
  const auto served = [&](const std::string& arguments) {
    Talk talk(**context, "-quiet -CAfile @ca -verify_return_error " + arguments, "hello\n");
    return talk.said() == "you said: hello\n";
  };
  EXPECT_TRUE(served("-servername b.example.com -verify_hostname b.example.com"));
  EXPECT_TRUE(served("-servername B.EXAMPLE.COM. -verify_hostname b.example.com"));
  EXPECT_TRUE(served("-servername a.example.com -verify_hostname a.example.com"));
  EXPECT_TRUE(served("-noservername -verify_hostname a.example.com"));
  EXPECT_FALSE(served("-servername c.example.com -verify_hostname b.example.com"));
  EXPECT_TRUE(
      served("-servername b.example.com -verify_hostname b.example.com "
             "-sigalgs rsa_pss_rsae_sha256"));
  EXPECT_TRUE(
      served("-servername b.example.com -verify_hostname b.example.com "
             "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256"));
  EXPECT_FALSE(served("-servername a.example.com -sigalgs rsa_pss_rsae_sha256"));
}

TEST_F(OpenSslOperatorTest, ResumesOnAnotherMachineWithTheSameTicketKeys) {
  std::string text;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(OpenSsl("rand -out @random 80"));
    ASSERT_TRUE(OpenSsl("base64 -A -in @random -out @line"));
    text += ReadFile("line") + "\n";
  }
  const OperatorsPair pair("a.example.com", kEc);
  const auto machine = [&] {
    auto keys = TicketKeys::Read(text);
    EXPECT_TRUE(keys.ok()) << keys.status();
    auto context = Context::Create({.certificate_pem = pair.certificate,
                                    .private_key_pem = pair.key,
                                    .now = std::time(nullptr),
                                    .ticket_keys = *std::move(keys)});
    EXPECT_TRUE(context.ok()) << context.status();
    return *std::move(context);
  };
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    Talk first(*machine(), "-quiet " + version + " -sess_out @session", "hello\n");
    EXPECT_FALSE(first.engine().parameters().resumed);
    Talk second(*machine(), "-quiet " + version + " -sess_in @session", "hello\n");
    EXPECT_TRUE(second.engine().parameters().resumed) << version;
  }
}

// A CA as its manual says, with a list of whom it revoked.
TEST_F(OpenSslOperatorTest, ShowsCertificatesOfItsOwn) {
  WriteFile("ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=" + Path("index") +
                          "\ndefault_md=sha256\ndefault_crl_days=2\n");
  WriteFile("index", "");
  const OperatorsPair server("a.example.com", kEc);
  ASSERT_TRUE(OpenSsl("genpkey -algorithm RSA -out @ca.key"));
  ASSERT_TRUE(OpenSsl("req -x509 -key @ca.key -subj /CN=CA -days 2 -out @ca.crt"));
  for (const std::string name : {"good", "revoked"}) {
    ASSERT_TRUE(OpenSsl("genpkey " + std::string(kEc) + " -out @" + name + ".key"));
    ASSERT_TRUE(
        OpenSsl("req -new -key @" + name + ".key -subj /O=Example/CN=" + name + " -out @csr"));
    ASSERT_TRUE(
        OpenSsl("x509 -req -in @csr -CA @ca.crt -CAkey @ca.key -CAcreateserial -days 2 "
                "-out @" +
                name + ".crt"));
  }
  const std::string ca = "ca -config @ca.cnf -cert @ca.crt -keyfile @ca.key ";
  ASSERT_TRUE(OpenSsl(ca + "-revoke @revoked.crt"));
  ASSERT_TRUE(OpenSsl(ca + "-gencrl -out @crl"));
  const std::string ca_pem = ReadFile("ca.crt");
  const std::string crl = ReadFile("crl");
  const auto context = Context::Create(
      {.certificate_pem = server.certificate,
       .private_key_pem = server.key,
       .now = std::time(nullptr),
       .client_auth = {.mode = ClientCertificates::kRequired, .ca_pem = ca_pem, .crl_pem = crl}});
  ASSERT_TRUE(context.ok()) << context.status();
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    Talk good(**context, "-quiet -cert @good.crt -key @good.key -sess_out @session " + version,
              "hello\n");
    EXPECT_EQ(good.said(), "you said: hello\n") << good.engine().error();
    EXPECT_EQ(good.engine().client_certificate()->subject, "CN=good,O=Example");
    Talk resumed(**context, "-quiet -sess_in @session " + version, "hello\n");
    EXPECT_TRUE(resumed.engine().parameters().resumed);
    EXPECT_EQ(resumed.engine().parameters().client_certificate->common_name, "good");
    Talk revoked(**context, "-quiet -cert @revoked.crt -key @revoked.key " + version, "hello\n");
    EXPECT_EQ(revoked.engine().error(), "CERTIFICATE_VERIFY_FAILED: certificate revoked");
    EXPECT_NE(ReadFile("log").find("alert certificate revoked"), std::string::npos);
    Talk none(**context, "-quiet " + version, "hello\n");
    EXPECT_EQ(none.engine().error(), "PEER_DID_NOT_RETURN_A_CERTIFICATE");
  }
  EXPECT_NE(ReadFile("log").find("alert certificate required"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::tls
