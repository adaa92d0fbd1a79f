#include "proxy/session/outbox.h"

#include <algorithm>

#include "packet/check.h"
#include "tls/secret.h"

namespace sallyport {
namespace {

// The largest thing that one call makes: a receive's worth of bytes in records, beside a handshake
// flight and an unfinished record's plaintext.
size_t RoomSize() {
  return tls::Engine::SealedSizeMax(kReceiveBytesMax) + tls::Engine::kHandshakeRoom +
         tls::Engine::kRecordPlaintextMax + tls::Engine::kControlRoom;
}

}  // namespace

// Not zero-filled: pages that no session ever fills are never touched.
Outbox::Outbox() : memory_(std::make_unique_for_overwrite<uint8_t[]>(RoomSize())) {
  room.bytes = std::span(memory_.get(), RoomSize());
}

void Outbox::Append(packet::Bytes bytes, Parts* parts) {
  if (bytes.empty()) return;
  if (!parts->empty()) {
    iovec& last = parts->back();
    if (static_cast<uint8_t*>(last.iov_base) + last.iov_len == bytes.data()) {
      last.iov_len += bytes.size();
      return;
    }
  }
  parts->push_back({const_cast<uint8_t*>(bytes.data()), bytes.size()});
}

bool Outbox::Seal(tls::Engine* engine) {
  const size_t begin = room.used;
  bool ok = true;
  for (const iovec& part : plaintext_) {
    const packet::Bytes bytes(static_cast<const uint8_t*>(part.iov_base), part.iov_len);
    ok = ok && engine->Seal(bytes, &room) == tls::Engine::Status::kOk;
  }
  plaintext_.clear();
  AddRoomFrom(begin);
  return ok;
}

size_t Outbox::size() const {
  size_t size = 0;
  for (const iovec& part : parts_) size += part.iov_len;
  return size;
}

void Outbox::AddControls(tls::Engine* engine, bool key_updates) {
  if (!engine->handed_over()) return;
  for (const tls::ControlRecord& record : engine->TakeControls()) {
    // Not every kernel can do what a KeyUpdate promises.
    if (key_updates || record.type == tls::ControlRecord::kAlert) {
      controls_.push_back({size(), record});
    }
  }
}

void Outbox::AddCopy(packet::Bytes bytes) {
  SALLYPORT_CHECK(bytes.size() <= room.free().size());
  const size_t begin = room.used;
  std::copy(bytes.begin(), bytes.end(), room.free().begin());
  room.used += bytes.size();
  AddRoomFrom(begin);
}

void Outbox::Clear(bool secret) {
  if (secret) tls::Wipe(room.bytes.first(room.used));
  room.used = 0;
  parts_.clear();
  plaintext_.clear();
  controls_.clear();
  end = false;
}

}  // namespace sallyport
