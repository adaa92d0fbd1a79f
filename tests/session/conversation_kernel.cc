// Conversation's kernel, that makes the records for the client.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/session/conversation.h"

namespace sallyport::tests {

void Conversation::KernelTakesOver(bool changes_keys) {
  Flush();
  ASSERT_TRUE(session_->can_hand_over());
  const std::optional<tls::WriteKeys> keys = session_->write_keys();
  ASSERT_TRUE(keys.has_value());
  kernel_.emplace(*keys);
  session_->HandOver(changes_keys);
}

void Conversation::KernelGoesOn() {
  Flush();
  kernel_waits_ = false;
  Call([] {});
}

// All that the client's socket takes of what waits for it, as a Connection sends it.
std::string Conversation::SentByKernel() {
  std::vector<uint8_t> records;
  while (!kernel_queue_.empty() && !kernel_waits_) {
    if (kernel_queue_.record_next()) {
      const tls::ControlRecord record = kernel_queue_.TakeRecord();
      kernel_->Seal(record.type, record.bytes(), &records);
      if (record.next_keys.has_value()) ChangeKeys(*record.next_keys);
    } else {
      const std::span<const uint8_t> front = kernel_queue_.front();
      const size_t size = std::min(front.size(), tls::Engine::kRecordPlaintextMax);
      kernel_->Seal(tls::RecordMaker::kData, front.first(size), &records);
      kernel_queue_.Consume(size);
    }
  }
  return std::string(records.begin(), records.end());
}

void Conversation::ChangeKeys(const tls::WriteKeys& keys) {
  if (kernel_refusal_.empty()) {
    ++keys_changed_;
    kernel_.emplace(keys);
    session_->KeysChanged();
  } else {
    kernel_queue_.Clear();
    session_->KeysRefused(kernel_refusal_, &Bench());
  }
}

}  // namespace sallyport::tests
