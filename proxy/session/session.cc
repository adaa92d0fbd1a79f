#include "proxy/session/session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "packet/capabilities.h"
#include "packet/check.h"
#include "packet/handshake_response.h"
#include "packet/header.h"
#include "proxy/session/login_state.h"

namespace sallyport {

using packet::Bytes;
using packet::MutableBytes;

Session::Session(const SessionOptions& options)
    : options_(options), login_(std::make_unique<Login>()) {
  ended_[Side::kServer] = options.greets;  // There is none yet.
}

Session::~Session() = default;

void Session::Receive(Side from, MutableBytes bytes, Outboxes* out) {
  SALLYPORT_CHECK(accepts(from) && !again());
  SALLYPORT_CHECK(bytes.size() <= kReceiveBytesMax);
  again_ = false;
  if (phase_ == Phase::kCommand && login_ != nullptr) login_.reset();
  if (from == Side::kClient && tls_ != nullptr && !signs()) {
    bytes = tls_->handshake_done() ? Decrypt(bytes, out) : ContinueTlsHandshake(bytes, out);
  }
  Process(from, bytes, out);
  Finish(out);
}

void Session::Continue(Outboxes* out) {
  again_ = false;
  for (const Side side : kBothSides) {
    if (login_ != nullptr && !login_->held[side].empty()) Process(side, {}, out);
  }
  Finish(out);
}

tls::SignatureRequest Session::TakeSignatureRequest() {
  SALLYPORT_CHECK(signature_wanted());
  signature_ = Signature::kAwaited;
  return tls_->TakeSignatureRequest();
}

void Session::Signed(Bytes signature, Outboxes* out) {
  SALLYPORT_CHECK(awaits_signature() && !again());
  again_ = false;
  signature_ = Signature::kNone;
  tls_->FinishSignature(signature);
  // Neither this nor what was held can end the handshake: the client's Finished needs the
  // signature.
  ContinueTlsHandshake({}, out);
  Process(Side::kClient, {}, out);
  Finish(out);
}

bool Session::wants_read(Side side) const {
  if (!accepts(side)) return false;
  if (login_ == nullptr) return true;
  // A client that waits for its server's part of the handshake has nothing to say; that it left is
  // worth knowing. One that does say something is read no further.
  if (side == Side::kClient && signs()) return login_->held[side].empty();
  // Room for a receive, for what is in the ring's buffers by the time that it is told to stop, and
  // for the TLS record that their first bytes end.
  return login_->held[side].size() + 2 * kReceiveBytesMax + tls::Engine::kRecordPlaintextMax <=
         kHeldBytesMax;
}

// Works on what was held and on `bytes`, in this order, and holds what its turn has not come for.
void Session::Process(Side from, MutableBytes bytes, Outboxes* out) {
  if (from == Side::kClient && client_finished()) return;
  if (login_ != nullptr && !login_->held[from].empty()) {
    std::vector<uint8_t>& held = login_->held[from];
    std::vector<uint8_t>& working = login_->working[from];
    tls::Wipe(working);
    // Of its final size at once: a vector that grows leaves what it held behind unwiped.
    working = std::vector<uint8_t>(held.size() + bytes.size());
    std::copy(bytes.begin(), bytes.end(), std::copy(held.begin(), held.end(), working.begin()));
    tls::Wipe(held);
    held = std::vector<uint8_t>();
    bytes = working;
  }
  while (!bytes.empty() && ProcessSome(from, &bytes, out)) {
  }
  if (bytes.empty() || closed() || (from == Side::kClient && client_finished())) return;
  if (bytes.size() > kHeldBytesMax) return BadHandshake("too much data before the log-in", out);
  login_->held[from] = std::vector<uint8_t>(bytes.begin(), bytes.end());
}

// Takes something from the front of `*bytes`. False: the rest must wait.
bool Session::ProcessSome(Side from, MutableBytes* bytes, Outboxes* out) {
  const bool relays =
      phase_ == Phase::kCommand || (login_ != nullptr && login_->awaits_change_user);
  if (from == Side::kServer && relays) {
    SendToClient(*bytes, out);
    *bytes = {};
    return true;
  }
  if (from == Side::kClient) {
    if (client_finished() || phase_ == Phase::kGreeting || phase_ == Phase::kServerGreeting) {
      return false;
    }
    if (phase_ == Phase::kCommand) return RelayCommands(bytes, out);
    if (phase_ == Phase::kTlsHandshake) {
      if (signs()) return false;
      *bytes = ContinueTlsHandshake(*bytes, out);
      return true;
    }
    if (phase_ == Phase::kAuth && !login_->awaits_change_user && !login_->client.collecting()) {
      // A command sent ahead of the log-in's end begins anew with sequence_id 0: it waits for OK.
      packet::Header header;
      if (packet::ReadHeader(*bytes, &header) != packet::Parse::kOk) return false;
      if (header.sequence_id == 0) return false;
    }
  }
  MutableBytes packet;
  packet::Assembler& assembler = login_->assembler(from);
  const bool split = assembler.collecting();
  switch (assembler.Next(bytes, &packet)) {
    case packet::Assembler::Result::kNeedMore:
      return false;
    case packet::Assembler::Result::kTooLong:
      if (from == Side::kServer) {
        BadServer("a packet longer than any of a log-in", out);
      } else {
        sequence_id_[from] = assembler.header().sequence_id;
        Refuse(CloseReason::kPacketTooLong,
               {1153, "08S01", "Got a packet bigger than 1048576 bytes during the log-in"}, out);
      }
      *bytes = {};
      return false;
    case packet::Assembler::Result::kPacket:
      break;
  }
  OnPacket(from, packet, out);
  // What was assembled is gone with the next packet, so it is sent first.
  if (split && !bytes->empty()) again_ = true;
  return !split;
}

// The command phase, client to server. False when that ended it; else everything is taken, or
// COM_CHANGE_USER begins.
bool Session::RelayCommands(MutableBytes* bytes, Outboxes* out) {
  Outbox& server = (*out)[Side::kServer];
  if (!watches_commands()) {
    server.AddView(*bytes);
    *bytes = {};
    return true;
  }
  if (command_due_ && GoesOnWithLogIn(*bytes)) {
    BadHandshake("a packet of a log-in that is over", out);
    *bytes = {};
    return false;
  }
  const packet::CommandWatch::Seen seen = watch_.Scan(*bytes);
  if (seen.released_size > 0) server.AddCopy(Bytes(seen.released).first(seen.released_size));
  server.AddView(bytes->first(seen.pass));
  *bytes = seen.change_user ? bytes->subspan(seen.pass) : MutableBytes();
  if (seen.change_user) BeginChangeUser();
  return true;
}

// Behind OK comes a command, with sequence_id 0. What goes on with the log-in may be the password:
// the server said OK too early, or that OK answered a command sent ahead of COM_CHANGE_USER.
bool Session::GoesOnWithLogIn(Bytes bytes) {
  constexpr size_t kSequenceIdAt = packet::kHeaderSize - 1;
  const Bytes held = watch_.held();
  if (held.size() + bytes.size() <= kSequenceIdAt) return false;  // Not known yet, and held on to.
  command_due_ = false;
  sequence_id_[Side::kClient] =
      held.size() > kSequenceIdAt ? held[kSequenceIdAt] : bytes[kSequenceIdAt - held.size()];
  return sequence_id_[Side::kClient] != 0;
}

bool Session::watches_commands() const {
  // Behind compression no packet can be seen; where nothing is mediated none needs to be.
  return !compressed_ && (tls_ != nullptr || server_secure_);
}

// Returns what is behind the handshake, decrypted, or has to wait for the signature.
MutableBytes Session::ContinueTlsHandshake(MutableBytes bytes, Outboxes* out) {
  Outbox& client = (*out)[Side::kClient];
  const size_t begin = client.room.used;
  Bytes in = bytes;
  const tls::Engine::Status status = tls_->Handshake(&in, &client.room);
  client.AddRoomFrom(begin);
  switch (status) {
    case tls::Engine::Status::kNeedMore:
      return {};
    case tls::Engine::Status::kWantSignature:
      signature_ = Signature::kWanted;
      return bytes.last(in.size());
    case tls::Engine::Status::kOk:
      summary_.tls = tls_->parameters();
      summary_.sni = tls_->sni();
      phase_ = Phase::kHandshakeResponse;
      return in.empty() ? MutableBytes() : Decrypt(bytes.last(in.size()), out);
    case tls::Engine::Status::kClosed:
      client.end = true;
      LeaveClient(CloseReason::kClientLeftEarly, out);
      return {};
    case tls::Engine::Status::kError:
      summary_.detail = tls_->error();
      summary_.sni = tls_->sni();
      summary_.tls.client_certificate = tls_->client_certificate();
      client.end = true;
      LeaveClient(CloseReason::kTlsFailed, out);
      return {};
  }
  return {};
}

// Plaintext goes into the server's room: that is where most of it is sent from, unmoved.
MutableBytes Session::Decrypt(MutableBytes bytes, Outboxes* out) {
  Outbox& client = (*out)[Side::kClient];
  tls::Room& plain = (*out)[Side::kServer].room;
  const size_t begin = plain.used;
  const size_t records_begin = client.room.used;
  const tls::Engine::Status status = tls_->Open(bytes, &plain, &client.room);
  client.AddRoomFrom(records_begin);
  client.AddControls(tls_.get(), changes_keys_);
  const MutableBytes decrypted = plain.bytes.subspan(begin, plain.used - begin);
  if (tls_->wants_new_keys() && !changes_keys_) {
    Process(Side::kClient, decrypted, out);
    RefuseKeyUpdate(out);
    return {};
  }
  if (status == tls::Engine::Status::kNeedMore || status == tls::Engine::Status::kOk) {
    return decrypted;
  }
  if (status == tls::Engine::Status::kClosed) {
    Process(Side::kClient, decrypted, out);
    End(Side::kClient, false, out);
    return {};
  }
  summary_.detail = tls_->error();
  client.end = true;
  LeaveClient(CloseReason::kTlsFailed, out);
  return {};
}

// The client wants to see new keys, and the kernel keeps those that it has: the session ends under
// these, as if the answer had not been thought of.
void Session::RefuseKeyUpdate(Outboxes* out) {
  if (closed()) return;
  summary_.detail = "the client asked for new keys (KeyUpdate), which this kernel can't change";
  Close(CloseReason::kKeyUpdateRefused, out);
}

// The client was told of new keys and believes no others: not even close_notify.
void Session::KeysRefused(std::string_view why, Outboxes* out) {
  if (closed()) return;
  summary_.detail = "the kernel refused new keys: " + std::string(why);
  SetReason(CloseReason::kKeyUpdateFailed);
  client_ended_ = true;
  for (const Side side : kBothSides) (*out)[side].end = true;
  phase_ = Phase::kClosed;
}

void Session::End(Side from, bool reset, Outboxes* out) {
  if (closed() || ended_[from]) return;
  ended_[from] = true;
  if (from == Side::kClient && client_finished()) return;
  if (phase_ == Phase::kExcuse) {
    phase_ = Phase::kClosed;
    return;
  }
  const bool logged_in = phase_ == Phase::kCommand || (login_ != nullptr && login_->change_user);
  if (!logged_in) {
    if (from == Side::kClient) {
      if (!reset) EndClient(out);  // Its close_notify is answered.
      return LeaveClient(CloseReason::kClientLeftEarly, out);
    }
    const bool greeted = phase_ != Phase::kGreeting;
    return Refuse(CloseReason::kServerLostInLogin,
                  {2013, "HY000",
                   greeted ? "Lost connection to MySQL server during the log-in"
                           : "Lost connection to MySQL server at 'reading initial communication "
                             "packet'"},
                  out);
  }
  if (from == Side::kClient) {
    SetReason(reset ? CloseReason::kClientError : CloseReason::kClientClosed);
    // Within COM_CHANGE_USER no answer is waited for, and its close_notify is answered at once.
    if (!reset && phase_ != Phase::kCommand) EndClient(out);
    (*out)[Side::kServer].end = true;
  } else {
    SetReason(reset ? CloseReason::kServerError : CloseReason::kServerClosed);
    // A connection that broke must not look as if it had ended well. An alert it is all the same: a
    // FIN alone would overtake what the kernel still holds of the last record.
    EndClient(out, reset ? tls::Engine::Ending::kInternalError : tls::Engine::Ending::kCloseNotify);
  }
  if (reset || ended_[Other(from)] || phase_ != Phase::kCommand) phase_ = Phase::kClosed;
}

void Session::Refuse(CloseReason reason, const packet::Error& error, Outboxes* out) {
  if (client_finished()) return;
  if (reason == CloseReason::kServerUnreachable || reason == CloseReason::kTooManyConnections) {
    ended_[Side::kServer] = true;  // There is none.
  }
  if (summary_.detail.empty()) summary_.detail = std::string(error.message);
  if (phase_ != Phase::kTlsHandshake && !ended_[Side::kClient]) {
    std::array<uint8_t, packet::kErrorPacketSizeMax> buffer;
    const bool greeted = phase_ != Phase::kGreeting;
    const size_t size = packet::WriteErrorPacket(error, greeted, 0, buffer);
    const Bytes payload = Bytes(buffer).first(size).subspan(packet::kHeaderSize);
    if (!greeted) sequence_id_[Side::kClient] = 0xFF;  // The first packet has sequence_id 0.
    SendPayload(Side::kClient, payload, out);
  }
  EndClient(out);
  LeaveClient(reason, out);
}

void Session::Close(CloseReason reason, Outboxes* out) {
  if (closed()) return;
  SetReason(reason);
  EndClient(out);
  (*out)[Side::kServer].end = true;
  phase_ = Phase::kClosed;
}

// The client is done with. What the server still needs decides whether the session is.
void Session::LeaveClient(CloseReason reason, Outboxes* out) {
  SetReason(reason);
  if (ended_[Side::kServer] || login_over_) {
    (*out)[Side::kServer].end = true;
    phase_ = Phase::kClosed;
    return;
  }
  const bool server_greeted = phase_ != Phase::kGreeting && phase_ != Phase::kServerGreeting;
  phase_ = Phase::kExcuse;
  if (server_greeted) Excuse(out);
}

void Session::EndClient(Outboxes* out, tls::Engine::Ending ending) {
  Outbox& client = (*out)[Side::kClient];
  Finish(out);
  if (tls_ != nullptr && tls_->handshake_done()) {
    const size_t begin = client.room.used;
    tls_->Close(&client.room, ending);
    client.AddRoomFrom(begin);
    client.AddControls(tls_.get(), changes_keys_);
  }
  client.end = true;
  client_ended_ = true;
}

// Encrypts what this call has for the client, all in one go.
void Session::Finish(Outboxes* out) {
  if (tls_ == nullptr || (*out)[Side::kClient].Seal(tls_.get())) return;
  summary_.detail = tls_->error();
  (*out)[Side::kClient].end = true;
  LeaveClient(CloseReason::kTlsFailed, out);
}

void Session::SendToClient(Bytes plaintext, Outboxes* out) {
  if (client_ended_) return;
  Outbox& client = (*out)[Side::kClient];
  if (encrypts()) {
    client.AddPlaintext(plaintext);
  } else {
    client.AddView(plaintext);
  }
}

// Sends a packet that is made here: behind all that was forwarded before.
void Session::SendPayload(Side to, Bytes payload, Outboxes* out) {
  if (to == Side::kClient && client_ended_) return;
  tls::Secret packet(packet::kHeaderSize + payload.size());
  const auto payload_length = static_cast<uint32_t>(payload.size());
  packet::WriteHeader({payload_length, ++sequence_id_[to]}, packet.bytes());
  std::copy(payload.begin(), payload.end(), packet.bytes().begin() + packet::kHeaderSize);
  if (to == Side::kClient && encrypts()) {
    (*out)[to].AddPlaintext(packet.bytes());
    Finish(out);
  } else {
    (*out)[to].AddCopy(packet.bytes());
  }
}

void Session::SetReason(CloseReason reason) {
  if (reason_ == CloseReason::kNone) reason_ = reason;
}

}  // namespace sallyport
