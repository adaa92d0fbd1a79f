// Kernel TLS: records towards a client that the kernel makes in the session's place, so that a
// server's bytes need not enter user space. Receiving stays with the session's tls::Engine.
//
// Needs CONFIG_TLS and the module `tls`, which only root's processes load by using it; and Linux
// 6.14, where a client asks for new keys (KeyUpdate of TLS 1.3).
#ifndef PROXY_KERNEL_TLS_H_
#define PROXY_KERNEL_TLS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "proxy/ring/ring.h"
#include "tls/write_keys.h"

namespace sallyport {

// KernelTls says which of the six (TLS 1.2 and 1.3, three ciphers) the kernel takes; none unless
// it was probed.
class KernelTls {
 public:
  // Probe tries each: on a connection of its own over loopback, unless somebody else answers.
  using Prober =
      std::function<absl::Status(std::span<const uint8_t> crypto_info, bool* changes_keys)>;
  static KernelTls Probe(const Prober& prober = ProbeEncryptSends);

  bool any() const { return taken_ != 0; }
  bool Takes(const tls::WriteKeys& keys) const { return (taken_ & Bit(keys)) != 0; }
  // ChangesKeys: takes others of the kind in their place.
  bool ChangesKeys(const tls::WriteKeys& keys) const { return (changed_ & Bit(keys)) != 0; }
  bool changes_keys() const { return changed_ != 0; }  // Of TLS 1.3, which alone has KeyUpdate.
  // lacks names what is not taken and why, for the log; empty when all are.
  const std::string& lacks() const { return lacks_; }

 private:
  static uint8_t Bit(const tls::WriteKeys& keys) {
    return static_cast<uint8_t>(1 << (2 * static_cast<int>(keys.aead) + (keys.tls13 ? 1 : 0)));
  }

  uint8_t taken_ = 0;
  uint8_t changed_ = 0;
  std::string lacks_;
};

// CryptoInfo is the keys as Ring::EncryptSends takes them (<linux/tls.h>). Wiped when it goes.
class CryptoInfo {
 public:
  explicit CryptoInfo(const tls::WriteKeys& keys);
  ~CryptoInfo();
  CryptoInfo(const CryptoInfo&) = delete;
  CryptoInfo& operator=(const CryptoInfo&) = delete;

  std::span<const uint8_t> bytes() const { return std::span(memory_).first(size_); }

 private:
  alignas(8) std::array<uint8_t, 64> memory_{};
  size_t size_ = 0;
};

}  // namespace sallyport

#endif  // PROXY_KERNEL_TLS_H_
