#include "tests/session/random_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "packet/header.h"
#include "proxy/limits.h"
#include "tests/session/conversation.h"
#include "tests/session/heap_watch.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

// All that a session may hold: a packet of each side being collected, and what came ahead of its
// turn, twice while it is worked on.
constexpr size_t kHeldMax =
    kClientLoginPayloadMax + kServerLoginPayloadMax + 4 * kHeldBytesMax + (64 << 10);

uint32_t RandomFlags(Dice& dice) {
  uint32_t flags = kFlags;
  if (dice.OneIn(4)) flags |= packet::MULTI_FACTOR_AUTHENTICATION;
  if (dice.OneIn(6)) flags &= ~packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
  if (dice.OneIn(12)) flags &= ~packet::CLIENT_SECURE_CONNECTION;
  if (dice.OneIn(12)) flags |= packet::CLIENT_COMPRESS;
  return flags;
}

// What the proxy greets with itself.
packet::Greeting Words(std::string_view plugin, uint32_t flags) {
  packet::Greeting words;
  words.server_version = "9.7.4-test";
  words.capability_flags = flags | packet::CLIENT_SECURE_CONNECTION;
  words.auth_plugin_name = plugin;
  std::copy(kOtherNonce.begin(), kOtherNonce.end(), words.nonce.begin());
  return words;
}

std::string AuthPayloadOfServer(Dice& dice) {
  return dice.Of<std::string>({Ok(), Ok(), Err(1045), AuthSwitch(dice.Plugin(), dice.Nonce()),
                               AuthSwitch(dice.Plugin(), dice.Nonce()),
                               AuthNextFactor(dice.Plugin(), dice.Nonce()), kFastAuth, kFullAuth,
                               MoreData(ServerPublicKeyPem()), MoreData(ServerPublicKeyPem()),
                               "\x04", "\xFE", dice.Bytes(50)});
}

// Next is the number that follows the last packet in `stream`, or `before` without one.
uint8_t Next(std::string_view stream, uint8_t before) {
  packet::Header header;
  while (packet::ReadHeader(packet::AsBytes(stream), &header) == packet::Parse::kOk) {
    before = static_cast<uint8_t>(header.sequence_id + 1);
    stream.remove_prefix(std::min(stream.size(), packet::kHeaderSize + header.payload_length));
  }
  return before;
}

// --- Both sides hostile: nothing may crash, no CHECK may fail, memory stays bounded.

class HostileRun {
 public:
  explicit HostileRun(Dice* dice)
      : dice_(*dice),
        c_({.tls_offered = !dice_.OneIn(6),
            .tls_required = dice_.OneIn(8),
            .greets = dice_.OneIn(4),
            .unix_server = dice_.OneIn(3),
            .allow_cleartext_password = dice_.OneIn(3),
            .rsa_certificate = dice_.OneIn(4),
            .late_signatures = dice_.OneIn(2),
            .own_key = !dice_.OneIn(4),
            .secret = ""},
           dice_.Of<Way>({Way::kWhole, Way::kPackets, Way::kPieces, Way::kSlowOutput})) {}

  void Run() {
    const size_t before = HeapWatch::bytes_held();
    const size_t steps = dice_.Below(40);
    // Most begin well, or few would get far.
    const bool greets = !dice_.OneIn(6);
    const bool asks_for_tls = dice_.OneIn(2);
    const bool logs_in = !dice_.OneIn(4);
    for (size_t i = 0; i < steps && !c_.failed() && !c_.session().closed(); ++i) {
      if (c_.links().greets) ProxyGoesOn();
      if (i == 0 && greets) {
        c_.Server(0, Greeting{dice_.Plugin(), kGreetingNonce, RandomFlags(dice_)}.payload());
        server_id_ = 1;
      } else if (i == 1 && asks_for_tls) {
        StartTls();
      } else if (i == 2 && logs_in) {
        ClientSpeaks();
      } else {
        Step();
      }
      client_id_ = Next(c_.Arrived(Side::kClient), client_id_);
      server_id_ = Next(c_.Arrived(Side::kServer), server_id_);
      ASSERT_LE(HeapWatch::bytes_held() - before, kHeldMax);
    }
    // A conversation ends with nothing unread, whatever happens while its last words are flushed.
    for (const Side side : kBothSides) c_.Arrived(side);
  }

 private:
  // Where it greets: as a connection does for its session.
  void ProxyGoesOn() {
    if (c_.session().phase() == Phase::kGreeting && !dice_.OneIn(4)) {
      c_.ProxyGreets(Words(dice_.Plugin(), RandomFlags(dice_)));
    }
    if (!c_.session().wants_server()) return;
    if (dice_.OneIn(8)) return c_.Refuse(CloseReason::kServerUnreachable, {2003, "HY000", "gone"});
    c_.ServerConnects();
    server_id_ = 0;
  }

  void Step() {
    switch (dice_.Below(50)) {
      case 0:
        return EndSomehow();
      case 1:
        client_spoke_ = true;
        return c_.ClientWire(dice_.Bytes(100));
      case 2:
        return c_.ServerBytes(dice_.Bytes(100));
      case 3:
        return StartTls();
      case 4:
      case 5:
        return SignatureComes();
      default:
        return dice_.OneIn(2) ? ServerSpeaks() : ClientSpeaks();
    }
  }

  void EndSomehow() {
    const Side side = dice_.OneIn(2) ? Side::kClient : Side::kServer;
    switch (dice_.Below(5)) {
      case 0:
        return c_.Resets(side);
      case 1:
        if (c_.tls_done() && !closed_tls_) c_.ClientClosesTls();
        closed_tls_ = c_.tls_done();
        return;
      case 2:
        if (c_.session().phase() == Phase::kCommand) return c_.Close(CloseReason::kIdleTimeout);
        return c_.Refuse(CloseReason::kShutdown, {1053, "08S01", "Server shutdown in progress"});
      default:
        return c_.Ends(side);
    }
  }

  void StartTls() {
    if (client_spoke_ || c_.session().phase() != Phase::kClientReply || !c_.links().tls_offered)
      return;
    client_spoke_ = true;
    c_.ClientAsksForTls();
    c_.Arrived(Side::kServer);
    if (c_.session().phase() != Phase::kTlsHandshake) return;
    c_.ClientStartsTls(dice_.OneIn(3) ? kTls12 : kTls13);
    c_.Arrived(Side::kClient);  // Else the hello may not have left.
    if (dice_.OneIn(2)) SignatureComes();
    if (!c_.signature_under_way() && c_.session().accepts(Side::kClient) && !dice_.OneIn(10)) {
      c_.FinishTls();
    }
    client_id_ = 2;
  }

  void SignatureComes() {
    if (!c_.signature_under_way()) return;
    dice_.OneIn(4) ? c_.SignatureFails() : c_.SignatureComes();
  }

  void ServerSpeaks() {
    std::string bytes;
    for (size_t i = dice_.OneIn(3) ? 3 : 1; i > 0; --i) {
      const Phase phase = c_.session().phase();
      const bool greets =
          (phase == Phase::kGreeting || phase == Phase::kServerGreeting) && bytes.empty();
      std::string payload =
          greets ? Greeting{dice_.Plugin(), kGreetingNonce, RandomFlags(dice_)}.payload()
                 : AuthPayloadOfServer(dice_);
      if (dice_.OneIn(300)) payload = std::string(dice_.Below(300'000), 'x');
      bytes += dice_.Damaged(Packet(greets ? 0 : server_id_++, payload));
    }
    c_.ServerBytes(bytes);
  }

  void ClientSpeaks() {
    if (c_.on_tls() && (!c_.tls_done() || closed_tls_)) return;
    client_spoke_ = true;
    std::string bytes;
    for (size_t i = dice_.OneIn(3) ? 3 : 1; i > 0; --i) {
      const bool login = c_.session().phase() < Phase::kAuth && bytes.empty();
      const bool command = c_.session().phase() == Phase::kCommand || dice_.OneIn(5);
      const uint8_t id = login ? (c_.on_tls() ? 2 : 1) : command ? 0 : client_id_++;
      bytes += dice_.Damaged(Packet(id, ClientPayload(login, command)));
    }
    c_.ClientBytes(bytes);
  }

  std::string ClientPayload(bool login, bool command) {
    const std::vector<std::string> answers = {
        "",
        std::string(1, '\0'),
        "\x01",
        "\x02",
        PasswordNul(),
        Scramble(),
        Scramble(20),
        std::string(256, 'c'),
        ClientEncrypts(ServerPublicKeyPem(), kPassword, kGreetingNonce)};
    const std::string& answer =
        dice_.OneIn(40) ? answers.back() : answers[dice_.Below(answers.size() - 1)];
    if (dice_.OneIn(300)) return std::string(dice_.Below(300'000), '\x11');
    if (login) return Login{answer.substr(0, 250), dice_.Plugin(), RandomFlags(dice_)}.payload();
    if (!command) return answer;
    if (dice_.OneIn(2)) return ChangeUser{answer.substr(0, 250), dice_.Plugin()}.payload();
    return Query(dice_.Bytes(200));
  }

  Dice& dice_;
  Conversation c_;
  bool client_spoke_ = false;
  bool closed_tls_ = false;
  uint8_t client_id_ = 1;
  uint8_t server_id_ = 0;
};

// --- An honest client on TLS, which does what the protocol asks of it, and a hostile server on
// plaintext TCP that says anything at any time: the password never gets there.

class HonestClient {
 public:
  HonestClient(Conversation* c, Dice* dice) : c_(*c), dice_(*dice) {}

  void LogIn() {
    plugin_ = dice_.Plugin();
    c_.Client(2, Login{Answer().value_or(""), plugin_, RandomFlags(dice_)}.payload());
    id_ = 3;
  }

  // Reads what is there, and does what it asks for.
  void Read() {
    read_ += c_.Arrived(Side::kClient);
    packet::Header header;
    while (!gone_ && packet::ReadHeader(packet::AsBytes(read_), &header) == packet::Parse::kOk &&
           read_.size() >= packet::kHeaderSize + header.payload_length) {
      const std::string payload = read_.substr(packet::kHeaderSize, header.payload_length);
      read_.erase(0, packet::kHeaderSize + header.payload_length);
      CheckSequenceId(header.sequence_id);
      if (header.sequence_id != id_++) return Leave();
      logs_in_ ? OnLogInPacket(payload) : OnAnswer(payload);
    }
  }

  // Sends its next command, if it has its answers.
  void Command() {
    if (gone_ || logs_in_ || waits_) return;
    id_ = 1;
    if (dice_.OneIn(2)) {
      waits_ = true;
      return c_.Client(0, Query());
    }
    logs_in_ = changes_user_ = true;
    plugin_ = dice_.Plugin();
    c_.Client(0, ChangeUser{Answer().value_or(""), plugin_}.payload());
  }

  void Leave() {
    gone_ = true;
    dice_.OneIn(2) ? c_.Ends(Side::kClient) : c_.ClientClosesTls();
  }
  bool gone() const { return gone_; }

 private:
  // Until OK all packets are numbered by the session, whatever the server says and when: behind the
  // last packet that went here, or the client's last. (Behind OK they have the server's numbers,
  // and so have those of commands ahead of a COM_CHANGE_USER.)
  void CheckSequenceId(uint8_t id) {
    const bool in_order = id == uint8_t(last_read_ + 1) || id == uint8_t(last_said_ + 1);
    if (logs_in_ && !changes_user_ && !in_order) ADD_FAILURE() << "a wrong sequence_id: " << +id;
    last_read_ = id;
  }

  // What the plugin says when it begins: nothing for one that this client lacks.
  std::optional<std::string> Answer() {
    if (plugin_ == kCachingSha2) return Scramble();
    if (plugin_ == kNative) return Scramble(20);
    if (plugin_ == "client_ed25519") return Scramble(64);
    if (plugin_ == "unheard_of") return std::nullopt;
    return PasswordNul();
  }

  void Say(const std::string& payload) {
    last_said_ = id_;
    c_.Client(id_++, payload);
  }

  void OnLogInPacket(const std::string& payload) {
    switch (payload.empty() ? 1 : static_cast<uint8_t>(payload[0])) {
      case 0x00:
        logs_in_ = false;
        return;
      case 0xFF:
        if (!changes_user_) return Leave();
        logs_in_ = false;
        return;
      case 0xFE:
        return Switch(payload);
      default:
        if (plugin_ == "dialog") return Say(PasswordNul());
        if (plugin_ != kCachingSha2) return Leave();
        if (payload == kFullAuth || payload == "\x04") return Say(PasswordNul());
        if (payload != kFastAuth && payload != "\x03") return Leave();
    }
  }

  void Switch(const std::string& payload) {
    plugin_ = payload.substr(1, payload.find('\0', 1) - 1);
    const std::optional<std::string> answer = Answer();
    if (!answer || plugin_.empty()) return Leave();
    Say(*answer);
  }

  void OnAnswer(const std::string& payload) {
    if (!waits_) return Leave();  // Nobody asked.
    waits_ = false;
    if (payload.substr(0, 1) != "\xFB") return;
    Say("a line of the file");
    Say("");
    waits_ = true;
  }

  Conversation& c_;
  Dice& dice_;
  std::string plugin_;
  std::string read_;
  uint8_t id_ = 0;
  uint8_t last_read_ = 0;
  uint8_t last_said_ = 2;  // The log-in packet.
  bool logs_in_ = true;
  bool changes_user_ = false;
  bool waits_ = false;
  bool gone_ = false;
};

}  // namespace

void RunHonestClient(Dice* choices) {
  Dice& dice = *choices;
  const Way way = dice.Of<Way>({Way::kWhole, Way::kPackets, Way::kRecords, Way::kPieces});
  const Links links = {.greets = dice.OneIn(4)};
  Conversation c(links, way);
  // Behind compression COM_CHANGE_USER isn't seen, as the README says.
  const uint32_t flags = RandomFlags(dice) & ~packet::CLIENT_COMPRESS;
  if (links.greets) {
    c.ProxyGreets(Words(dice.Plugin(), flags));
    c.Arrived(Side::kClient);
    c.ClientAsksForTls();
    c.ClientStartsTls();
  } else {
    StartTls(c, {dice.Plugin(), kGreetingNonce, flags});
  }
  c.FinishTls();
  HonestClient client(&c, &dice);
  client.LogIn();
  if (links.greets) {
    c.ServerConnects();
    c.Server(0, Greeting{dice.Plugin(), kGreetingNonce, flags}.payload());
  }
  uint8_t server_id = 2;
  const size_t steps = dice.Below(30);
  for (size_t i = 0; i < steps && !client.gone() && !c.failed(); ++i) {
    server_id = Next(c.Arrived(Side::kServer), server_id);
    std::string bytes;
    for (size_t packets = dice.Below(4); packets > 0; --packets) {
      const std::string payload = dice.OneIn(15) ? "\xFB"
                                                   "f"
                                                 : AuthPayloadOfServer(dice);
      bytes += Packet(dice.OneIn(20) ? static_cast<uint8_t>(dice.Below(4)) : server_id++, payload);
    }
    c.ServerBytes(bytes);
    if (dice.OneIn(4)) continue;  // The client is slow.
    client.Read();
    client.Command();
  }
  for (const Side side : kBothSides) c.Arrived(side);
}

void RunTwoHostileSides(Dice* dice) { HostileRun(dice).Run(); }

}  // namespace sallyport::tests
