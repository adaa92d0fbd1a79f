// A server's RSA key, and a client's ciphertext for ours. int<1> form: 0 to 99 the key as PEM text,
// 100 to 199 its DER, else a ciphertext.
#include <string>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/pem_block.h"
#include "tls/rsa_password.h"

namespace sallyport::fuzz {
namespace {

constexpr packet::Bytes AsPassword(const uint8_t (&text)[9]) { return text; }
constexpr uint8_t kPassword[9] = {'s', 'e', 's', 'a', 'm', 'e', '-', '1', 0};
constexpr std::array<uint8_t, tls::kPasswordNonceSize> kNonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

void Encrypt(std::string_view pem) {
  Buffer out(tls::kRsaCiphertextSizeMax);
  size_t size = 0;
  const tls::EncryptResult result =
      tls::EncryptPassword(pem, AsPassword(kPassword), kNonce, out, &size);
  FUZZ_CHECK(result != tls::EncryptResult::kPasswordTooLong);  // It fits into any accepted key.
  if (result != tls::EncryptResult::kOk) return;
  FUZZ_CHECK(size >= tls::kServerKeyBitsMin / 8 && size <= tls::kRsaCiphertextSizeMax);
  const std::string_view sent = packet::AsText(Bytes(out).first(size));
  FUZZ_CHECK(sent.find(packet::AsText(AsPassword(kPassword))) == sent.npos);
}

void Decrypt(Bytes ciphertext) {
  static const tls::PasswordKey* const key = tls::PasswordKey::Generate().value().release();
  const tls::Secret password = key->Decrypt(ciphertext, kNonce);
  FUZZ_CHECK(password.empty());  // Nobody encrypted it.
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const uint8_t form = input.Byte();
  const fuzz::Buffer bytes = input.Rest();
  if (form < 100) {
    fuzz::Encrypt(packet::AsText(bytes));
  } else if (form < 200) {
    fuzz::Encrypt(fuzz::PemBlock("PUBLIC KEY", bytes));
  } else {
    fuzz::Decrypt(bytes);
  }
  return 0;
}
