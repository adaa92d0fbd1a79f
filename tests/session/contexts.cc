#include "tests/session/contexts.h"

#include <cstdint>

#include "tests/support/test_certs.h"

namespace sallyport::tests {
namespace {

const tls::Context* MakeContext(KeyType type) {
  const std::string& key = TestKeyPem(type);
  const std::string certificate = MakeCertificatePem(key, {});
  return tls::Context::Create({certificate, key, kTestNow, /*defer_signatures=*/true})
      .value()
      .release();
}

constexpr int64_t kForever = kTestNow + 10'000 * kTestDay;  // Of no matter to these tests.

}  // namespace

const tls::Context* EcdsaContext() {
  static const tls::Context* const context = MakeContext(KeyType::kP256);
  return context;
}

const tls::Context* RsaContext() {
  static const tls::Context* const context = MakeContext(KeyType::kRsa2048);
  return context;
}

const tls::Context* AskingContext() {
  static const tls::Context* const context = [] {
    const std::string& key = TestKeyPem(KeyType::kP256);
    const std::string ca =
        MakeCertificatePem(key, {.subject = "CA", .not_after = kForever, .ca = true});
    const std::string certificate = MakeCertificatePem(key, {});
    tls::ContextOptions options = {certificate, key, kTestNow};
    options.client_auth = {.mode = tls::ClientCertificates::kOptional, .ca_pem = ca};
    return tls::Context::Create(options).value().release();
  }();
  return context;
}

std::string ClientCertificatePem(std::string_view common_name) {
  const std::string& key = TestKeyPem(KeyType::kP256);
  return MakeCertificatePem(key, {.subject = std::string(common_name),
                                  .not_after = kForever,
                                  .issuer = "CA",
                                  .issuer_key_pem = key});
}

}  // namespace sallyport::tests
