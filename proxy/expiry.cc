#include "proxy/expiry.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sallyport {

void ExpiryWatch::Replace(const std::vector<Expiry>& expiries) {
  std::vector<Expiry> once;
  for (const Expiry& expiry : expiries) {
    if (std::find(once.begin(), once.end(), expiry) == once.end()) once.push_back(expiry);
  }
  const std::lock_guard lock(mutex_);
  expiries_ = std::move(once);
  warned_ = false;
}

std::vector<Expiry> ExpiryWatch::expiries() const {
  const std::lock_guard lock(mutex_);
  return expiries_;
}

std::vector<Expiry> ExpiryWatch::Due(int64_t now) {
  const std::lock_guard lock(mutex_);
  std::vector<Expiry> due;
  if (warned_ && now >= warned_at_ && now < warned_at_ + kDaySeconds) return due;
  warned_ = true;
  warned_at_ = now;
  std::copy_if(expiries_.begin(), expiries_.end(), std::back_inserter(due),
               [&](const Expiry& expiry) { return expiry.not_after <= now + kWarnSeconds; });
  return due;
}

}  // namespace sallyport
