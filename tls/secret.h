// Secret: a password or a key while it must be held. Wiped when it goes.
#ifndef TLS_SECRET_H_
#define TLS_SECRET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sallyport::tls {

// Wipe overwrites `bytes` in a way that the compiler doesn't remove (OPENSSL_cleanse).
void Wipe(std::span<uint8_t> bytes);

// Secret owns a copy of bytes. Movable, not copyable; never grows in place, so no stale copy stays
// behind in freed memory.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::span<const uint8_t> bytes);
  explicit Secret(size_t size);  // Zero-filled.
  ~Secret();
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;

  std::span<const uint8_t> bytes() const { return bytes_; }
  std::span<uint8_t> bytes() { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  void Clear();  // Wipes and frees.

 private:
  std::vector<uint8_t> bytes_;
};

}  // namespace sallyport::tls

#endif  // TLS_SECRET_H_
