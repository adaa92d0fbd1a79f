#include "tests/session/conversation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "proxy/limits.h"
#include "tests/session/contexts.h"
#include "tests/session/heap_watch.h"
#include "tests/support/test_certs.h"
#include "tls/context.h"
#include "tls/rsa_password.h"

namespace sallyport::tests {
namespace {

const tls::PasswordKey& TestPasswordKey() {
  static const tls::PasswordKey* const key = tls::PasswordKey::Generate().value().release();
  return *key;
}

packet::Bytes AsBytes(std::string_view text) { return packet::AsBytes(text); }

template <typename... Parts>
std::string Join(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

std::string Shown(std::string_view bytes) {
  const std::string_view start = bytes.substr(0, 300);
  return Join(bytes.size(), " bytes: ", absl::CHexEscape({start.data(), start.size()}),
              start.size() < bytes.size() ? "..." : "");
}

}  // namespace

std::string_view ToText(Way way) {
  switch (way) {
    case Way::kWhole:
      return "whole";
    case Way::kPackets:
      return "packets";
    case Way::kBytes:
      return "bytes";
    case Way::kRecords:
      return "records";
    case Way::kSlowOutput:
      return "slow output";
    case Way::kPieces:
      return "pieces";
  }
  return "";
}

Outboxes& Conversation::Bench() {
  static Outboxes* const outboxes = new Outboxes;
  return *outboxes;
}

Conversation::Conversation(const Links& links, Way way) : links_(links), way_(way) {
  if (links.tls_offered) options_.tls = links.rsa_certificate ? RsaContext() : EcdsaContext();
  if (links.client_user != tls::UserRule::kNone) options_.tls = AskingContext();
  options_.client_user = links.client_user;
  options_.tls_required = links.tls_required;
  options_.greets = options_.keeps_greetings = links.greets;
  options_.auth.allow_cleartext_password = links.allow_cleartext_password;
  options_.auth.password_key = links.own_key ? &TestPasswordKey() : nullptr;
  if (!links.server_key.empty()) server_key_ = *tls::ServerKey::Parse(links.server_key);
  options_.auth.server_key = server_key_.get();
  session_ = std::make_unique<Session>(options_);
  if (!links.greets) session_->ServerConnected(links.unix_server);
}

Conversation::~Conversation() {
  Flush();
  for (const Side side : kBothSides) ExpectNothing(side);
  CheckRecords();
  {
    const HeapWatch watch(links_.secret);
    const int found = HeapWatch::secrets_found();
    session_.reset();
    if (HeapWatch::secrets_found() != found) Fail("the session left the secret in freed memory");
  }
}

// --- What the peers say.

void Conversation::Server(uint8_t sequence_id, std::string_view payload) {
  ServerBytes(Packet(sequence_id, payload));
}

void Conversation::ServerBytes(std::string_view bytes) { Say(Side::kServer, bytes); }

void Conversation::Client(uint8_t sequence_id, std::string_view payload) {
  ClientBytes(Packet(sequence_id, payload));
}

void Conversation::ClientBytes(std::string_view bytes) {
  if (failed_) return;
  if (tls_ == nullptr) return Say(Side::kClient, bytes);
  FinishTls();
  if (failed_) return;
  const size_t record = way_ != Way::kRecords ? bytes.size() : bytes.size() / 2000 + 1;
  std::string sealed;
  for (size_t i = 0; i < bytes.size(); i += record) sealed += Seal(bytes.substr(i, record));
  Say(Side::kClient, sealed);
}

void Conversation::ClientWire(std::string_view bytes) { Say(Side::kClient, bytes); }

void Conversation::ClientAsksForTls(uint8_t sequence_id) {
  Flush();
  asked_for_tls_ = true;
  Client(sequence_id, SslRequest());
}

void Conversation::ClientStartsTls(uint16_t version_max) {
  TlsClientOptions options;
  options.version_min = std::min(version_max, kTls12);
  options.version_max = version_max;
  if (!links_.client_common_name.empty()) {
    options.certificate_pem = ClientCertificatePem(links_.client_common_name);
    options.private_key_pem = TestKeyPem(KeyType::kP256);
  }
  tls_ = std::make_unique<TlsClient>(options);
  std::span<const uint8_t> none;
  std::vector<uint8_t> hello;
  tls_->Handshake(&none, &hello);
  Say(Side::kClient, packet::AsText(hello));
}

// The last flight stays unsent where a way lets it: what comes next is glued to it.
void Conversation::FinishTls() {
  while (!failed_ && !tls_->handshake_done()) {
    Flush();
    if (tls_reply_.empty() && !tls_->handshake_done())
      return Fail("TLS stands still: " + tls_error_);
    Say(Side::kClient, std::exchange(tls_reply_, {}));
  }
  if (!tls_reply_.empty()) Say(Side::kClient, std::exchange(tls_reply_, {}));
}

void Conversation::SignatureComes() {
  Flush();
  if (!failed_ && !signature_request_) return Fail("nobody asked for a signature");
  if (!failed_) GiveSignature(signature_request_->Sign());
}

void Conversation::SignatureFails() {
  Flush();
  if (!failed_ && !signature_request_) return Fail("nobody asked for a signature");
  GiveSignature({});
}

void Conversation::GiveSignature(packet::Bytes signature) {
  signature_request_.reset();
  if (!session_->awaits_signature()) return;
  Call([&] { session_->Signed(signature, &Bench()); });
  Settle();
}

void Conversation::ClientClosesTls() {
  FinishTls();
  std::vector<uint8_t> record;
  tls_->Close(&record);
  Say(Side::kClient, packet::AsText(record));
}

void Conversation::ClientUpdatesKeys(bool answer) {
  FinishTls();
  std::vector<uint8_t> record;
  tls_->UpdateKeys(answer, &record);
  Say(Side::kClient, packet::AsText(record));
}

void Conversation::Ends(Side side) {
  Flush();
  Call([&] { session_->End(side, false, &Bench()); });
  Settle();
}

void Conversation::Resets(Side side) {
  Flush();
  Call([&] { session_->End(side, true, &Bench()); });
  Settle();
}

void Conversation::Do(const std::function<void(Outboxes*)>& act) {
  Flush();
  Call([&] { act(&Bench()); });
  Settle();
}

void Conversation::Refuse(CloseReason reason, const packet::Error& error) {
  Do([&](Outboxes* out) { session_->Refuse(reason, error, out); });
}

void Conversation::Close(CloseReason reason) {
  Do([&](Outboxes* out) { session_->Close(reason, out); });
}

// --- From the script to the session.

void Conversation::Say(Side side, std::string_view wire_bytes) {
  if (failed_) return;
  if (side != last_speaker_) Flush();
  last_speaker_ = side;
  unsent_[side] += wire_bytes;
  if (way_ != Way::kWhole) Flush();
}

void Conversation::Flush() {
  for (const Side side : kBothSides) {
    const std::string bytes = std::exchange(unsent_[side], {});
    if (!failed_ && !bytes.empty()) Deliver(side, bytes);
  }
}

void Conversation::Deliver(Side side, std::string_view bytes) {
  const size_t whole = bytes.size();
  while (!bytes.empty() && !failed_) {
    const size_t size = PieceSize(bytes.size(), whole);
    Receive(side, bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
}

size_t Conversation::PieceSize(size_t left, size_t whole) {
  size_t size = kReceiveBytesMax;
  if (way_ == Way::kBytes) size = whole / 4096 + 1;
  if (way_ == Way::kPieces) size = 1 + random_() % (whole / 64 + 30);
  return std::min({size, left, kReceiveBytesMax});
}

void Conversation::Receive(Side side, std::string_view bytes) {
  if (!session_->accepts(side)) return;
  // Of the exact size, so that AddressSanitizer sees the end.
  auto buffer = std::make_unique<uint8_t[]>(bytes.size());
  std::memcpy(buffer.get(), bytes.data(), bytes.size());
  Call([&] { session_->Receive(side, {buffer.get(), bytes.size()}, &Bench()); });
  std::memset(buffer.get(), 0xDD, bytes.size());
  buffer.reset();
  Settle();
}

void Conversation::Settle() {
  for (int i = 0; session_->again(); ++i) {
    if (i > 10000) return Fail("the session never has enough of Continue");
    Call([&] { session_->Continue(&Bench()); });
  }
  if (session_->signature_wanted()) {
    signature_request_.emplace(session_->TakeSignatureRequest());
    if (!links_.late_signatures) GiveSignature(signature_request_->Sign());
  }
  if (session_->client_finished()) end_seen_[Side::kClient] = true;
  if (session_->closed()) end_seen_[Side::kServer] = true;
}

// --- From the session to the peers.

void Conversation::Call(const std::function<void()>& call) {
  if (failed_) return;
  const bool secret = session_->phase() != Phase::kCommand;
  std::vector<std::pair<Side, std::string>> pieces;
  const int found = HeapWatch::secrets_found();
  {
    const HeapWatch watch(secret ? links_.secret : std::string_view());
    call();
  }
  CopyOut(secret, &pieces);
  if (kernel_.has_value()) {
    pieces.emplace_back(Side::kClient, SentByKernel());
    CopyOut(secret, &pieces);  // What it made of refused keys.
  }
  if (HeapWatch::secrets_found() != found) Fail("the secret is left in freed memory");
  for (const auto& [side, bytes] : pieces) Arrive(side, bytes);
}

void Conversation::CopyOut(bool secret, std::vector<std::pair<Side, std::string>>* pieces) {
  for (const Side side : kBothSides) {
    Outbox& outbox = Bench()[side];
    std::string bytes;
    for (const iovec& part : outbox.parts()) {
      bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    if (outbox.end) end_seen_[side] = true;
    SendQueue queue;
    const bool by_kernel = side == Side::kClient && kernel_.has_value();
    if (by_kernel) {
      kernel_queue_.Append(outbox.parts(), 0, secret);
      for (const Outbox::Control& control : outbox.controls()) {
        kernel_queue_.AppendRecord(control.record, bytes.size() - control.offset);
      }
    } else if (way_ == Way::kSlowOutput && !bytes.empty()) {
      queue.Append(outbox.parts(), 1, secret);
      pieces->emplace_back(side, bytes.substr(0, 1));
    } else if (!bytes.empty()) {
      pieces->emplace_back(side, bytes);
    }
    const std::span<uint8_t> used = outbox.room.bytes.first(outbox.room.used);
    outbox.Clear(secret);
    if (secret && !links_.secret.empty() &&
        packet::AsText(used).find(links_.secret) != std::string_view::npos) {
      Fail("the secret is left in an outbox");
    }
    std::ranges::fill(used, uint8_t{0xDD});
    for (; !queue.empty(); queue.Consume(1)) {
      pieces->emplace_back(side, packet::AsText(queue.front().first(1)));
    }
  }
}

void Conversation::Arrive(Side side, std::string_view bytes) {
  if (side == Side::kServer) {
    server_wire_ += bytes;
    arrived_[side] += bytes;
    return CheckSecret(bytes.size());
  }
  if (!asked_for_tls_) {
    arrived_[side] += bytes;
    return;
  }
  client_wire_ += bytes;
  if (tls_ != nullptr) ArriveAtTlsClient(bytes);
}

void Conversation::ArriveAtTlsClient(std::string_view bytes) {
  std::span<const uint8_t> in = AsBytes(bytes);
  std::vector<uint8_t> plain;
  std::vector<uint8_t> reply;
  TlsClient::Status status = TlsClient::Status::kOk;
  if (!tls_->handshake_done()) status = tls_->Handshake(&in, &reply);
  if (status == TlsClient::Status::kOk) status = tls_->Open(in, &plain, &reply);
  if (status == TlsClient::Status::kClosed) close_notify_seen_ = true;
  if (status == TlsClient::Status::kError) tls_error_ = tls_->error();
  tls_reply_ += packet::AsText(reply);
  arrived_[Side::kClient] += packet::AsText(plain);
}

// Only the end of what came can be a record that isn't whole.
void Conversation::CheckRecords() {
  std::string_view wire = client_wire_;
  while (wire.size() >= 5 && !failed_) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(wire[i]); };
    const size_t size = static_cast<size_t>(byte(3) << 8 | byte(4));
    if (byte(0) < 20 || byte(0) > 23 || byte(1) != 3 || size > 16384 + 256) {
      return Fail("bytes in clear for a client that asked for TLS: " + Shown(wire));
    }
    wire.remove_prefix(std::min(wire.size(), 5 + size));
  }
}

void Conversation::CheckSecret(size_t new_bytes) {
  if (links_.unix_server || links_.allow_cleartext_password || links_.secret.empty()) return;
  const size_t searched = std::min(server_wire_.size(), new_bytes + links_.secret.size());
  const std::string_view wire = server_wire_;
  if (wire.substr(wire.size() - searched).find(links_.secret) != std::string_view::npos) {
    Fail("the password went to the server");
  }
}

std::string Conversation::Seal(std::string_view plaintext) {
  std::vector<uint8_t> records;
  if (tls_->Seal(AsBytes(plaintext), &records) != TlsClient::Status::kOk)
    Fail("the client can't seal");
  return std::string(packet::AsText(records));
}

// --- What the script expects.

void Conversation::ExpectClient(uint8_t sequence_id, std::string_view payload) {
  ExpectClientBytes(Packet(sequence_id, payload));
}
void Conversation::ExpectServer(uint8_t sequence_id, std::string_view payload) {
  ExpectServerBytes(Packet(sequence_id, payload));
}
void Conversation::ExpectClientBytes(std::string_view bytes) { ExpectBytes(Side::kClient, bytes); }
void Conversation::ExpectServerBytes(std::string_view bytes) { ExpectBytes(Side::kServer, bytes); }

void Conversation::ExpectBytes(Side side, std::string_view bytes) {
  Flush();
  if (failed_) return;
  std::string& arrived = arrived_[side];
  if (!std::string_view(arrived).starts_with(bytes)) {
    return Fail(Join("the ", side == Side::kClient ? "client" : "server", " expected\n  ",
                     Shown(bytes), "\nand has\n  ", Shown(arrived)));
  }
  arrived.erase(0, bytes.size());
}

std::string Conversation::TakeServer(uint8_t sequence_id) {
  return Take(Side::kServer, sequence_id);
}
std::string Conversation::TakeClient(uint8_t sequence_id) {
  return Take(Side::kClient, sequence_id);
}

std::string Conversation::Take(Side side, uint8_t sequence_id) {
  Flush();
  if (failed_) return "";
  std::string& arrived = arrived_[side];
  packet::Header header;
  if (packet::ReadHeader(AsBytes(arrived), &header) != packet::Parse::kOk ||
      arrived.size() < packet::kHeaderSize + header.payload_length ||
      header.sequence_id != sequence_id) {
    Fail(Join("the ", side == Side::kClient ? "client" : "server",
              " has no whole packet with sequence_id ", int{sequence_id}, " but\n  ",
              Shown(arrived)));
    return "";
  }
  const std::string payload = arrived.substr(packet::kHeaderSize, header.payload_length);
  arrived.erase(0, packet::kHeaderSize + header.payload_length);
  return payload;
}

void Conversation::ExpectErr(uint8_t sequence_id, uint16_t code, std::string_view text) {
  const std::string payload = TakeClient(sequence_id);
  packet::Error error;
  if (failed_) return;
  if (packet::ParseErrorPacket(AsBytes(payload), &error) != packet::Parse::kOk ||
      error.code != code || error.message.find(text) == std::string_view::npos) {
    Fail(Join("no ERR ", code, " with '", text, "' but\n  ", Shown(payload)));
  }
}

void Conversation::ExpectThrowaway(std::string_view plugin) {
  const std::string payload = TakeServer(1);
  const Login expected = {
      "", plugin,
      packet::CLIENT_PROTOCOL_41 | packet::CLIENT_SECURE_CONNECTION | packet::CLIENT_PLUGIN_AUTH,
      "sallyport-left-early"};
  const auto behind_charset = [](const std::string& bytes) { return bytes.substr(9); };
  if (failed_) return;
  if (payload.size() < 32 || behind_charset(payload) != behind_charset(expected.payload())) {
    Fail("no throw-away log-in: " + Shown(payload));
  }
  if (!session_->summary().throwaway_login) Fail("the summary misses the throw-away log-in");
}

void Conversation::ExpectNothing(Side side) {
  Flush();
  if (arrived_[side].empty() || failed_) return;
  Fail(Join("nothing was expected for the ", side == Side::kClient ? "client" : "server",
            ", which has\n  ", Shown(arrived_[side])));
}

void Conversation::ExpectEnd(Side side) {
  ExpectNothing(side);
  if (!end_seen_[side]) Fail("no end of stream");
}

void Conversation::ExpectOpen(Side side) {
  Flush();
  if (end_seen_[side]) Fail("an end of stream");
}

void Conversation::ExpectCloseNotify(bool seen) {
  Flush();
  if (close_notify_seen_ != seen) Fail(seen ? "no close_notify" : "a close_notify");
}

void Conversation::ExpectClosed(CloseReason reason) {
  Flush();
  if (!session_->closed()) Fail("the session isn't closed");
  if (session_->reason() != reason) {
    Fail("reason " + std::string(sallyport::ToText(session_->reason())));
  }
}

void Conversation::ExpectPhase(Phase phase) {
  Flush();
  if (session_->phase() != phase) Fail(Join("phase ", static_cast<int>(session_->phase())));
}

void Conversation::ExpectTlsError(std::string_view error) {
  Flush();
  if (tls_error_ != error) Fail("the client's TLS error is '" + tls_error_ + "'");
}

bool Conversation::tls_done() const { return tls_ != nullptr && tls_->handshake_done(); }

std::string Conversation::Arrived(Side side) {
  Flush();
  return std::exchange(arrived_[side], {});
}

void Conversation::Fail(const std::string& what) {
  if (failed_) return;  // What follows only repeats it.
  failed_ = true;
  ADD_FAILURE() << what;
}

}  // namespace sallyport::tests
