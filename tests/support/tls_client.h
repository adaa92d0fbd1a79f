// A TLS client as a function over spans, for tests: the other end of tls::Engine.
#ifndef TESTS_SUPPORT_TLS_CLIENT_H_
#define TESTS_SUPPORT_TLS_CLIENT_H_

#include <openssl/base.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sallyport::tests {

inline constexpr uint16_t kTls10 = 0x0301;
inline constexpr uint16_t kTls11 = 0x0302;
inline constexpr uint16_t kTls12 = 0x0303;
inline constexpr uint16_t kTls13 = 0x0304;

struct TlsClientOptions {
  uint16_t version_min = kTls12;
  uint16_t version_max = kTls13;
  std::string ciphers;               // Of TLS 1.2, in OpenSSL's names; empty: the library's choice.
  std::string groups;                // "P-256:X25519"; empty: the library's choice.
  std::string sni;                   // Empty: none is sent.
  std::vector<std::string> alpn;     // Likewise.
  std::string ca_pem;                // Verify the server against it; empty: no verification.
  std::string host;                  // With ca_pem: a name or address the certificate must have.
  std::vector<uint8_t> session;      // From session(): asks to resume it.
  std::string certificate_pem;       // The chain to send when asked for one; empty: none is sent.
  std::string private_key_pem;       // With certificate_pem.
  std::vector<uint16_t> signatures;  // SSL_SIGN_*, that the server may use; empty: all it can have.
};

// TlsClient's calls take all of `in` and append records to `out`, to be sent whatever the result.
class TlsClient {
 public:
  explicit TlsClient(const TlsClientOptions& options);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  enum class Status { kOk, kNeedMore, kClosed, kError };

  // Handshake starts it (with nothing in `*in`) or goes on. On kOk what lies behind the handshake
  // (tickets, data) remains in `*in`, for Open.
  Status Handshake(std::span<const uint8_t>* in, std::vector<uint8_t>* out);
  bool handshake_done() const { return handshake_done_; }

  // Open: kNeedMore, kClosed or kError. Seal: kOk or kError; records as large as they may be.
  Status Open(std::span<const uint8_t> in, std::vector<uint8_t>* plain, std::vector<uint8_t>* out);
  Status Seal(std::span<const uint8_t> plain, std::vector<uint8_t>* out);
  void Close(std::vector<uint8_t>* out);

  // UpdateKeys sends a KeyUpdate of TLS 1.3; `answer` asks the server for one of its own.
  void UpdateKeys(bool answer, std::vector<uint8_t>* out);

  // SealRecord makes a record of any type by hand, empty or nonsense if need be. Only such records
  // can follow, for the library doesn't know of them. REQUIRES: TLS 1.2 with AES-128-GCM.
  void SealRecord(uint8_t type, std::span<const uint8_t> plain, std::vector<uint8_t>* out);

  bool resumed() const;
  std::vector<uint8_t> session() const;                // The last ticket seen; empty without.
  const std::string& error() const { return error_; }  // Of the last kError, the library's word.
  SSL* ssl() const { return ssl_.get(); }

 private:
  friend struct ClientCallbacks;  // The library's way to here.

  void Configure(const TlsClientOptions& options);
  void UseCertificate(const TlsClientOptions& options);
  Status Judge(int result);

  bssl::UniquePtr<SSL_CTX> ctx_;
  bssl::UniquePtr<SSL> ssl_;
  bssl::UniquePtr<SSL_SESSION> session_;
  std::span<const uint8_t> in_;
  std::vector<uint8_t>* out_ = nullptr;
  bool handshake_done_ = false;
  uint64_t handmade_records_ = 0;
  std::string error_;
};

}  // namespace sallyport::tests

#endif  // TESTS_SUPPORT_TLS_CLIENT_H_
