// What a session takes: whole connection phases and round trips, in memory, the session's part
// alone. Beside each, limit_ns: for TLS what the TLS engine alone takes for the same, else what
// reading and rewriting the log-in's two packets takes.
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "bench/client/login.h"
#include "bench/client/tls_client.h"
#include "bench/lib/limit.h"
#include "bench/lib/packet_stream.h"
#include "bench/server/reply.h"
#include "packet/auth.h"
#include "packet/check.h"
#include "packet/greeting.h"
#include "packet/handshake_response.h"
#include "proxy/session/session.h"
#include "tls/context.h"
#include "tls/engine.h"
#include "tls/rsa_password.h"
#include "tls/self_signed.h"

namespace sallyport::bench {
namespace {

constexpr size_t kRequestBytes = 128;
constexpr size_t kReplyBytes = 256;

const tls::Context& Context() {
  static const auto* const context = [] {
    const auto pair = tls::MakeSelfSigned({"localhost"}, std::time(nullptr), 1);
    auto made = tls::Context::Create({.certificate_pem = pair->certificate_pem,
                                      .private_key_pem = pair->private_key_pem,
                                      .now = std::time(nullptr)});
    SALLYPORT_CHECK(made.ok());
    return made->release();
  }();
  return *context;
}

const std::string& PublicKeyPem() {
  static const auto* const pem = new std::string((*tls::PasswordKey::Generate())->public_key_pem());
  return *pem;
}

std::string GreetingPacket() {
  std::array<uint8_t, 256> room;
  packet::Writer writer(room);
  const std::string nonce(packet::kNonceSize, 'n');
  const packet::Bytes bytes = packet::AsBytes(nonce);
  SALLYPORT_CHECK(writer.WriteInt1(10) && writer.WriteNulTerminated("8.0.36") &&
                  writer.WriteInt4(7) && writer.WriteBytes(bytes.first(8)) &&
                  writer.WriteZeros(1) && writer.WriteInt2(0xF7FF) && writer.WriteInt1(255) &&
                  writer.WriteInt2(2) && writer.WriteInt2(0xC07F) && writer.WriteInt1(21) &&
                  writer.WriteZeros(10) && writer.WriteBytes(bytes.subspan(8)) &&
                  writer.WriteZeros(1) && writer.WriteNulTerminated("caching_sha2_password"));
  std::string packet;
  AppendPacket(writer.written(), 0, &packet);
  return packet;
}

// The server, as far as it matters: it accepts everybody, by fast or by full authentication.
class FakeServer {
 public:
  explicit FakeServer(bool full) : full_(full) {}

  std::string Answer(packet::Bytes bytes) {
    std::string out;
    PacketStream::Packet packet;
    while (stream_.Next(&bytes, &packet)) {
      uint8_t sequence_id = packet.header.sequence_id;
      if (logged_in_) {
        out += reply_;
      } else if (packets_++ == 0) {
        const std::array<uint8_t, 2> more = {1, full_
                                                    ? packet::kCachingSha2PerformFullAuthentication
                                                    : packet::kCachingSha2FastAuthSuccess};
        AppendPacket(more, ++sequence_id, &out);
        if (!full_) LogIn(++sequence_id, &out);
      } else if (packet.payload.size() == 1) {
        AppendPacket(packet::AsBytes("\x01" + PublicKeyPem()), ++sequence_id, &out);
      } else {
        LogIn(++sequence_id, &out);
      }
    }
    return out;
  }

 private:
  void LogIn(uint8_t sequence_id, std::string* out) {
    AppendOk(sequence_id, out);
    logged_in_ = true;
  }

  bool full_;
  bool logged_in_ = false;
  int packets_ = 0;
  PacketStream stream_;
  const std::string reply_ = OneRowReply(kReplyBytes);
};

// What a worker owns and lends to sessions.
struct Lent {
  Outboxes out;
  std::vector<uint8_t> received = std::vector<uint8_t>(kReceiveBytesMax);
  Buffer sealed{kReceiveBytesMax};
  Buffer plain{2 * kReceiveBytesMax};
};
Lent& Shared() {
  static auto* const lent = new Lent;
  return *lent;
}

// One client, one session, one server.
class Conversation {
 public:
  Conversation(const SessionOptions& options, TlsClientContext* tls, bool full)
      : session_(options),
        login_(login_options_, /*ask_tls=*/tls != nullptr, /*secure=*/false),
        tls_context_(tls),
        server_(full) {}

  void LogIn(StopWatch* watch) {
    session_.ServerConnected(/*server_secure=*/false);
    Deliver(Side::kServer, GreetingPacket(), watch);
    SALLYPORT_CHECK(session_.phase() == Phase::kCommand && logged_in_);
  }

  void RoundTrip(packet::Bytes request, StopWatch* watch) {
    Deliver(Side::kClient, Sealed(request), watch);
  }

  bool resumed() const { return tls_ != nullptr && tls_->resumed(); }

 private:
  // Deliver shows the session what `from` sent, and goes on until nobody has anything to say.
  void Deliver(Side from, const std::string& bytes, StopWatch* watch) {
    Lent& lent = Shared();
    std::copy(bytes.begin(), bytes.end(), lent.received.begin());
    watch->Start();
    session_.Receive(from, packet::MutableBytes(lent.received).first(bytes.size()), &lent.out);
    watch->Stop();
    PerSide<std::string> sent;
    Take(&sent);
    while (session_.again()) {
      watch->Start();
      session_.Continue(&lent.out);
      watch->Stop();
      Take(&sent);
    }
    const std::string to_session =
        sent[Side::kServer].empty() ? "" : server_.Answer(packet::AsBytes(sent[Side::kServer]));
    const std::string from_client = Client(packet::AsBytes(sent[Side::kClient]));
    if (!from_client.empty()) Deliver(Side::kClient, from_client, watch);
    if (!to_session.empty()) Deliver(Side::kServer, to_session, watch);
  }

  void Take(PerSide<std::string>* sent) {
    for (const Side side : kBothSides) {
      Outbox& outbox = Shared().out[side];
      for (const iovec& part : outbox.parts()) {
        (*sent)[side].append(static_cast<const char*>(part.iov_base), part.iov_len);
      }
      outbox.Clear(/*secret=*/!logged_in_);
    }
  }

  std::string Client(packet::Bytes bytes) {
    Lent& lent = Shared();
    std::string answer;
    if (tls_ != nullptr && !tls_->handshake_done()) {
      answer = ContinueHandshake(&bytes);
      if (!tls_->handshake_done()) return answer;
    }
    if (tls_ != nullptr) {
      lent.plain.used = 0;
      tls_->Open(bytes, &lent.plain);
      bytes = lent.plain.filled();
    }
    PacketStream::Packet packet;
    while (!logged_in_ && stream_.Next(&bytes, &packet)) {
      std::string out;
      const Login::Step step = login_.OnPacket(packet, &out);
      SALLYPORT_CHECK(step != Login::Step::kFailed);
      logged_in_ = step == Login::Step::kDone;
      answer += Sealed(packet::AsBytes(out));
      if (step == Login::Step::kStartTls) {
        tls_ = std::make_unique<TlsClient>(tls_context_);
        packet::Bytes none;
        answer += ContinueHandshake(&none);
      }
    }
    return answer;
  }

  std::string ContinueHandshake(packet::Bytes* bytes) {
    Lent& lent = Shared();
    lent.sealed.used = 0;
    tls_->Handshake(bytes, &lent.sealed);
    std::string answer(packet::AsText(lent.sealed.filled()));
    if (tls_->handshake_done()) {
      std::string response;
      login_.TlsStarted(&response);
      answer += Sealed(packet::AsBytes(response));
    }
    return answer;
  }

  std::string Sealed(packet::Bytes plain) {
    if (tls_ == nullptr || plain.empty()) return std::string(packet::AsText(plain));
    Lent& lent = Shared();
    lent.sealed.used = 0;
    tls_->Seal(plain, &lent.sealed);
    return std::string(packet::AsText(lent.sealed.filled()));
  }

  const LoginOptions login_options_ = {.user = "u", .password = "secret", .database = ""};
  Session session_;
  Login login_;
  TlsClientContext* tls_context_;
  std::unique_ptr<TlsClient> tls_;
  FakeServer server_;
  PacketStream stream_;
  bool logged_in_ = false;
};

SessionOptions Options(bool tls) {
  SessionOptions options;
  if (tls) options.tls = &Context();
  return options;
}

// The limit of a log-in over TLS: the engine's handshake, as engine_bench takes it.
double EngineHandshakeNs(TlsClientContext* client_context, int rounds) {
  Lent& lent = Shared();
  std::vector<uint8_t> memory(64 * 1024);
  double best = 1e18;
  for (int i = 0; i < rounds; ++i) {
    StopWatch watch;
    tls::Engine engine(Context());
    TlsClient client(client_context);
    packet::Bytes none;
    lent.sealed.used = 0;
    client.Handshake(&none, &lent.sealed);
    while (!engine.handshake_done()) {
      tls::Room room{.bytes = memory, .used = 0};
      packet::Bytes in = lent.sealed.filled();
      watch.Start();
      engine.Handshake(&in, &room);
      watch.Stop();
      lent.sealed.used = 0;
      packet::Bytes back = packet::Bytes(memory).first(room.used);
      if (!client.handshake_done()) client.Handshake(&back, &lent.sealed);
      lent.plain.used = 0;
      if (client.handshake_done()) client.Open(back, &lent.plain);
    }
    best = std::min(best, watch.seconds() * 1e9);
  }
  return best;
}

double PacketsNs() {
  std::string greeting = GreetingPacket();
  const packet::MutableBytes payload(reinterpret_cast<uint8_t*>(greeting.data()) + 4,
                                     greeting.size() - 4);
  return NsPerCall([&] {
    packet::Greeting parsed;
    benchmark::DoNotOptimize(packet::ParseGreeting(payload, &parsed));
    packet::SetClientSsl(payload, true);
  });
}

enum class Tls { kNone, kFull, kResumed };

void ConnectionPhase(benchmark::State& state, Tls tls, bool full_authentication) {
  const SessionOptions options = Options(tls != Tls::kNone);
  TlsClientContext client(tls == Tls::kResumed, "1.3");
  TlsClientContext* client_context = tls == Tls::kNone ? nullptr : &client;
  if (tls == Tls::kResumed) {
    StopWatch ignored;
    Conversation(options, client_context, full_authentication).LogIn(&ignored);
  }
  for (auto _ : state) {
    StopWatch watch;
    Conversation conversation(options, client_context, full_authentication);
    conversation.LogIn(&watch);
    SALLYPORT_CHECK(conversation.resumed() == (tls == Tls::kResumed));
    state.SetIterationTime(watch.seconds());
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["limit_ns"] = tls == Tls::kNone ? PacketsNs() : EngineHandshakeNs(&client, 20);
}
BENCHMARK_CAPTURE(ConnectionPhase, plaintext, Tls::kNone, false)->UseManualTime();
BENCHMARK_CAPTURE(ConnectionPhase, tls, Tls::kFull, false)->UseManualTime();
BENCHMARK_CAPTURE(ConnectionPhase, tls_resumed, Tls::kResumed, false)->UseManualTime();
BENCHMARK_CAPTURE(ConnectionPhase, tls_full_authentication, Tls::kFull, true)->UseManualTime();

void RoundTrip(benchmark::State& state, bool tls) {
  TlsClientContext client(/*resume=*/false, "1.3");
  const SessionOptions options = Options(tls);
  Conversation conversation(options, tls ? &client : nullptr, /*full=*/false);
  StopWatch ignored;
  conversation.LogIn(&ignored);
  std::string request;
  const std::string query = "\x03" + std::string(kRequestBytes - 5, 'x');
  AppendPacket(packet::AsBytes(query), 0, &request);
  for (auto _ : state) {
    StopWatch watch;
    conversation.RoundTrip(packet::AsBytes(request), &watch);
    state.SetIterationTime(watch.seconds());
  }
}
// Its limit is OpenRecord and SealRecord of engine_bench; in plaintext, nothing.
BENCHMARK_CAPTURE(RoundTrip, plaintext, false)->UseManualTime();
BENCHMARK_CAPTURE(RoundTrip, tls, true)->UseManualTime();

}  // namespace
}  // namespace sallyport::bench

BENCHMARK_MAIN();
