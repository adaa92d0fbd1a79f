#include "tests/session/sha2.h"

#include <gtest/gtest.h>

namespace sallyport::tests {

void ExchangeKey(Conversation& c, uint8_t sequence_id, std::string_view nonce,
                 std::string_view request, std::string_view password) {
  c.ExpectServer(sequence_id, request);
  c.Server(static_cast<uint8_t>(sequence_id + 1), MoreData(ServerPublicKeyPem()));
  const std::string ciphertext = c.TakeServer(static_cast<uint8_t>(sequence_id + 2));
  EXPECT_EQ(ServerDecrypts(ciphertext, nonce), std::string(password) + '\0');
  c.ExpectNothing(Side::kClient);
}

}  // namespace sallyport::tests
