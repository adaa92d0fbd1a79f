#include "tests/sim/server.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tests/session/rsa.h"
#include "tests/sim/failure.h"

namespace sallyport::sim {
namespace {

constexpr size_t kCommandTextMax = 200;

std::string Nonce(size_t number, uint64_t more) {
  char text[21];
  std::snprintf(text, sizeof(text), "%08zu%012llu", number % 100'000'000,
                static_cast<unsigned long long>(more % 1'000'000'000'000));
  return text;
}

}  // namespace

Server::Server(Host* host, Wire* wire, size_t number)
    : Peer(host, wire), greeting_nonce_(Nonce(number, host->dice.Next())), nonce_(greeting_nonce_) {
  Dice& dice = host_.dice;
  if (host_.options.leavers && dice.OneIn(4)) {
    SetDeparture(dice.Below(dice.OneIn(2) ? 6 : 30),
                 host_.options.hostile && dice.OneIn(2)
                     ? Departure::kGarbage
                     : dice.Of({Departure::kClose, Departure::kReset, Departure::kHalfClose,
                                Departure::kStall}));
  }
  if (dice.OneIn(6)) SetPatience(dice.Between(2, 30));
  if (host_.options.leavers && dice.OneIn(12)) {
    // Before the greeting an ERR_Packet has no SQLSTATE.
    SayBytes(tests::Packet(0, "\xFF\x10\x04Too many connections"));
    state_ = State::kOver;
    End();
    return;
  }
  header_due_ = host_.options.header_out != 0;
  // MariaDB doesn't wait for it, Percona's server does.
  if (!header_due_ || dice.OneIn(2)) Greet();
}

void Server::Greet() {
  greeted_ = true;
  Say(GreetingPayload(false));
}

// The first bytes are one right header. Returns what follows it.
std::string_view Server::TakeHeader(std::string_view bytes) {
  const Client* const client = host_.ClientOf(wire_->other);
  Require(client != nullptr, "a server without a client");
  const bool tls_known = host_.options.greets && client->tls_done();
  const std::string expected = ServerHeader(host_.options.header_out, client->plan().arrival,
                                            tls_known ? client->tls_words() : TlsWords());
  const size_t size = std::min(bytes.size(), expected.size() - header_.size());
  header_ += bytes.substr(0, size);
  if (!std::string_view(expected).starts_with(header_)) {
    Wrong("another PROXY header: " + header_);
  }
  bytes.remove_prefix(size);
  if (header_.size() < expected.size()) return bytes;
  header_due_ = false;
  ++host_.coverage.server_headers;
  if (!greeted_) Greet();
  return bytes;
}

std::string Server::GreetingPayload(bool tls) const {
  tests::Greeting greeting;
  greeting.nonce = greeting_nonce_;
  greeting.flags = tests::kFlags | packet::CLIENT_LOCAL_FILES | packet::CLIENT_COMPRESS |
                   packet::MULTI_FACTOR_AUTHENTICATION;
  return (tls ? greeting.WithSsl() : greeting).payload();
}

GreetingTraits Server::Traits() {
  return {"9.7.4-test",
          std::string(tests::kCachingSha2),
          tests::kFlags | packet::CLIENT_LOCAL_FILES | packet::CLIENT_COMPRESS |
              packet::MULTI_FACTOR_AUTHENTICATION,
          0,
          2,
          0xFF};
}

void Server::Say(std::string_view payload) { SayBytes(tests::Packet(id_++, payload)); }

void Server::SayBytes(std::string_view bytes) {
  if (compression_on_) return Send(compression_.Wrap(bytes));
  Send(bytes);
}

void Server::OnBytes(std::string_view bytes) {
  if (state_ == State::kOver) return;  // It reads on, so that its last words aren't lost.
  if (header_due_) bytes = TakeHeader(bytes);
  const std::string unwrapped = compression_on_ ? compression_.Unwrap(bytes) : "";
  packets_.Add(compression_on_ ? unwrapped : bytes);
  packet::Header header;
  std::string payload;
  while (!gone() && state_ != State::kOver && packets_.Next(&header, &payload)) {
    const bool compressed = compression_on_;
    OnPacket(header, payload);
    if (compressed == compression_on_) continue;
    const std::string rest = packets_.TakeRest();
    packets_.Add(compression_.Unwrap(rest));
  }
}

void Server::OnPacket(packet::Header header, const std::string& payload) {
  const uint8_t expected = state_ == State::kCommands && !continued_ ? 0 : id_;
  if (header.sequence_id != expected) {
    return Wrong("sequence_id " + std::to_string(header.sequence_id) + " where " +
                 std::to_string(expected) + " follows");
  }
  id_ = static_cast<uint8_t>(header.sequence_id + 1);
  switch (state_) {
    case State::kLogin:
      return OnLogin(payload);
    case State::kThrowaway:
      return Deny();
    case State::kAnswer:
      return Judge(payload);
    case State::kPassword:
      return OnSecret(payload);
    case State::kCiphertext:
      return Check(tests::ServerDecrypts(payload, nonce_), account().password + '\0');
    case State::kRound:
      return OnRound(payload);
    case State::kCommands:
    case State::kInfile:
      return OnCommandPacket(header, payload);
    case State::kOver:
      return;
  }
}

// --- Commands.

void Server::CompareWithLog(packet::Header header, std::string_view payload) {
  std::string& log = client_->command_log();
  uint8_t header_bytes[packet::kHeaderSize];
  packet::WriteHeader(header, header_bytes);
  const std::string_view head(reinterpret_cast<const char*>(header_bytes), packet::kHeaderSize);
  const std::string_view expected = log;
  if (expected.substr(0, head.size()) != head ||
      expected.substr(std::min(head.size(), log.size()), payload.size()) != payload) {
    return Wrong("a command's bytes differ");
  }
  log.erase(0, head.size() + payload.size());
}

void Server::OnCommandPacket(packet::Header header, const std::string& payload) {
  const bool begins = state_ == State::kCommands && !continued_;
  if (begins && payload.substr(0, 1) == "\x11") return OnChangeUser(payload);
  CompareWithLog(header, payload);
  if (begins) command_ = payload.substr(0, kCommandTextMax);
  continued_ = header.payload_length == packet::kPayloadLengthMax;
  if (continued_) return;
  if (state_ == State::kInfile) {
    if (!payload.empty()) return;
    state_ = State::kCommands;
    return Say(tests::Ok());
  }
  OnCommand();
}

void Server::OnCommand() {
  if (command_ == "\x01") {
    state_ = State::kOver;
    return End();
  }
  char kind = 0;
  unsigned whole = 0;
  unsigned long long number = 0, upload = 0, download = 0;
  Command command;
  char user[32] = "";
  if (std::sscanf(command_.c_str(), "\x03%c %llu %u %llu %llu %u %31[^;];", &kind, &number,
                  &command.seed, &upload, &download, &whole, user) != 7) {
    return Wrong("a command that nobody sent");
  }
  if (user != client_->plan().user) return Wrong("a command of another client");
  if (kind == 'L') {
    state_ = State::kInfile;
    return Say("\xFB/file");
  }
  command.download = static_cast<size_t>(download);
  command.whole = whole != 0;
  SayBytes(Response(id_, command));
}

void Server::OnChangeUser(const std::string& payload) {
  ++authentication_;
  if (authentication_ >= client_->plan().accounts.size()) return Wrong("a COM_CHANGE_USER");
  const std::string request = "\x01";
  if (payload != client_->change_user_payload(nullptr) &&
      !(account().first_plugin == tests::kSha256 &&
        payload == client_->change_user_payload(&request))) {
    return Wrong("another COM_CHANGE_USER");
  }
  const size_t at = 1 + client_->plan().user.size() + 1;
  const size_t size = static_cast<uint8_t>(payload[at]);
  BeginAuth(payload.substr(at + 1, size), account().first_plugin);
}

// --- The end.

void Server::Wrong(const std::string& what) {
  if (host_.options.hostile) {
    state_ = State::kOver;
    return Close();
  }
  if (left()) return;
  Fail("server " + key() + (client_ == nullptr ? "" : " of client " + client_->plan().user) + ": " +
       what);
}

void Server::OnEnd(bool reset) {
  const bool excused = left() || reset || host_.stopped || host_.options.clock_jumps ||
                       host_.options.hostile || host_.options.kernel.breaks != 0;
  if (greeted_ && !login_seen_ && !excused && all_sent()) {
    Fail("server " + key() + ": an aborted handshake is counted against the proxy");
  }
  if (state_ == State::kCommands && !compression_on_ && !host_.options.hostile && !left()) {
    const std::string& rest = packets_.rest();
    const bool changes_user =
        rest.size() > packet::kHeaderSize && rest[packet::kHeaderSize] == 0x11;
    if (!changes_user && client_->command_log().substr(0, rest.size()) != rest &&
        rest.size() > packet::kHeaderSize) {
      Fail("server " + key() + ": the last bytes differ");
    }
  }
  state_ = State::kOver;
  Close();
}

}  // namespace sallyport::sim
