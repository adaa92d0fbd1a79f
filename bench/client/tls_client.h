// TLS, client side, as a function over bytes: the mirror of tls::Engine, which is a server only.
#ifndef BENCH_CLIENT_TLS_CLIENT_H_
#define BENCH_CLIENT_TLS_CLIENT_H_

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "packet/wire.h"

namespace sallyport::bench {

// A buffer of fixed size that calls append to, one per thread and purpose.
struct Buffer {
  explicit Buffer(size_t size) : bytes(size) {}
  packet::Bytes filled() const { return packet::Bytes(bytes).first(used); }
  packet::MutableBytes free() { return packet::MutableBytes(bytes).subspan(used); }

  std::vector<uint8_t> bytes;
  size_t used = 0;
};

// What a thread's connections share. Certificates aren't verified against a CA: a benchmark trusts
// its own machine. (The signature in the handshake is checked all the same; that is TLS itself.)
class TlsClientContext {
 public:
  // resume: connections offer the ticket of an earlier one. version: "1.2", "1.3", or empty.
  TlsClientContext(bool resume, const std::string& version);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

 private:
  friend class TlsClient;
  static int OnNewSession(SSL* ssl, SSL_SESSION* session);

  bssl::UniquePtr<SSL_CTX> ssl_ctx_;
  bssl::UniquePtr<SSL_SESSION> session_;  // The newest ticket.
  bool resume_;
};

class TlsClient {
 public:
  explicit TlsClient(TlsClientContext* context);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  enum class Status { kOk, kNeedMore, kClosed, kError };

  // Handshake goes on with the handshake and appends what is to be sent to `out`, whatever the
  // result. kOk: finished; the bytes of `*in` that are left are records for Open.
  Status Handshake(packet::Bytes* in, Buffer* out);
  bool handshake_done() const { return done_; }

  // Open appends the plaintext of all of `in` to `plain`. kNeedMore is the ordinary result.
  // REQUIRES: plain->free().size() >= in.size() + 16 KiB.
  Status Open(packet::Bytes in, Buffer* plain);
  // Seal appends records to `out`. REQUIRES: out has room for them, SealedSizeMax.
  Status Seal(packet::Bytes plain, Buffer* out);
  static size_t SealedSizeMax(size_t plain_size) { return plain_size + plain_size / 256 + 1024; }
  // Close appends close_notify.
  void Close(Buffer* out);

  bool resumed() const;
  std::string description() const;  // "TLSv1.3 TLS_AES_128_GCM_SHA256"
  const std::string& error() const { return error_; }

 private:
  friend struct ClientBio;
  Status Judge(int result);

  bssl::UniquePtr<SSL> ssl_;
  packet::Bytes in_;       // Set during a call only.
  Buffer* out_ = nullptr;  // Likewise.
  bool done_ = false;
  std::string error_;
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_TLS_CLIENT_H_
