#include "tests/sim/peer.h"

#include <algorithm>
#include <utility>

#include "packet/wire.h"

namespace sallyport::sim {
namespace {

constexpr size_t kReadMax = 256 * 1024;
constexpr size_t kStallMsMax = 120'000;
constexpr size_t kCompressedMax = 0xFFFFFF;
constexpr size_t kCompressedHeaderSize = 7;

}  // namespace

void Peer::Step() {
  if (gone_) return;
  if (deadline_ms_ != UINT64_MAX) {
    if (host_.now_ms >= deadline_ms_) Close();
    return;
  }
  if (host_.Lucky(2) || (patience_ > 0 && !host_.eager && !host_.Lucky(patience_))) return;
  Push();
  if (!gone_) Pull();
}

void Peer::Push() {
  Stream& stream = wire_->to_proxy;
  if (wire_->proxy_gone && !all_sent()) {
    sent_ = out_.size();
    wire_->reset_to_peer = true;
  }
  const size_t size = host_.SomeOf(std::min(out_.size() - sent_, stream.room()), 4);
  if (size > 0) {
    stream.Write(std::string_view(out_).substr(sent_, size));
    sent_ += size;
    ++host_.progress;
    if (all_sent()) {
      out_ = {};
      sent_ = 0;
    }
  }
  if (all_sent() && end_wanted_ && !stream.ended) {
    stream.ended = true;
    ++host_.progress;
  }
}

void Peer::Pull() {
  Stream& stream = wire_->to_peer;
  const size_t size = host_.SomeOf(std::min(stream.size(), kReadMax), 3);
  if (size > 0) {
    const std::string bytes(stream.front().substr(0, size));
    stream.Consume(size);
    ++host_.progress;
    if (LeavesNow()) return Leave();
    OnBytes(bytes);
  } else if (wire_->reset_to_peer) {
    ++host_.progress;
    OnEnd(true);
    Close();
  } else if (stream.ended && !std::exchange(end_seen_, true)) {
    ++host_.progress;
    OnEnd(false);
  }
}

void Peer::Send(std::string_view bytes) {
  if (gone_ || mute_) return;
  const bool leaves = LeavesNow();
  // Cut, but not where a close_notify follows: in the middle of a record that is none.
  const bool cut = leaves && departure_ != Departure::kCloseNotify;
  out_ += cut ? bytes.substr(0, host_.dice.Below(bytes.size() + 1)) : bytes;
  if (leaves) Leave();
}

bool Peer::LeavesNow() { return !left_ && events_++ >= leave_after_; }

void Peer::Leave() {
  left_ = true;
  ++host_.coverage.left_early;
  mute_ = departure_ != Departure::kGarbage;
  switch (departure_) {
    case Departure::kCloseNotify:
      mute_ = false;
      if (!SendCloseNotify() || host_.dice.OneIn(2)) End();  // Else once the proxy's FIN has come.
      mute_ = true;
      return;
    case Departure::kClose:
      Push();
      return Close();
    case Departure::kHalfClose:
      return End();
    case Departure::kReset:
      Push();
      wire_->PeerResets();
      gone_ = true;
      return;
    case Departure::kStall:
      deadline_ms_ = host_.now_ms + host_.dice.Size(kStallMsMax);
      return;
    case Departure::kGarbage:
      if (wire_->to_proxy.written < wire_->tls_from) wire_->tls_from = 0;  // It asks for nothing.
      if (host_.dice.OneIn(2)) out_ += Pattern(host_.dice.Next(), host_.dice.Size(600'000));
      if (host_.dice.OneIn(2) && !all_sent()) {
        out_[host_.dice.Between(sent_, out_.size() - 1)] ^= static_cast<char>(host_.dice.Next());
      }
      return;
  }
}

void Peer::Close() {
  if (gone_) return;
  gone_ = true;
  ++host_.progress;
  wire_->to_proxy.ended = true;
  wire_->peer_gone = true;
  // A socket that is closed with bytes unread is reset.
  if (wire_->to_peer.size() > 0) wire_->reset_to_proxy = true;
  wire_->to_peer.Drop();
}

std::string Peer::Describe() const {
  const auto stream = [](const Stream& s) {
    return std::to_string(s.written) + " written, " + std::to_string(s.size()) + " of " +
           std::to_string(s.capacity) + " unread" + (s.ended ? ", ended" : "");
  };
  return std::string(wire_->to_server ? "server" : "client") + (left_ ? ", left" : "") +
         (all_sent() ? "" : ", unsent") + (wire_->proxy_gone ? ", proxy gone" : "") + "; to it " +
         stream(wire_->to_peer) + "; from it " + stream(wire_->to_proxy);
}

bool Packets::Next(packet::Header* header, std::string* payload) {
  if (packet::ReadHeader(packet::AsBytes(bytes_), header) != packet::Parse::kOk) return false;
  const size_t size = packet::kHeaderSize + header->payload_length;
  if (bytes_.size() < size) return false;
  *payload = bytes_.substr(packet::kHeaderSize, header->payload_length);
  bytes_.erase(0, size);
  return true;
}

std::string Packets::TakeRest() { return std::exchange(bytes_, {}); }

std::string Compression::Wrap(std::string_view bytes) {
  std::string wrapped;
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kCompressedMax);
    for (const size_t shift : {0, 8, 16}) wrapped += static_cast<char>(size >> shift);
    wrapped += static_cast<char>(sequence_id_++);
    wrapped += std::string(3, '\0');
    wrapped += bytes.substr(0, size);
    bytes.remove_prefix(size);
  }
  return wrapped;
}

std::string Compression::Unwrap(std::string_view bytes) {
  rest_ += bytes;
  std::string plain;
  size_t at = 0;
  while (rest_.size() - at >= kCompressedHeaderSize) {
    packet::Header header;
    (void)packet::ReadHeader(packet::AsBytes(std::string_view(rest_).substr(at)), &header);
    if (rest_.size() - at < kCompressedHeaderSize + header.payload_length) break;
    plain.append(rest_, at + kCompressedHeaderSize, header.payload_length);
    at += kCompressedHeaderSize + header.payload_length;
  }
  rest_.erase(0, at);
  return plain;
}

}  // namespace sallyport::sim
