// What an operator brings as certificate and key. int<1> form; 0 to 127: PEM text, both from one
// file; else int<2> size and bytes of the certificate's DER, then the key's DER.
#include <string>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/pem_block.h"
#include "tests/support/test_certs.h"
#include "tls/context.h"

namespace sallyport::fuzz {
namespace {

// No line of the input that may be a key's, which is Base64, is in a message.
void CheckKeepsSecret(std::string_view pem, std::string_view message) {
  while (!pem.empty()) {
    const size_t end = std::min(pem.find('\n'), pem.size());
    const std::string_view line = pem.substr(0, end);
    if (line.size() >= 40 && line.find_first_of("- ") == line.npos) {
      FUZZ_CHECK(message.find(line) == message.npos);
    }
    pem.remove_prefix(std::min(pem.size(), end + 1));
  }
}

void Create(const std::string& certificate_pem, const std::string& key_pem) {
  const auto context = tls::Context::Create({certificate_pem, key_pem, tests::kTestNow});
  if (context.ok()) {
    const tls::CertificateInfo& info = (*context)->certificate();
    FUZZ_CHECK(info.chain_length > 0 && !info.key_type.empty());
    FUZZ_CHECK(info.not_after >= tests::kTestNow);
    return;
  }
  FUZZ_CHECK(context.status().code() == absl::StatusCode::kInvalidArgument);
  FUZZ_CHECK(!context.status().message().empty());
  const absl::string_view message = context.status().message();
  CheckKeepsSecret(key_pem, {message.data(), message.size()});
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  if (input.Byte() < 128) {
    const fuzz::Buffer text = input.Rest();
    const std::string pem(packet::AsText(text));
    fuzz::Create(pem, pem);
    return 0;
  }
  const fuzz::Buffer certificate = input.Take(input.Int(2));
  const fuzz::Buffer key = input.Rest();
  fuzz::Create(fuzz::PemBlock("CERTIFICATE", certificate), fuzz::PemBlock("PRIVATE KEY", key));
  return 0;
}
