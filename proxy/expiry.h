// Expiry: when what TLS is made from stops being good, for metrics and warnings.
#ifndef PROXY_EXPIRY_H_
#define PROXY_EXPIRY_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace sallyport {

struct Expiry {
  std::string listener;   // Its name, or its first address as configured.
  std::string kind;       // "certificate", "client_ca", "client_crl".
  std::string file;       // Empty: made in memory.
  std::string subject;    // Of a certificate.
  int64_t not_after = 0;  // Unix seconds; of a chain or a file whichever comes first.

  bool operator==(const Expiry&) const = default;
};

// ExpiryWatch keeps what is in force and says when to warn of what. All calls: any thread.
class ExpiryWatch {
 public:
  // Long enough for an operator on holiday, and well inside the 30 days before the end in which
  // ACME clients renew: who renews by himself never hears of it.
  static constexpr int64_t kWarnSeconds = 21 * 86400;
  static constexpr int64_t kDaySeconds = 86400;

  // Replace sets what is in force from now on; what is there twice is kept once.
  void Replace(const std::vector<Expiry>& expiries);
  std::vector<Expiry> expiries() const;

  // Due is what to warn of now: all that expires within kWarnSeconds, or has, at the first call
  // after Replace and then at one call a day; in between nothing. A clock that was set back counts
  // as a new day.
  std::vector<Expiry> Due(int64_t now);

 private:
  mutable std::mutex mutex_;
  std::vector<Expiry> expiries_;
  bool warned_ = false;
  int64_t warned_at_ = 0;
};

}  // namespace sallyport

#endif  // PROXY_EXPIRY_H_
