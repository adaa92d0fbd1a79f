// The RSA ends of a password exchange: the server that decrypts, the client that encrypts. Written
// for the tests, from the protocol's documentation.
#ifndef TESTS_SESSION_RSA_H_
#define TESTS_SESSION_RSA_H_

#include <string>
#include <string_view>

namespace sallyport::tests {

// The key of the servers here (2048 bits), as AuthMoreData carries it.
const std::string& ServerPublicKeyPem();

// ServerDecrypts returns the password as the server reads it, its final NUL included; empty when
// `ciphertext` is none of its key.
std::string ServerDecrypts(std::string_view ciphertext, std::string_view nonce);

// ClientEncrypts encrypts `password` (its NUL is added) for any public key.
std::string ClientEncrypts(std::string_view public_key_pem, std::string_view password,
                           std::string_view nonce);

}  // namespace sallyport::tests

#endif  // TESTS_SESSION_RSA_H_
