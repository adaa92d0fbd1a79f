// SimRing: the third engine behind the Ring. The world's dice decide when an op completes and in
// which order, how much a transfer moves, what fails, who wins against a Cancel, whether bytes are
// taken in the middle of a batch (a full submission queue), and when the shared buffers are empty.
//
// What it checks by itself: a verb on an fd that isn't open or not fit for it, two ops with one
// tag, Close with an op in flight, RecvNow past a Recv without DrainAllowed, bytes behind a FIN,
// a password on its way to a plaintext server, bytes in clear for a client on TLS, EncryptSends in
// the middle of a record, a FIN that overtakes a record of kernel TLS, and how much the proxy holds
// back between a session's two sockets.
#ifndef TESTS_SIM_SIM_RING_H_
#define TESTS_SIM_SIM_RING_H_

#include <deque>
#include <memory>
#include <vector>

#include "proxy/ring/ring.h"
#include "tests/sim/host.h"
#include "tls/write_keys.h"

namespace sallyport::sim {

class SimRing final : public Ring {
 public:
  explicit SimRing(Host* host) : host_(*host), traits_(host->options.kernel) {}
  ~SimRing() override;

  absl::Status Start() override;
  const char* name() const override { return "simulation"; }

  void Accept(int fd, OpTag tag) override;
  void Connect(int fd, const Address* address, OpTag tag) override;
  void Recv(int fd, OpTag tag) override;
  void Poll(int fd, uint32_t events, OpTag tag) override;
  void Cancel(OpTag tag) override;

  int OpenSocket(const Address& address) override;
  void Tune(int fd, const SocketTuning& tuning) override;
  Address PeerAddress(int fd) override;
  Address OwnAddress(int fd) override;
  int32_t RecvNow(int fd, std::span<uint8_t> room) override;
  bool DrainAllowed(int fd) override;
  int32_t SendNow(int fd, std::span<const iovec> parts) override;
  int32_t SpliceNow(int from, int to, size_t size) override;
  int32_t OpenPipe(size_t size, int* read_fd, int* write_fd) override;
  int32_t EncryptSends(int fd, std::span<const uint8_t> crypto_info) override;
  int32_t ChangeKeys(int fd, std::span<const uint8_t> crypto_info) override;
  int32_t SendRecordNow(int fd, uint8_t type, std::span<const uint8_t> content) override;
  void ShutdownSend(int fd) override;
  void Close(int fd, bool reset) override;

  std::span<const Completion> Wait(uint64_t deadline_ms) override;
  uint64_t now_ms() const override { return now_ms_; }

  // deadline_ms of the last Wait: when it must be called again, whatever happens.
  uint64_t deadline_ms() const { return deadline_ms_; }
  size_t ops_in_flight() const { return ops_.size() + waiting_.size(); }

 private:
  struct Op {
    OpTag tag;
    int fd = -1;
    uint32_t events = 0;    // Of a Poll.
    int32_t connected = 0;  // Of a Connect: what it comes to; kHangs: nothing.
    bool cancelled = false;
  };
  // A completion, and the bytes that it names, in a heap block of their exact size.
  struct Ready {
    Completion completion;
    int fd = -1;  // Of the op.
    std::unique_ptr<uint8_t[]> bytes;
    size_t buffers = 0;
  };
  // The connection that a slot's ops belong to.
  struct Owner {
    uint16_t generation = 0;
    Wire* client = nullptr;
  };

  const Owner& OwnerOf(OpTag tag);
  void Submit(Op op);
  void Enter();
  // Try looks whether the op completes now. True: it is over.
  bool Try(const Op& op);
  bool TryAccept(const Op& op);
  bool TryConnect(const Op& op);
  bool TryRecv(const Op& op);
  bool TryPoll(const Op& op);
  void TakeForRecv(const Op& op, Wire* wire, bool more);
  Ready& Complete(const Op& op, int32_t result, bool more);
  uint32_t Revents(int fd, uint32_t events);

  Wire* Socket(int fd, const char* verb);
  int32_t Deliver(Wire* wire, std::string_view bytes, bool spliced = false);
  int32_t SendFailure(Wire* wire);
  void Put(Wire* wire, std::string_view bytes);
  int32_t DeliverRecords(Wire* wire, std::string_view bytes, bool spliced);
  void PushRecords(Wire* wire);
  void Took(Wire* wire, size_t count);
  bool BreaksNow(Wire* wire);

  Host& host_;
  const KernelTraits& traits_;
  bool started_ = false;
  uint64_t now_ms_ = 0;
  uint64_t deadline_ms_ = 0;
  std::vector<Op> ops_;
  std::deque<Ready> waiting_;  // Completed, not yet handed out.
  std::vector<Ready> lent_;    // Of the batch.
  std::vector<Completion> batch_;
  size_t buffers_used_ = 0;
  std::vector<Owner> owners_;
  Wire* last_client_ = nullptr;
  std::vector<Wire*> encrypted_;      // By kernel TLS.
  std::vector<Wire*> asked_for_tls_;  // The proxy has their SSLRequest, perhaps unread.
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_SIM_RING_H_
