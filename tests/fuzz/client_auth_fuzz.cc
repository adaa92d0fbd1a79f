// Whom an operator trusts, and who a client says it is. int<1> form: 0 to 63 PEM text, CAs and
// lists from one file; 64 to 127 int<2> size and bytes of a CA's DER, then a list's, if any; else
// the DER of a client's certificate.
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/pem_block.h"
#include "tls/client_auth.h"
#include "tls/client_certificate.h"

namespace sallyport::fuzz {
namespace {

constexpr int64_t kNow = 1798761600;  // 2027-01-01: the corpus's lists are valid for years around.

bool IsSafe(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

void Trust(const std::string& ca_pem, const std::string& crl_pem) {
  tls::ClientAuthOptions options;
  options.mode = tls::ClientCertificates::kRequired;
  options.ca_pem = ca_pem;
  options.crl_pem = crl_pem;
  const auto auth = tls::ClientAuth::Create(options, kNow);
  if (!auth.ok()) {
    const absl::string_view message = auth.status().message();
    FUZZ_CHECK(auth.status().code() == absl::StatusCode::kInvalidArgument);
    FUZZ_CHECK(!message.empty() && IsSafe({message.data(), message.size()}));
    return;
  }
  FUZZ_CHECK(ca_pem.find("CERTIFICATE") != ca_pem.npos && (*auth)->digest().size() == 32);
  const int64_t until = (*auth)->revocations_not_after();
  FUZZ_CHECK(until == 0 || (until >= kNow && crl_pem.find("X509 CRL") != crl_pem.npos));
  const bssl::UniquePtr<SSL_CTX> ctx(SSL_CTX_new(TLS_method()));
  tls::AskForCertificates(*auth, ctx.get());
}

void CheckNames(const tls::ClientCertificate& certificate) {
  using tls::UserRule;
  FUZZ_CHECK(certificate.subject.size() <= tls::ClientCertificate::kSubjectBytesMax);
  FUZZ_CHECK(IsSafe(certificate.subject) && IsSafe(certificate.common_name));
  FUZZ_CHECK(certificate.names.size() <= tls::ClientCertificate::kNamesMax);
  FUZZ_CHECK(certificate.common_name.size() <= tls::ClientCertificate::kNameBytesMax);
  for (const tls::AlternativeName& name : certificate.names) {
    FUZZ_CHECK(name.value.size() <= tls::ClientCertificate::kNameBytesMax && IsSafe(name.value));
  }
  FUZZ_CHECK(
      tls::ClientCertificateAllows(&certificate, UserRule::kCommonName, certificate.common_name) ==
      !certificate.common_name.empty());
  for (const UserRule rule :
       {UserRule::kCommonName, UserRule::kDns, UserRule::kEmail, UserRule::kUri}) {
    FUZZ_CHECK(!tls::ClientCertificateAllows(&certificate, rule, ""));
    FUZZ_CHECK(IsSafe(tls::WhyRefused(&certificate, rule)));
  }
}

void Introduce(Bytes der) {
  const bssl::UniquePtr<CRYPTO_BUFFER> buffer(CRYPTO_BUFFER_new(der.data(), der.size(), nullptr));
  const bssl::UniquePtr<X509> x509(X509_parse_from_buffer(buffer.get()));
  if (x509 != nullptr) CheckNames(tls::ReadClientCertificate(x509.get()));
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint8_t form = input.Byte();
  if (form < 64) {
    const fuzz::Buffer text = input.Rest();
    const std::string pem(packet::AsText(text));
    fuzz::Trust(pem, pem);
  } else if (form < 128) {
    const fuzz::Buffer ca = input.Take(input.Int(2));
    const fuzz::Buffer crl = input.Rest();
    fuzz::Trust(fuzz::PemBlock("CERTIFICATE", ca),
                crl.empty() ? "" : fuzz::PemBlock("X509 CRL", crl));
  } else {
    fuzz::Introduce(input.Rest());
  }
  return 0;
}
