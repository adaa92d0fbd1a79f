// DER in PEM's clothes, so that a fuzzer changes what is inside.
#ifndef TESTS_FUZZ_PEM_BLOCK_H_
#define TESTS_FUZZ_PEM_BLOCK_H_

#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "packet/wire.h"

namespace sallyport::fuzz {

inline std::string PemBlock(const std::string& label, packet::Bytes der) {
  const std::string_view bytes = packet::AsText(der);
  const std::string text = absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
  std::string pem = "-----BEGIN " + label + "-----\n";
  for (size_t i = 0; i < text.size(); i += 64) pem += text.substr(i, 64) + "\n";
  return pem + "-----END " + label + "-----\n";
}

}  // namespace sallyport::fuzz

#endif  // TESTS_FUZZ_PEM_BLOCK_H_
