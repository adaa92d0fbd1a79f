// Against somebody else's implementation: the `openssl` command, a process of its own. Here are
// sockets, files and a shell, which tls/ itself has never heard of.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/tls/wire.h"
#include "tls/rsa_password.h"
#include "tls/self_signed.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;

std::string Path(const std::string& name) { return ::testing::TempDir() + "/openssl_test." + name; }

std::string ReadFile(const std::string& name) {
  std::ifstream file(Path(name), std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::string& name, std::string_view text) {
  std::ofstream(Path(name), std::ios::binary)
      .write(text.data(), static_cast<std::streamsize>(text.size()));
}

// Expand makes a command line of it, with @NAME standing for the path of a file, and % for
// an @. OpenSsl runs one, and says if it succeeded.
std::string Expand(const std::string& arguments) {
  std::string command = "openssl ";
  for (const char c : arguments) {
    command += c == '@' ? Path("") : std::string(1, c == '%' ? '@' : c);
  }
  return command;
}
bool OpenSsl(const std::string& arguments) {
  return std::system((Expand(arguments) + " >>" + Path("log") + " 2>&1").c_str()) == 0;
}

class OpenSslTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("openssl version >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "no openssl command: nothing is checked against it";
    }
    std::signal(SIGPIPE, SIG_IGN);  // A client that gave up is seen by its silence.
  }
  void TearDown() override {
    if (HasFailure()) {
      std::fputs(ReadFile("log").c_str(), stderr);
    }
  }
};

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

// Talk is one connection with s_client: what it says, until it or the Engine ends it.
class Talk {
 public:
  // Starts s_client with `arguments` behind the address, and writes `line` to it.
  Talk(const Context& context, const std::string& arguments, const std::string& line)
      : server_(context) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener, 1), 0);
    EXPECT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
    const std::string command =
        Expand("s_client -connect 127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + " " +
               arguments + " >@said 2>>@log");
    client_ = popen(command.c_str(), "w");
    Type(line);
    pollfd ready{.fd = listener, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kPatienceMs) == 1) {
      fd_ = accept(listener, nullptr, nullptr);
    }
    close(listener);
    Run();
    close(fd_);
    pclose(client_);
  }

  Engine& engine() { return server_.engine(); }
  Engine::Status last() const { return last_; }
  const std::string& heard() const { return heard_; }
  std::string said() const { return ReadFile("said"); }  // s_client's output.

 private:
  static constexpr int kPatienceMs = 20000;

  void Type(const std::string& line) {
    std::fputs(line.c_str(), client_);
    std::fflush(client_);
  }

  void Run() {
    while (last_ == Engine::Status::kNeedMore) {
      pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
      uint8_t buffer[65536];
      const ssize_t count =
          poll(&ready, 1, kPatienceMs) == 1 ? read(fd_, buffer, sizeof(buffer)) : 0;
      if (count <= 0) {
        return;
      }
      Bytes in(buffer, buffer + count);
      Bytes out;
      if (!engine().handshake_done()) {
        last_ = server_.Handshake(&in, &out);
      }
      if (engine().handshake_done()) {
        Listen(in, &out);
      }
      EXPECT_EQ(write(fd_, out.data(), out.size()), static_cast<ssize_t>(out.size()));
    }
  }

  void Listen(const Bytes& in, Bytes* out) {
    Bytes plain;
    const size_t before = out->size();
    last_ = server_.Open(in, &plain, out);
    heard_.append(plain.begin(), plain.end());
    if (plain.empty() && out->size() > before) {
      Type("after KeyUpdate\n");  // We have just answered one.
    }
    if (!answered_ && !heard_.empty() && heard_.back() == '\n') {
      answered_ = true;
      EXPECT_EQ(server_.Seal(ToBytes("you said: " + heard_), out), Engine::Status::kOk);
      server_.Close(out);
    }
  }

  Server server_;
  FILE* client_ = nullptr;
  int fd_ = -1;
  Engine::Status last_ = Engine::Status::kNeedMore;
  std::string heard_;
  bool answered_ = false;
};

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

// --- What an operator set up with the command, and clients that come with it.

// Pair makes a key and a certificate for `name`, and hands back what is in @name.key and @name.crt.
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

TEST_F(OpenSslTest, ChoosesACertificateByName) {
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

TEST_F(OpenSslTest, ResumesOnAnotherMachineWithTheSameTicketKeys) {
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
TEST_F(OpenSslTest, ShowsCertificatesOfItsOwn) {
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
