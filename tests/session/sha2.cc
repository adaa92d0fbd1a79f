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

void SwitchAndMediate(Conversation& c, std::string_view nonce) {
  c.Server(1, AuthSwitch(kCachingSha2, nonce));
  c.ExpectClient(1, AuthSwitch(kCachingSha2, nonce));
  c.Client(2, Scramble());
  c.ExpectServer(2, Scramble());
  c.Server(3, kFullAuth);
  c.ExpectClient(3, kFullAuth);
  c.Client(4, PasswordNul());
  ExchangeKey(c, 4, nonce, kCachingSha2KeyRequest);
  Accept(c, 7, 5);
}

}  // namespace sallyport::tests
