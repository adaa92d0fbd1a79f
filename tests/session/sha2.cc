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

void SwitchAndMediate(Conversation& c, std::string_view nonce, uint8_t server_sequence_id,
                      uint8_t client_sequence_id) {
  const auto server = [=](int ahead) { return static_cast<uint8_t>(server_sequence_id + ahead); };
  const auto client = [=](int ahead) { return static_cast<uint8_t>(client_sequence_id + ahead); };
  c.Server(server(0), AuthSwitch(kCachingSha2, nonce));
  c.ExpectClient(client(0), AuthSwitch(kCachingSha2, nonce));
  c.Client(client(1), Scramble());
  c.ExpectServer(server(1), Scramble());
  c.Server(server(2), kFullAuth);
  c.ExpectClient(client(2), kFullAuth);
  c.Client(client(3), PasswordNul());
  ExchangeKey(c, server(3), nonce, kCachingSha2KeyRequest);
  Accept(c, server(6), client(4));
}

}  // namespace sallyport::tests
