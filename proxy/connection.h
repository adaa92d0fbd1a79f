// Connection: a Session with its two sockets, their ops in flight, and its deadline.
//
// Bytes come in, the Session says what goes out, SendNow sends it; what a socket won't take waits
// in its SendQueue, and while that is long the other side isn't read. There are three ways of
// reading a side:
//
//   Recv op   small messages, and whenever nothing is known. Idle connections hold no memory
//   Drain     what the socket still held behind a full Recv, in one large read; and what comes
//             when the ring's buffers are used up
//   bulk      polled, then read in large pieces; spliced through a pipe where the Session passes
//             bytes through unseen. Bytes that the other socket won't take stay in the pipe
//
// Closing is a join: BeginClose cancels the ops in flight, and the fds are closed and the
// Connection is handed back (Workbench::finished) when the last of their completions has come.
#ifndef PROXY_CONNECTION_H_
#define PROXY_CONNECTION_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "proxy/admission.h"
#include "proxy/inspect.h"
#include "proxy/limits.h"
#include "proxy/log/line_limit.h"
#include "proxy/pipe_pool.h"
#include "proxy/proxy_protocol/header.h"
#include "proxy/ring/ring.h"
#include "proxy/send_queue.h"
#include "proxy/service.h"
#include "proxy/session/outbox.h"
#include "proxy/session/session.h"
#include "proxy/side.h"
#include "proxy/signature_inbox.h"
#include "proxy/slot_tag.h"
#include "proxy/stats.h"
#include "proxy/timer_wheel.h"

namespace sallyport {

class Connection;

// Workbench: what a worker lends to whichever of its connections it is working on.
struct Workbench {
  Ring* ring = nullptr;
  TimerWheel* timers = nullptr;
  Stats* stats = nullptr;
  Outboxes outboxes;
  PipePool pipes;
  std::span<uint8_t> receive_room;  // kReceiveBytesMax bytes.
  uint64_t turn = 0;                // Of the worker's loop.
  size_t turn_ring_bytes = 0;       // That its Recv completions brought.
  std::vector<Connection*> drains;  // To be drained when this batch's completions are done.
  int handshake_steps = 0;          // That this turn may still do.
  std::deque<SlotTag> handshakes;   // Whose TLS handshake step waits for its turn.
  // Likewise, with the signature that was made for it elsewhere; and where those arrive.
  std::deque<FinishedSignature> signatures;
  std::shared_ptr<SignatureInbox> signature_inbox;
  std::vector<Connection*> finished;  // Nothing in flight, all closed: to be freed.
  LineLimit failed_lines{kFailedLinesBurst, kFailedLinesPerSecond};
};

class Connection {
  struct ConnectionTimer : Timer {
    Connection* owner = nullptr;
  };

 public:
  // service: kept until the end, whatever is reloaded. id: unique in the process, for the log.
  // client_fd is owned from here on. slot and generation tag its ops. visitor: met or not.
  Connection(Workbench* bench, std::shared_ptr<const Service> service, uint64_t id, uint32_t slot,
             uint16_t generation, int client_fd, const Visitor& visitor);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Start tries the first server, or waits for the PROXY header first, and begins to read from the
  // client.
  void Start();
  void OnCompletion(const Completion& completion);
  // Drain reads in bulk, past the Recv op, what the socket still holds, or what the ring had no
  // buffer for. Call with no completion of this batch unhandled.
  void Drain();
  // StepHandshake gives the Session the bytes of a TLS handshake that waited for their turn.
  void StepHandshake();
  // OnSignature goes on with a handshake whose signature was made elsewhere.
  void OnSignature(std::span<const uint8_t> signature);
  void OnDeadline();
  // Shutdown ends the connection from our side, with an ERR_Packet where the protocol allows one.
  void Shutdown(CloseReason reason = CloseReason::kShutdown);
  SessionInfo Inspect() const;

  uint32_t slot() const { return slot_; }
  uint64_t id() const { return id_; }
  const Service& service() const { return *service_; }
  const Visitor& visitor() const { return visitor_; }
  // FromTimer finds the connection whose timer expired.
  static Connection* FromTimer(Timer* timer) { return static_cast<ConnectionTimer*>(timer)->owner; }

 private:
  // One of the two sockets.
  struct Link {
    int fd = -1;
    bool connected = false;
    bool recv_in_flight = false;
    bool recv_cancelled = false;
    bool send_poll_in_flight = false;     // POLLOUT: the queue or the pipe waits.
    bool read_poll_in_flight = false;     // POLLIN: bulk.
    bool failure_poll_in_flight = false;  // For a reset, where reading may stand still;
    bool failure_poll_over = false;       // its answer came.
    bool connect_in_flight = false;
    bool ended = false;       // The peer's FIN or an error was seen: nothing more to read.
    bool broken = false;      // Nothing can be sent any more.
    bool end_wanted = false;  // Send FIN once the queue is empty,
    bool end_sent = false;    // which was done.
    bool drain_wanted = false;
    bool bulk = false;
    uint64_t bytes_received = 0;
    uint64_t turn = 0;         // In which
    size_t turn_bytes = 0;     // these were received.
    SendQueue queue;           // For this side.
    Pipe pipe;                 // Bytes from this side,
    size_t piped = 0;          // this many.
    size_t queue_counted = 0;  // What the Stats hold of the queue,
    size_t piped_counted = 0;  // and of `piped`.

    bool in_flight() const {
      return recv_in_flight || send_poll_in_flight || read_poll_in_flight ||
             failure_poll_in_flight || connect_in_flight;
    }
  };

  // What the deadline is for.
  enum class Stage : uint8_t { kHeader, kLogin, kCommand, kExcuse, kLinger };

  // --- The server (dial.cc).
  void Begin();
  void ConnectToServer(int error);
  bool ChooseNextServer();
  std::string_view server_text() const;
  void OnConnect(int32_t result);
  void OnConnectFailed(int error);
  void RefuseUnreachable(int error);
  void NoteServerAnswered();
  void NoteServerSilent();
  void LeaveServer();
  ServerState& server_state() const { return *service_->servers[server_index_].state; }

  // --- Addresses (arrival.cc).
  void TakeHeader(std::span<uint8_t> bytes);
  bool OnHeader(const ProxyHeader& header);
  void RefuseArrival(CloseReason reason, const packet::Error* error);
  void SendProxyHeader();
  void AskForHandshake();
  void CountForAddress();

  // --- Moving bytes (relay.cc).
  void OnRecv(Side side, const Completion& completion);
  void WantDrain(Side side);
  void OnReadPoll(Side side);
  void OnSendPoll(Side side);
  void OnFailurePoll(int32_t revents);
  void Take(Side from, std::span<uint8_t> bytes);
  bool DeferHandshake(Side from, std::span<const uint8_t> bytes);
  int32_t ReadBulkOnce(Side from);
  int32_t SpliceOnce(Side from);
  void PushPipe(Side from);
  void DropPipe(Side from);
  void CountReceived(Side from, size_t count, Way way);
  void CountWaiting(Side side);

  void Deliver(Side from, std::span<uint8_t> bytes);
  void DeliverEnd(Side from, bool reset);
  // Settle ends every event: it runs what the session still has to do, arms or stops reading,
  // counts, notices the end.
  void Settle();
  void HandOver();
  bool SignHere();
  void GiveSignature(std::span<const uint8_t> signature);
  void SendOutboxes(bool secret);
  void Send(Side to, const Outbox& outbox, bool secret);
  void SendQueued(Side to, bool polled);
  int32_t SendRecord(Side to);
  void AfterSend(Side to);
  void Break(Side side);
  void UpdateReads();
  void WatchForReset();
  bool WantsRead(Side side) const;
  bool HasUnsent(Side to) const;

  // --- Time and the end (connection.cc).
  void UpdateDeadline();
  uint64_t Deadline() const;
  Stage CurrentStage() const;
  void Count();

  bool LinkIsDone(Side side) const;
  void BeginClose();
  void CloseIfQuiet();
  void NotePhase();
  uint64_t DurationUs(Phase from, Phase to) const;
  uint64_t Duration(Phase from, Phase to) const { return DurationUs(from, to) / 1000; }
  void CountEnd() const;
  void LogEnd() const;

  // A side may have several Polls in flight: `side` of a tag tells them apart. The last is the
  // client's alone.
  static constexpr uint8_t kReadPoll = 2;
  static constexpr uint8_t kFailurePoll = 4;
  OpTag Tag(Verb verb, Side side, uint8_t which = 0) const {
    return {slot_, generation_, verb, static_cast<uint8_t>(static_cast<uint8_t>(side) + which)};
  }
  Ring& ring() { return *bench_->ring; }

  Workbench* const bench_;
  const std::shared_ptr<const Service> service_;
  const uint64_t id_;
  const uint32_t slot_;
  const uint16_t generation_;
  Session session_;
  PerSide<Link> links_;
  ConnectionTimer timer_;
  Visitor visitor_;
  std::string client_text_;
  std::vector<uint8_t> deferred_;  // Of the client's TLS handshake; or of the PROXY header.
  const uint64_t started_ms_;
  const uint64_t started_us_;
  uint64_t active_ms_;  // When bytes last came.
  uint64_t stage_ms_;   // When the stage began.
  std::array<uint64_t, static_cast<size_t>(Phase::kCommand) + 1> reached_us_{};  // After the start.
  uint32_t dialled_ms_ = 0;                                                      // Likewise.
  Phase noted_phase_ = Phase::kGreeting;  // The furthest that reached_us_ has.
  Stage stage_ = Stage::kLogin;
  // The server, whose state counts this connection; those that were tried, it among them.
  uint16_t server_index_ = 0;
  bool server_counted_ = false;
  bool server_answered_ = false;
  bool greeting_learned_ = false;
  absl::InlinedVector<uint16_t, 4> tried_;  // By their place in their group.
  uint64_t look_again_ms_ = 0;        // When, for a server's greeting; 0: not wanted, or known.
  uint64_t dial_ms_ = 0;              // When connecting to the first of them began, once it did,
  uint64_t attempt_ms_ = 0;           // When connecting to it began,
  uint64_t attempt_deadline_ms_ = 0;  // and has to end.
  uint32_t address_failures_ = 0;     // That were counted for the client's address.
  bool address_handshake_counted_ = false;
  bool login_counted_ = false;
  bool handshake_counted_ = false;
  bool hand_over_tried_ = false;
  bool closing_ = false;
};

}  // namespace sallyport

#endif  // PROXY_CONNECTION_H_
