// What TLS takes on the server's side. Beside each, limit_ns: the bare cryptography that no server
// gets around (records: AES-128-GCM of the same bytes; handshakes: X25519 twice, the signature).
#include <benchmark/benchmark.h>
#include <openssl/aead.h>
#include <openssl/curve25519.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "bench/client/tls_client.h"
#include "bench/lib/certificate.h"
#include "bench/lib/limit.h"
#include "packet/check.h"
#include "tls/context.h"
#include "tls/engine.h"
#include "tls/self_signed.h"

namespace sallyport::bench {
namespace {

enum Key : int64_t { kEcdsa, kRsa };

const tls::CertificatePair& Pair(int64_t key) {
  static const auto* const ecdsa =
      new tls::CertificatePair(*tls::MakeSelfSigned({"localhost"}, std::time(nullptr), 1));
  static const auto* const rsa = new tls::CertificatePair(MakeRsaCertificate(2048));
  return key == kEcdsa ? *ecdsa : *rsa;
}

std::unique_ptr<tls::Context> MakeContext(int64_t key) {
  const tls::CertificatePair& pair = Pair(key);
  auto context = tls::Context::Create({.certificate_pem = pair.certificate_pem,
                                       .private_key_pem = pair.private_key_pem,
                                       .now = std::time(nullptr)});
  SALLYPORT_CHECK(context.ok());
  return *std::move(context);
}

// One memory for all: to make it anew for each handshake would cost more than the handshake.
struct Buffers {
  Buffer to_client{512 * 1024};
  Buffer to_server{512 * 1024};
  Buffer plain{512 * 1024};
};
Buffers& Shared() {
  static auto* const buffers = new Buffers;
  return *buffers;
}

// A server and a client, joined in memory.
struct Joined {
  Joined(const tls::Context& context, TlsClientContext* client_context)
      : engine(context), client(client_context) {}

  // Handshake runs to the end; `watch` sees the server's part of it.
  void Handshake(StopWatch* watch) {
    packet::Bytes none;
    to_server.used = 0;
    client.Handshake(&none, &to_server);
    while (!engine.handshake_done()) {
      to_client.used = 0;
      packet::Bytes in = to_server.filled();
      watch->Start();
      const tls::Engine::Status status = engine.Handshake(&in, &to_client);
      watch->Stop();
      SALLYPORT_CHECK(status == tls::Engine::Status::kOk ||
                      status == tls::Engine::Status::kNeedMore);
      to_server.used = 0;
      packet::Bytes back = to_client.bytes.first(to_client.used);
      if (!client.handshake_done()) client.Handshake(&back, &to_server);
      plain.used = 0;
      if (client.handshake_done()) client.Open(back, &plain);  // Takes the ticket.
    }
  }

  tls::Engine engine;
  TlsClient client;
  tls::Room to_client{.bytes = Shared().to_client.bytes, .used = 0};
  Buffer& to_server = Shared().to_server;
  Buffer& plain = Shared().plain;
};

void SealRecord(benchmark::State& state) {
  const auto context = MakeContext(kEcdsa);
  TlsClientContext client_context(/*resume=*/false, "1.3");
  Joined joined(*context, &client_context);
  StopWatch watch;
  joined.Handshake(&watch);
  const std::vector<uint8_t> plain(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    joined.to_client.used = 0;
    SALLYPORT_CHECK(joined.engine.Seal(plain, &joined.to_client) == tls::Engine::Status::kOk);
  }
  EVP_AEAD_CTX aead;
  const std::array<uint8_t, 16> key{};
  const std::array<uint8_t, 12> nonce{};
  std::vector<uint8_t> out(plain.size() + EVP_AEAD_MAX_OVERHEAD);
  SALLYPORT_CHECK(EVP_AEAD_CTX_init(&aead, EVP_aead_aes_128_gcm(), key.data(), key.size(),
                                    EVP_AEAD_DEFAULT_TAG_LENGTH, nullptr));
  state.counters["limit_ns"] = NsPerCall([&] {
    size_t size = 0;
    EVP_AEAD_CTX_seal(&aead, out.data(), &size, out.size(), nonce.data(), nonce.size(),
                      plain.data(), plain.size(), nullptr, 0);
  });
  EVP_AEAD_CTX_cleanup(&aead);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * plain.size()));
}
BENCHMARK(SealRecord)->Arg(128)->Arg(1400)->Arg(16384);

void OpenRecord(benchmark::State& state) {
  const auto context = MakeContext(kEcdsa);
  TlsClientContext client_context(/*resume=*/false, "1.3");
  Joined joined(*context, &client_context);
  StopWatch ignored;
  joined.Handshake(&ignored);
  const std::vector<uint8_t> plain(static_cast<size_t>(state.range(0)), 'x');
  std::vector<uint8_t> opened(1 << 20);
  // A record can be opened once, so the client makes them meanwhile, some at a time so that one
  // reading of the clock is for many.
  constexpr size_t kAtOnce = 16;
  for (auto _ : state) {
    joined.to_server.used = 0;
    for (size_t i = 0; i < kAtOnce; ++i) joined.client.Seal(plain, &joined.to_server);
    tls::Room room{.bytes = opened, .used = 0};
    joined.to_client.used = 0;
    StopWatch watch;
    watch.Start();
    joined.engine.Open(joined.to_server.filled(), &room, &joined.to_client);
    watch.Stop();
    SALLYPORT_CHECK(room.used == plain.size() * kAtOnce);
    state.SetIterationTime(watch.seconds() / kAtOnce);
  }
  EVP_AEAD_CTX aead;
  const std::array<uint8_t, 16> key{};
  const std::array<uint8_t, 12> nonce{};
  std::vector<uint8_t> sealed(plain.size() + EVP_AEAD_MAX_OVERHEAD);
  std::vector<uint8_t> out(plain.size());
  size_t size = 0;
  SALLYPORT_CHECK(EVP_AEAD_CTX_init(&aead, EVP_aead_aes_128_gcm(), key.data(), key.size(),
                                    EVP_AEAD_DEFAULT_TAG_LENGTH, nullptr));
  EVP_AEAD_CTX_seal(&aead, sealed.data(), &size, sealed.size(), nonce.data(), nonce.size(),
                    plain.data(), plain.size(), nullptr, 0);
  state.counters["limit_ns"] = NsPerCall([&] {
    size_t out_size = 0;
    EVP_AEAD_CTX_open(&aead, out.data(), &out_size, out.size(), nonce.data(), nonce.size(),
                      sealed.data(), size, nullptr, 0);
  });
  EVP_AEAD_CTX_cleanup(&aead);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * plain.size()));
}
BENCHMARK(OpenRecord)->Arg(128)->Arg(1400)->Arg(16384)->UseManualTime();

double KeyExchangeNs() {
  std::array<uint8_t, 32> ours, peers, shared;
  std::array<uint8_t, 32> ours_public, peers_public;
  X25519_keypair(peers_public.data(), peers.data());
  return NsPerCall([&] {
    X25519_keypair(ours_public.data(), ours.data());
    benchmark::DoNotOptimize(X25519(shared.data(), ours.data(), peers_public.data()));
  });
}

double SignatureNs(int64_t key_kind) {
  const std::string& pem = Pair(key_kind).private_key_pem;
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  SALLYPORT_CHECK(key != nullptr);
  const std::array<uint8_t, 130> message{};
  std::array<uint8_t, 512> signature;
  return NsPerCall([&] {
    EVP_MD_CTX context;
    EVP_MD_CTX_init(&context);
    EVP_PKEY_CTX* key_context = nullptr;
    size_t size = signature.size();
    EVP_DigestSignInit(&context, &key_context, EVP_sha256(), nullptr, key.get());
    if (key_kind == kRsa) EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING);
    EVP_DigestSign(&context, signature.data(), &size, message.data(), message.size());
    EVP_MD_CTX_cleanup(&context);
  });
}

void Handshake(benchmark::State& state, int64_t key, bool resume) {
  const auto context = MakeContext(key);
  TlsClientContext client_context(resume, "1.3");
  if (resume) {
    StopWatch ignored;
    Joined(*context, &client_context).Handshake(&ignored);
  }
  for (auto _ : state) {
    StopWatch watch;
    Joined joined(*context, &client_context);
    joined.Handshake(&watch);
    SALLYPORT_CHECK(joined.client.resumed() == resume);
    state.SetIterationTime(watch.seconds());
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["limit_ns"] = KeyExchangeNs() + (resume ? 0 : SignatureNs(key));
}
BENCHMARK_CAPTURE(Handshake, ecdsa, kEcdsa, false)->UseManualTime();
BENCHMARK_CAPTURE(Handshake, rsa, kRsa, false)->UseManualTime();
BENCHMARK_CAPTURE(Handshake, resumed, kEcdsa, true)->UseManualTime();

}  // namespace
}  // namespace sallyport::bench

BENCHMARK_MAIN();
