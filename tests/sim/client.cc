#include "tests/sim/client.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

#include "tests/sim/failure.h"
#include "tests/sim/server.h"

namespace sallyport::sim {
namespace {

const std::string kQuit = "\x01";
constexpr size_t kFilePacketMax = 32 * 1024;

std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Client::Client(Host* host, Wire* wire, Plan plan) : Peer(host, wire), plan_(std::move(plan)) {
  SetDeparture(plan_.leave_after, plan_.departure);
  SetPatience(plan_.patience);
  wire_->arrival = &plan_.arrival;
  std::string first = plan_.arrival.header;
  if (plan_.glued_request) {
    ++host_.coverage.glued_requests;
    std::string hello;
    first += PrepareTls(&hello) + hello;
  }
  if (!first.empty()) Send(first);
}

// --- Layers: TLS, compression, packets.

void Client::OnBytes(std::string_view bytes) {
  if (tls_ != nullptr) return TakeTls(bytes);
  TakePlain(bytes);
}

void Client::TakeTls(std::string_view bytes) {
  std::span<const uint8_t> in = AsBytes(bytes);
  std::vector<uint8_t> out;
  using Status = tests::TlsClient::Status;
  if (!tls_done_) {
    const Status status = tls_->Handshake(&in, &out);
    if (!out.empty()) SendTls(out, 0);
    if (status == Status::kError) {
      // An ERR_Packet in clear that the proxy sent before it read the SSLRequest; the tap judges.
      error_ = tls_->error();
      const bool crossed = wire_->tap.mode != Tap::Mode::kRecords && !host_.options.calm();
      return crossed ? Close() : Wrong("TLS handshake: " + error_);
    }
    if (status != Status::kOk) return;
    tls_done_ = true;
    if (tls_->resumed()) ++host_.coverage.resumed;
    out.clear();
    LogIn();
  }
  std::vector<uint8_t> plain;
  const Status status = tls_->Open(in, &plain, &out);
  if (!out.empty()) SendTls(out, 0);
  const std::vector<uint8_t> ticket = tls_->session();
  if (!ticket.empty() && host_.tickets.size() < 4) host_.tickets.push_back(ticket);
  if (!plain.empty()) TakePlain(AsText(plain));
  if (status == Status::kError) {
    const bool server_broke = tls_->error() == "TLSV1_ALERT_INTERNAL_ERROR" && ServerMayBreak();
    return server_broke ? Close() : Wrong("TLS: " + tls_->error());
  }
  close_notify_seen_ = close_notify_seen_ || status == Status::kClosed;
}

void Client::TakePlain(std::string_view bytes) {
  const std::string unwrapped = compression_on_ ? compression_.Unwrap(bytes) : "";
  if (compression_on_) bytes = unwrapped;
  if (state_ == State::kCommands) return Match(bytes);
  packets_.Add(bytes);
  packet::Header header;
  std::string payload;
  while (state_ != State::kCommands && packets_.Next(&header, &payload)) {
    if (state_ == State::kRefused || state_ == State::kFinished) {
      return Wrong("bytes behind the end");
    }
    // An ERR_Packet may have been sent before the client's last packet was read.
    const bool crossed =
        !host_.options.calm() && payload.substr(0, 1) == "\xFF" && header.sequence_id < id_;
    if (header.sequence_id != id_ && !crossed) {
      Wrong("sequence_id " + std::to_string(header.sequence_id) + " where " + std::to_string(id_) +
            " follows: " + payload.substr(0, 200));
    }
    id_ = static_cast<uint8_t>(header.sequence_id + 1);
    if (state_ == State::kGreeting) {
      OnGreeting(payload);
    } else {
      OnAuthPacket(payload);
    }
    if (left() && !host_.options.hostile) return;
    if (state_ != State::kTls) continue;
    const std::string rest = packets_.TakeRest();
    return rest.empty() ? void() : TakeTls(rest);
  }
  if (state_ != State::kCommands || packets_.rest().empty()) return;
  const std::string rest = packets_.TakeRest();
  Match(compression_on_ ? compression_.Unwrap(rest) : rest);
}

void Client::Say(std::string_view plain) {
  const std::string wrapped = compression_on_ ? compression_.Wrap(plain) : "";
  if (compression_on_) plain = wrapped;
  if (!tls_done_) return Send(plain);
  std::vector<uint8_t> out;
  (void)tls_->Seal(AsBytes(plain), &out);
  SendTls(out, plain.size());
}

void Client::SendTls(const std::vector<uint8_t>& records, size_t plain_size) {
  wire_->tls_overhead += records.size() - plain_size;
  Send(AsText(records));
}

bool Client::SendCloseNotify() {
  if (!tls_done_) return false;
  std::vector<uint8_t> out;
  tls_->Close(&out);
  SendTls(out, 0);
  return true;
}

// --- Commands.

// Sends what may be sent now: the next command, and those right behind it.
void Client::Issue() {
  while (!blocked_ && next_command_ < plan_.commands.size()) {
    const Command& command = plan_.commands[next_command_];
    const bool change_user = command.kind == Command::Kind::kChangeUser;
    if (!awaited_.empty() && (!command.behind || change_user)) return;
    ++next_command_;
    if (change_user) {
      ChangeUser();
      // Where the proxy sees packets, a query may be sent ahead of OK if nothing is asked before.
      const bool watched = !compression_on_ && (secure() || host_.options.unix_server);
      if (!watched || next_command_ == plan_.commands.size()) return;
      const Command& ahead = plan_.commands[next_command_];
      if (!ahead.behind || ahead.kind != Command::Kind::kQuery || !account().at_once()) return;
      ++next_command_;
      return IssueQuery(ahead);
    }
    IssueQuery(command);
  }
  if (blocked_ || next_command_ != plan_.commands.size()) return;
  if (awaited_.empty()) return Quit();
  if (plan_.hasty) SayQuit();
}

void Client::UpdateKeys(bool asks) {
  if (!tls_done_ || SSL_version(tls_->ssl()) != TLS1_3_VERSION) return;
  asked_for_keys_ = asked_for_keys_ || asks;
  if (asks) ++host_.coverage.keys_asked;
  std::vector<uint8_t> out;
  tls_->UpdateKeys(asks, &out);
  SendTls(out, 0);
}

void Client::IssueQuery(const Command& command) {
  for (size_t i = 0; i < command.new_keys; ++i) UpdateKeys(command.asks_for_keys);
  const bool infile = command.kind == Command::Kind::kInfile;
  std::string payload = "\x03" + std::string(infile ? "L" : "Q");
  for (const uint64_t value :
       {uint64_t{next_command_}, uint64_t{command.seed}, uint64_t{command.upload},
        uint64_t{command.download}, uint64_t{command.whole}}) {
    payload += " " + std::to_string(value);
  }
  payload += " " + plan_.user + ";";
  if (!infile) payload += Pattern(command.seed, command.upload);
  const std::string packet = tests::Packet(0, payload);
  command_log_ += packet;
  if (infile) {
    awaited_.push_back({.bytes = tests::Packet(1, "\xFB/file"), .infile = &command});
    blocked_ = true;
  } else {
    ++host_.coverage.queries;
    const uint8_t packets = static_cast<uint8_t>(1 + payload.size() / packet::kPayloadLengthMax);
    awaited_.push_back({.bytes = Response(packets, command)});
  }
  Say(packet);
}

void Client::SendFile(const Command& command) {
  ++host_.coverage.infiles;
  Dice dice(command.seed);
  uint8_t sequence_id = 2;
  std::string bytes;
  // Small pieces, so that sequence_ids wrap.
  const size_t most = dice.OneIn(2) ? kFilePacketMax : 64;
  for (size_t left = std::min<size_t>(command.upload, most * 600); left > 0;) {
    const size_t size = std::min(left, dice.Size(most));
    bytes += tests::Packet(sequence_id++, Pattern(dice.Next(), size));
    left -= size;
  }
  bytes += tests::Packet(sequence_id++, "");
  command_log_ += bytes;
  awaited_.push_back({.bytes = tests::Packet(sequence_id, tests::Ok())});
  Say(bytes);
}

void Client::Match(std::string_view bytes) {
  while (!bytes.empty()) {
    if (awaited_.empty()) return Wrong("bytes that nobody asked for");
    Awaited& answer = awaited_.front();
    const size_t size = std::min(bytes.size(), answer.bytes.size() - answer.matched);
    if (bytes.substr(0, size) != std::string_view(answer.bytes).substr(answer.matched, size)) {
      return Wrong("an answer's bytes differ");
    }
    answer.matched += size;
    bytes.remove_prefix(size);
    if (answer.matched < answer.bytes.size()) return;
    const Command* const infile = answer.infile;
    awaited_.pop_front();
    blocked_ = infile != nullptr;
    if (infile != nullptr) SendFile(*infile);
    if (awaited_.empty()) {
      Issue();
      // Authentication begins: what comes now are packets.
      if (state_ != State::kCommands && !bytes.empty()) return Wrong("bytes before their time");
    }
  }
}

void Client::SayQuit() {
  if (std::exchange(quit_said_, true)) return;
  const std::string packet = tests::Packet(0, kQuit);
  command_log_ += packet;
  Say(packet);
}

void Client::Quit() {
  state_ = State::kFinished;
  if (plan_.quits) {
    SayQuit();
  } else if (host_.dice.OneIn(2)) {
    SendCloseNotify();
  }
  completed_ = !left();
  if (!plan_.quits || host_.dice.OneIn(2)) End();
}

// --- The end.

void Client::Wrong(const std::string& what) {
  if (host_.options.hostile) return Close();
  // Who left in the middle of a TLS record or a packet reads no more.
  if (left()) return;
  Fail("client " + plan_.user + ": " + what);
}

void Client::OnEnd(bool reset) {
  // Without a word.
  const bool bad_header = plan_.arrival.kind == Arrival::Kind::kBadHeader;
  if (bad_header && state_ == State::kGreeting && packets_.rest().empty() && !left()) {
    ++host_.coverage.unwelcome;
    completed_ = true;
  }
  // Asked for keys that the kernel can't change, the proxy ends the session: in order, unless the
  // kernel said so too late.
  const bool cut_off = wire_->keys_refused;
  const bool refused = asked_for_keys_ && wire_->kernel_tls != nullptr &&
                       !host_.options.kernel.changes_keys && !reset;
  if ((refused || cut_off) && !completed_ && !left()) {
    ++host_.coverage.keys_refused;
    completed_ = true;
  }
  if (host_.options.calm() && completed_ && !cut_off) {
    if (reset) Fail("client " + plan_.user + ": its connection broke");
    if (tls_done_ && !close_notify_seen_) Fail("client " + plan_.user + ": no close_notify");
  }
  Close();
}

bool Client::ServerMayBreak() const {
  return !host_.options.calm() &&
         (server_ == nullptr || server_->left() || host_.options.kernel.breaks != 0);
}

void Client::CheckEnd() const {
  if (completed_) ++host_.coverage.completed;
  if (completed_ && state_ == State::kFinished && host_.options.calm() &&
      (!asked_for_keys_ || host_.options.kernel.changes_keys) && !wire_->keys_refused &&
      !command_log_.empty()) {
    Fail("client " + plan_.user + ": its last " + std::to_string(command_log_.size()) +
         " bytes never reached the server");
  }
  if (completed_ || left() || host_.options.hostile || host_.stopped) return;
  const bool excused = ServerMayBreak() ||
                       (!host_.options.calm() &&
                        (!error_.empty() || host_.options.of_address.handshakes_per_second != 0 ||
                         host_.options.clock_jumps));
  if (!excused) {
    Fail("client " + plan_.user + " did not come to its end: state " +
         std::to_string(static_cast<int>(state_)) + ", " + std::to_string(next_command_) + " of " +
         std::to_string(plan_.commands.size()) + " commands sent, " +
         std::to_string(awaited_.size()) + " unanswered " + error_);
  }
}

}  // namespace sallyport::sim
