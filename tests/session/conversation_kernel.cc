// Conversation's kernel, that makes the records for the client.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/session/conversation.h"

namespace sallyport::tests {

void Conversation::KernelTakesOver() {
  Flush();
  ASSERT_TRUE(session_->can_hand_over());
  const std::optional<tls::WriteKeys> keys = session_->write_keys();
  ASSERT_TRUE(keys.has_value());
  kernel_.emplace(*keys);
  session_->HandOver();
}

std::string Conversation::SealedByKernel(std::string_view plaintext, const Outbox& outbox) {
  std::vector<uint8_t> records;
  for (; !plaintext.empty();
       plaintext.remove_prefix(std::min(plaintext.size(), tls::Engine::kRecordPlaintextMax))) {
    kernel_->Seal(tls::RecordMaker::kData,
                  packet::AsBytes(plaintext.substr(0, tls::Engine::kRecordPlaintextMax)), &records);
  }
  for (const tls::ControlRecord& record : outbox.controls()) {
    kernel_->Seal(record.type, record.bytes(), &records);
  }
  return std::string(records.begin(), records.end());
}

}  // namespace sallyport::tests
