// Whom an operator trusts, and who a client says it is. int<1> form; 0 to 127: int<2> size and text
// of the CAs' PEM, then the revocation lists'; to 191: the same of one block's DER each; from
// there: DER of a client's certificate.
#include <openssl/base.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/pem_block.h"
#include "tls/client_auth.h"
#include "tls/client_certificate.h"

namespace sallyport::fuzz {
namespace {

constexpr int64_t kNow = 1795737600;  // Of the corpus, whose certificates end a month later.

bool FitsALog(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<uint8_t>(c) < 0x20 || static_cast<uint8_t>(c) == 0x7F;
  });
}

void Create(const std::string& ca_pem, const std::string& crl_pem) {
  const tls::ClientAuthOptions options = {
      .mode = tls::ClientCertificates::kRequired, .ca_pem = ca_pem, .crl_pem = crl_pem};
  const auto auth = tls::ClientAuth::Create(options, kNow);
  if (auth.ok()) {
    FUZZ_CHECK((*auth)->digest().size() == 32);
    const int64_t not_after = (*auth)->revocations_not_after();
    FUZZ_CHECK(not_after == 0 || (!crl_pem.empty() && not_after >= kNow));
    return;
  }
  FUZZ_CHECK(auth.status().code() == absl::StatusCode::kInvalidArgument);
  const absl::string_view message = auth.status().message();
  FUZZ_CHECK(!message.empty() && FitsALog({message.data(), message.size()}));
}

void Read(const Buffer& der) {
  const uint8_t* at = der.data();
  const bssl::UniquePtr<X509> x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (x509 == nullptr) return;
  using tls::ClientCertificate;
  const ClientCertificate read = tls::ReadClientCertificate(x509.get());
  FUZZ_CHECK(read.subject.size() <= ClientCertificate::kSubjectBytesMax && FitsALog(read.subject));
  FUZZ_CHECK(FitsALog(read.common_name) && read.names.size() <= ClientCertificate::kNamesMax);
  for (const tls::AlternativeName& name : read.names) {
    FUZZ_CHECK(name.value.size() <= ClientCertificate::kNameBytesMax && FitsALog(name.value));
  }
  using tls::UserRule;
  for (const UserRule rule :
       {UserRule::kCommonName, UserRule::kDns, UserRule::kEmail, UserRule::kUri}) {
    FUZZ_CHECK(!tls::ClientCertificateAllows(&read, rule, ""));
    FUZZ_CHECK(FitsALog(tls::WhyRefused(&read, rule)));
  }
  FUZZ_CHECK(read.common_name.empty() ||
             tls::ClientCertificateAllows(&read, UserRule::kCommonName, read.common_name));
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint8_t form = input.Byte();
  if (form >= 192) {
    fuzz::Read(input.Rest());
    return 0;
  }
  const fuzz::Buffer ca = input.Take(input.Int(2));
  const fuzz::Buffer crl = input.Rest();
  if (form < 128) {
    fuzz::Create(std::string(packet::AsText(ca)), std::string(packet::AsText(crl)));
  } else {
    fuzz::Create(fuzz::PemBlock("CERTIFICATE", ca),
                 crl.empty() ? "" : fuzz::PemBlock("X509 CRL", crl));
  }
  return 0;
}
