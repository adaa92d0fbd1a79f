#include "tls/signature.h"

#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "tls/library_error.h"
#include "tls/require.h"

namespace sallyport::tls {
namespace {

// As the padding functions of the library call "as long as the digest".
constexpr int kSaltAsLongAsDigest = -1;

}  // namespace

SignatureRequest::SignatureRequest(EVP_PKEY* key, uint16_t algorithm,
                                   std::span<const uint8_t> input)
    : key_(bssl::UpRef(key)),
      algorithm_(algorithm),
      input_size_(static_cast<uint16_t>(input.size())) {
  Require(input.size() <= kInputSizeMax, "SignatureRequest: kInputSizeMax");
  std::copy(input.begin(), input.end(), input_.begin());
}

SignatureRequest::~SignatureRequest() = default;
SignatureRequest::SignatureRequest(SignatureRequest&&) noexcept = default;
SignatureRequest& SignatureRequest::operator=(SignatureRequest&&) noexcept = default;

std::vector<uint8_t> SignatureRequest::Sign() const {
  LibraryErrors errors;
  const EVP_MD* digest = SSL_get_signature_algorithm_digest(algorithm_);
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* key_context = nullptr;
  if (digest == nullptr ||
      !EVP_DigestSignInit(context.get(), &key_context, digest, nullptr, key_.get())) {
    return {};
  }
  if (SSL_is_signature_algorithm_rsa_pss(algorithm_) &&
      (!EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) ||
       !EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, kSaltAsLongAsDigest))) {
    return {};
  }
  std::vector<uint8_t> signature(static_cast<size_t>(EVP_PKEY_size(key_.get())));
  size_t size = signature.size();
  if (!EVP_DigestSign(context.get(), signature.data(), &size, input_.data(), input_size_)) {
    return {};
  }
  signature.resize(size);
  return signature;
}

}  // namespace sallyport::tls
