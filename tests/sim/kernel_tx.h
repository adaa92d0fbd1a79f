// KernelTx: kernel TLS on one socket, which encrypts what is sent. As in Linux, a record is taken
// as soon as the socket has any room, and what of it doesn't fit waits outside of the socket: of
// that a FIN knows nothing, and new bytes have to wait behind it.
#ifndef TESTS_SIM_KERNEL_TX_H_
#define TESTS_SIM_KERNEL_TX_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tests/tls/record_maker.h"
#include "tls/write_keys.h"

namespace sallyport::sim {

class KernelTx {
 public:
  static constexpr size_t kRecordPlaintextMax = 16 * 1024;

  // ReadKeys reads a struct of <linux/tls.h>. Nothing: a kernel would say -EINVAL.
  static std::optional<tls::WriteKeys> ReadKeys(std::span<const uint8_t> crypto_info);
  // Bit of that version and cipher, in KernelTraits::encrypts.
  static uint8_t Bit(const tls::WriteKeys& keys);

  explicit KernelTx(const tls::WriteKeys& keys) : keys_(keys), maker_(keys) {}

  // Seal makes a record, behind what waits.
  void Seal(uint8_t type, std::string_view plain);
  // ChangeKeys: those of the records that are to be made. Behind a KeyUpdate, and with fresh ones.
  void ChangeKeys(const tls::WriteKeys& keys);

  std::string waiting;  // Records that the socket hasn't got, the first perhaps in part.

 private:
  tls::WriteKeys keys_;
  tls::RecordMaker maker_;
  bool update_sent_ = false;  // Under keys_ nothing follows.
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_KERNEL_TX_H_
