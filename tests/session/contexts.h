// What the listener of a Conversation has of TLS. Made once, for all conversations.
#ifndef TESTS_SESSION_CONTEXTS_H_
#define TESTS_SESSION_CONTEXTS_H_

#include <string>
#include <string_view>

#include "tls/context.h"

namespace sallyport::tests {

const tls::Context* EcdsaContext();
const tls::Context* RsaContext();  // Its signatures are made elsewhere.

// AskingContext asks for a certificate, without insisting; ClientCertificatePem is one that it
// believes, with the key of TestKeyPem(KeyType::kP256).
const tls::Context* AskingContext();
std::string ClientCertificatePem(std::string_view common_name);

}  // namespace sallyport::tests

#endif  // TESTS_SESSION_CONTEXTS_H_
