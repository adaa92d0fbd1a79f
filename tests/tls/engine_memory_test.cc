// What an idle connection costs. (That Engines give back all they took, half a record included, is
// for AddressSanitizer to see, in the other tests.)
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "tests/tls/authorities.h"
#include "tests/tls/wire.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SALLYPORT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SALLYPORT_SANITIZED 1
#endif
#endif

namespace sallyport::tls {
namespace {

size_t HeapInUse() { return mallinfo2().uordblks; }

// Idle measures the heap of an established Engine, allocator's overhead included.
size_t Idle(const Context& context, const TlsClientOptions& options) {
  constexpr size_t kCount = 500;
  std::vector<std::unique_ptr<Server>> servers(kCount);
  { Pair warm(options, &context); }  // What the library allocates once.
  const size_t before = HeapInUse();
  for (std::unique_ptr<Server>& server : servers) {
    server = std::make_unique<Server>(context);
    TlsClient client(options);
    EXPECT_TRUE(Shake(server.get(), &client));
    // Some traffic, so that buffers have been there, and gone.
    Bytes sealed;
    Bytes opened;
    Bytes out;
    EXPECT_EQ(client.Seal(Pattern(40000), &sealed), TlsClient::Status::kOk);
    EXPECT_EQ(server->Open(sealed, &opened, &out), Engine::Status::kNeedMore);
    EXPECT_EQ(server->Seal(Pattern(40000), &out), Engine::Status::kOk);
  }
  return (HeapInUse() - before) / kCount;
}

void Print(const char* what, uint16_t version, size_t bytes) {
  std::printf("idle connection, %s%s: %zu bytes, of which Engine %zu\n",
              version == tests::kTls12 ? "TLS 1.2" : "TLS 1.3", what, bytes, sizeof(Engine));
}

TEST(Memory, AnIdleConnectionIsSmall) {
#ifdef SALLYPORT_SANITIZED
  GTEST_SKIP() << "the sanitizer's allocator counts nothing";
#endif
  const std::unique_ptr<Context> context = MakeContext();
  for (const uint16_t version : {tests::kTls12, tests::kTls13}) {
    const size_t bytes = Idle(*context, OnlyVersion(version));
    Print("", version, bytes);
    // An OpenSSL connection has 13 KB or more; a leftover record buffer alone would add 16 KB.
    EXPECT_LT(bytes, 6 * 1024u);
  }
}

// Connections of one application show the same certificate, and hold it once.
TEST(Memory, AClientCertificateAddsLittle) {
#ifdef SALLYPORT_SANITIZED
  GTEST_SKIP() << "the sanitizer's allocator counts nothing";
#endif
  const std::string& key = tests::TestKeyPem(tests::KeyType::kP256);
  const std::string certificate = tests::MakeCertificatePem(key, {});
  const auto context = Context::Create(
      {.certificate_pem = certificate,
       .private_key_pem = key,
       .now = tests::kTestNow,
       .client_auth = {.mode = ClientCertificates::kOptional, .ca_pem = Authority().root}});
  ASSERT_TRUE(context.ok()) << context.status();
  for (const uint16_t version : {tests::kTls12, tests::kTls13}) {
    TlsClientOptions options = OnlyVersion(version);
    const size_t without = Idle(**context, options);
    options.certificate_pem =
        ClientPem({.subject = "app", .not_after = Authorities::kEnd, .padding = 2000});
    options.private_key_pem = ClientKey();
    const size_t with = Idle(**context, options);
    Print(" with a certificate of 2 KB", version, with);
    EXPECT_LT(with, without + 500);
  }
}

}  // namespace
}  // namespace sallyport::tls
