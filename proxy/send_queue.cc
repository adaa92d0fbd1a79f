#include "proxy/send_queue.h"

#include <algorithm>

#include "packet/check.h"
#include "tls/secret.h"

namespace sallyport {

void SendQueue::Append(std::span<const iovec> parts, size_t skip, bool secret) {
  size_t added = 0;
  for (const iovec& part : parts) added += part.iov_len;
  std::vector<uint8_t> grown;
  // By hand, so that no old copy stays behind unwiped when the vector grows.
  if (bytes_.size() + added > bytes_.capacity()) {
    grown.reserve(std::max(size() + added, 2 * size()));
    grown.assign(bytes_.end() - static_cast<ptrdiff_t>(size()), bytes_.end());
    const bool was_secret = secret_;
    ClearBytes();
    bytes_.swap(grown);
    secret_ = was_secret;
  }
  secret_ = secret_ || secret;
  for (const iovec& part : parts) {
    const auto* bytes = static_cast<const uint8_t*>(part.iov_base);
    const size_t skipped = std::min(skip, part.iov_len);
    skip -= skipped;
    bytes_.insert(bytes_.end(), bytes + skipped, bytes + part.iov_len);
  }
}

void SendQueue::AppendRecord(const tls::ControlRecord& record, size_t behind) {
  SALLYPORT_CHECK(behind <= size());
  size_t before = size() - behind;
  for (const Record& earlier : records_) {
    SALLYPORT_CHECK(earlier.bytes_before <= before);
    before -= earlier.bytes_before;
  }
  records_.push_back({before, record});
}

std::span<const uint8_t> SendQueue::front() const {
  return std::span(bytes_).subspan(consumed_,
                                   records_.empty() ? size() : records_.front().bytes_before);
}

void SendQueue::Consume(size_t count) {
  SALLYPORT_CHECK(count <= front().size());
  consumed_ += count;
  if (!records_.empty()) records_.front().bytes_before -= count;
  if (size() == 0) ClearBytes();
}

tls::ControlRecord SendQueue::TakeRecord() {
  SALLYPORT_CHECK(record_next());
  tls::ControlRecord record = records_.front().record;
  records_.erase(records_.begin());
  if (records_.empty()) std::vector<Record>().swap(records_);
  return record;
}

void SendQueue::Clear() {
  ClearBytes();
  std::vector<Record>().swap(records_);
}

void SendQueue::ClearBytes() {
  if (secret_) tls::Wipe(bytes_);
  std::vector<uint8_t>().swap(bytes_);  // `= {}` would keep the memory.
  consumed_ = 0;
  secret_ = false;
}

}  // namespace sallyport
