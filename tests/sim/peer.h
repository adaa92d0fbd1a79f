// Peer: a scripted client or server at its end of a Wire: it sends and reads in pieces of the
// world's choosing, and may leave early. What it says and expects is its subclass's.
#ifndef TESTS_SIM_PEER_H_
#define TESTS_SIM_PEER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "packet/header.h"
#include "tests/sim/host.h"
#include "tests/sim/plan.h"

namespace sallyport::sim {

class Peer {
 public:
  virtual ~Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Step does a bit of sending and reading.
  void Step();
  // gone: its socket is closed.
  bool gone() const { return gone_; }
  // left: it went away early, on purpose, or said what it shouldn't.
  bool left() const { return left_; }
  // deadline_ms: when a peer that stalls goes away. UINT64_MAX: it doesn't stall.
  uint64_t deadline_ms() const { return gone_ ? UINT64_MAX : deadline_ms_; }
  const Wire& wire() const { return *wire_; }
  std::string Describe() const;

 protected:
  Peer(Host* host, Wire* wire) : host_(*host), wire_(wire) {}

  // OnBytes: bytes of the wire came. OnEnd: FIN (once), or a RST.
  virtual void OnBytes(std::string_view bytes) = 0;
  virtual void OnEnd(bool reset) = 0;
  // SendCloseNotify does so where there is TLS; else it returns false.
  virtual bool SendCloseNotify() { return false; }

  void SetDeparture(size_t leave_after, Departure departure) {
    leave_after_ = leave_after;
    departure_ = departure;
  }
  void SetPatience(size_t patience) { patience_ = patience; }
  // Send puts bytes on their way, unless this is the event at which it leaves.
  void Send(std::string_view bytes);
  // End sends FIN behind what is on its way, and goes on reading.
  void End() { end_wanted_ = true; }
  // Close is close(2): what is on its way in the kernel arrives, nothing is read any more.
  void Close();
  bool all_sent() const { return sent_ == out_.size(); }

  Host& host_;
  Wire* const wire_;

 private:
  bool LeavesNow();
  void Leave();
  void Push();
  void Pull();

  size_t events_ = 0;
  size_t leave_after_ = SIZE_MAX;
  Departure departure_ = Departure::kClose;
  size_t patience_ = 0;
  std::string out_;
  size_t sent_ = 0;  // Of out_.
  bool end_wanted_ = false;
  bool end_seen_ = false;
  bool left_ = false;
  bool mute_ = false;  // It says nothing more.
  bool gone_ = false;
  uint64_t deadline_ms_ = UINT64_MAX;
};

// Packets finds whole packets in a stream.
class Packets {
 public:
  void Add(std::string_view bytes) { bytes_ += bytes; }
  // Next takes the first packet out. False: there is none yet.
  bool Next(packet::Header* header, std::string* payload);
  const std::string& rest() const { return bytes_; }
  std::string TakeRest();

 private:
  std::string bytes_;
};

// Compression is the framing that CLIENT_COMPRESS adds after OK: 7 bytes of header, here always
// around bytes that nobody compressed.
class Compression {
 public:
  std::string Wrap(std::string_view bytes);
  std::string Unwrap(std::string_view bytes);

 private:
  uint8_t sequence_id_ = 0;
  std::string rest_;
};

}  // namespace sallyport::sim

#endif  // TESTS_SIM_PEER_H_
