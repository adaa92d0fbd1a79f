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

  // Add makes a record of data, behind what waits; with `more` perhaps to come it may be left open,
  // for the next bytes. AddRecord makes one of that type, and ends the open one before.
  void Add(std::string_view plain, bool open);
  void AddRecord(uint8_t type, std::string_view plain);
  // ChangeKeys: those of the records that are to be made. Behind a KeyUpdate, and with fresh ones.
  void ChangeKeys(const tls::WriteKeys& keys);

  std::string waiting;  // Records that the socket hasn't got, the first perhaps in part.
  // What a FIN would overtake.
  size_t held() const { return waiting.size() + open_.size(); }

 private:
  void Seal(uint8_t type, std::string_view plain);

  std::string open_;  // Of a record that isn't made yet.
  tls::WriteKeys keys_;
  tls::RecordMaker maker_;
  bool update_sent_ = false;  // Under keys_ nothing follows.
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_KERNEL_TX_H_
