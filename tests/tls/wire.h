// An Engine and a TlsClient, joined in memory. What an Engine writes goes through rooms of exactly
// the promised size, so that AddressSanitizer sees each byte too many.
#ifndef TESTS_TLS_WIRE_H_
#define TESTS_TLS_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/test_certs.h"
#include "tests/support/tls_client.h"
#include "tls/context.h"
#include "tls/engine.h"

namespace sallyport::tls {

using tests::TlsClient;
using tests::TlsClientOptions;
using Bytes = std::vector<uint8_t>;

inline constexpr size_t kAtOnce = SIZE_MAX;

Bytes ToBytes(std::string_view text);
Bytes FromHex(std::string_view hex);
Bytes Pattern(size_t size);  // Bytes that show when a part is lost or twice there.

// MakeContext makes a Context with a self-signed certificate of the (cached) key of that type.
std::unique_ptr<Context> MakeContext(tests::KeyType type = tests::KeyType::kP256,
                                     bool defer_signatures = false);

// Server is an Engine with vectors for spans. Each call expects BoringSSL's error queue clean
// after.
class Server {
 public:
  explicit Server(const Context& context) : engine_(context) {}

  // Handshake leaves in `*in` what the Engine left there.
  Engine::Status Handshake(Bytes* in, Bytes* out);
  Engine::Status Open(std::span<const uint8_t> in, Bytes* plain, Bytes* out);
  Engine::Status Seal(std::span<const uint8_t> plain, Bytes* out);
  void Close(Bytes* out, Engine::Ending ending = Engine::Ending::kCloseNotify);
  // Sign makes the signature that Handshake wanted, and counts.
  void Sign();
  int signatures() const { return signatures_; }
  Engine& engine() { return engine_; }

 private:
  Engine engine_;
  int signatures_ = 0;
};

// Shake drives a handshake to its end and hands the tickets to the client; bytes go either way in
// pieces of at most `piece`; a signature is made when it is wanted. False when an end failed; then
// both have seen each other's last words.
bool Shake(Server* server, TlsClient* client, size_t piece = kAtOnce);

// Pair is a finished handshake, on which a test goes on. Aborts where it doesn't finish.
struct Pair {
  explicit Pair(const TlsClientOptions& options, const Context* context = nullptr,
                size_t piece = kAtOnce);

  std::unique_ptr<Context> own_context;
  std::unique_ptr<Server> server;
  std::unique_ptr<TlsClient> client;
};

// Send* seal `plain` at one end and open it at the other; they return what came out there.
Bytes SendToServer(Pair* pair, std::span<const uint8_t> plain);
Bytes SendToClient(Pair* pair, std::span<const uint8_t> plain);

inline TlsClientOptions OnlyVersion(uint16_t version) {
  TlsClientOptions options;
  options.version_min = version;
  options.version_max = version;
  return options;
}

}  // namespace sallyport::tls

#endif  // TESTS_TLS_WIRE_H_
