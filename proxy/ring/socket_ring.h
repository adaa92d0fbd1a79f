// SocketRing: the verbs of a Ring that act at once, its clock, and looking before blocking; the
// same for every real engine.
#ifndef PROXY_RING_SOCKET_RING_H_
#define PROXY_RING_SOCKET_RING_H_

#include <cstdint>
#include <span>

#include "proxy/ring/ring.h"
#include "proxy/ring/spin.h"

namespace sallyport {

class SocketRing : public Ring {
 public:
  explicit SocketRing(const RingOptions& options)
      : spin_(int64_t{options.spin_us} * kNanosecondsPerMicrosecond) {}

  int OpenSocket(const Address& address) override;
  void Tune(int fd, const SocketTuning& tuning) override;
  Address PeerAddress(int fd) override;
  Address OwnAddress(int fd) override;
  int32_t RecvNow(int fd, std::span<uint8_t> room) override;
  int32_t SendNow(int fd, std::span<const iovec> parts) override;
  int32_t SpliceNow(int from, int to, size_t size) override;
  int32_t OpenPipe(size_t size, int* read_fd, int* write_fd) override;
  int32_t EncryptSends(int fd, std::span<const uint8_t> crypto_info) override;
  int32_t ChangeKeys(int fd, std::span<const uint8_t> crypto_info) override;
  int32_t SendRecordNow(int fd, uint8_t type, std::span<const uint8_t> content) override;
  void ShutdownSend(int fd) override;
  void Close(int fd, bool reset) override;
  std::span<const Completion> Wait(uint64_t deadline_ms) final;
  uint64_t now_ms() const override { return now_ms_; }
  uint64_t now_us() const override { return now_us_; }
  uint64_t clock_us() const override;

 protected:
  // WaitOnce is Wait without looking first. A deadline of 0 polls.
  virtual std::span<const Completion> WaitOnce(uint64_t deadline_ms) = 0;
  // ReadClock sets now_ms and now_us.
  void ReadClock();
  // NanosecondsUntil is how far off `deadline_ms` is on a clock read now: 0 when it has passed,
  // kForever at most.
  static constexpr int64_t kForever = INT64_MAX;
  static int64_t NanosecondsUntil(uint64_t deadline_ms);

 private:
  static constexpr int64_t kNanosecondsPerMicrosecond = 1000;

  std::span<const Completion> Look();

  Spin spin_;
  uint64_t now_ms_ = 0;
  uint64_t now_us_ = 0;
};

// RingCheck stops the process when an assumption of ours is wrong (a verb's REQUIRES, an answer
// that the kernel can't give); never for what a peer does. `error`: an errno to name, or 0.
[[noreturn]] void RingCheckFailed(const char* what, int error);
inline void RingCheck(bool condition, const char* what, int error = 0) {
  if (!condition) [[unlikely]]
    RingCheckFailed(what, error);
}

}  // namespace sallyport

#endif  // PROXY_RING_SOCKET_RING_H_
