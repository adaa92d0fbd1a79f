// Outbox: what a session wants sent to one side, gathered during one call.
//
// Forwarded bytes stay where they were received, decrypted or assembled, and are only named here;
// bytes that the session makes (records, ERR_Packets) go into `room`. A worker has one Outbox a
// side and lends it to whichever session it is working on.
#ifndef PROXY_SESSION_OUTBOX_H_
#define PROXY_SESSION_OUTBOX_H_

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "packet/wire.h"
#include "proxy/limits.h"
#include "proxy/side.h"
#include "tls/engine.h"

namespace sallyport {

class Outbox {
 public:
  // Room for one receive, decrypted or encrypted, and for what the handshake and the session add.
  Outbox();

  // AddView names bytes to send behind those already here. They must stay until Clear.
  void AddView(packet::Bytes bytes) { Append(bytes, &parts_); }
  // AddRoomFrom names what was appended to `room` since it held `begin` bytes.
  void AddRoomFrom(size_t begin) { AddView(room.bytes.subspan(begin, room.used - begin)); }
  // AddCopy appends a copy. REQUIRES: room for it.
  void AddCopy(packet::Bytes bytes);

  // AddPlaintext names bytes that are to be encrypted first; Seal does that, all at once, so that a
  // call's small packets share records. Views must stay until Seal. REQUIRES of Seal: room for it.
  void AddPlaintext(packet::Bytes bytes) { Append(bytes, &plaintext_); }
  bool Seal(tls::Engine* engine);

  // AddControls takes what the engine has to send besides data, once the kernel encrypts: behind
  // the parts that are already here, each as a record of its own. `key_updates`: not only alerts.
  struct Control {
    size_t offset;  // How many bytes of the parts go before it.
    tls::ControlRecord record;
  };
  void AddControls(tls::Engine* engine, bool key_updates);
  std::span<const Control> controls() const { return controls_; }

  // Wipes the used room where `secret`: in the connection phase it may have held a password.
  void Clear(bool secret);

  std::span<const iovec> parts() const { return parts_; }
  size_t size() const;  // Bytes of the parts.
  bool empty() const { return parts_.empty() && controls_.empty(); }

  tls::Room room;
  // Send FIN once all bytes are out.
  bool end = false;

 private:
  using Parts = absl::InlinedVector<iovec, 8>;
  static void Append(packet::Bytes bytes, Parts* parts);

  std::unique_ptr<uint8_t[]> memory_;
  Parts parts_;
  Parts plaintext_;
  std::vector<Control> controls_;
};

using Outboxes = PerSide<Outbox>;

}  // namespace sallyport

#endif  // PROXY_SESSION_OUTBOX_H_
