// ClientConnection: one connection of the load generator, never blocking.
//
//   kConnecting -> kTls (direct) -> kLogin -> kTls (mysql) -> kLogin -> kReady <-> kBusy
#ifndef BENCH_CLIENT_CONNECTION_H_
#define BENCH_CLIENT_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/client/login.h"
#include "bench/client/reply_reader.h"
#include "bench/client/tls_client.h"
#include "bench/lib/packet_stream.h"
#include "packet/wire.h"
#include "proxy/ring/address.h"

namespace sallyport::bench {

enum class TlsMode {
  kOff,
  kMysql,   // SSLRequest, as MySQL clients do.
  kDirect,  // TLS from the first byte, for terminators that know no MySQL.
};

struct ConnectionOptions {
  Address address;
  LoginOptions login;
  TlsMode tls = TlsMode::kOff;
  std::string congestion;
};

// One thread's memory for the bytes of whichever connection is at work.
struct ClientScratch {
  static constexpr size_t kReadMax = 256 * 1024;
  static constexpr size_t kWriteMax = 128 * 1024;

  Buffer in{kReadMax};
  Buffer plain{kReadMax + 32 * 1024};
  Buffer out{TlsClient::SealedSizeMax(kWriteMax)};
};

class ClientConnection {
 public:
  // epoll, tls and options are the thread's and outlive the connection. `token` is its epoll data.
  ClientConnection(const ConnectionOptions& options, TlsClientContext* tls, int epoll,
                   uint64_t token);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  enum class Event {
    kNone,
    kLoggedIn,  // Ready for a request.
    kReply,     // The answer is complete: ready for the next request.
    kFailed,    // error() says why. Destroy it.
  };

  // Start connects. OnReady takes in what epoll tells.
  Event Start(ClientScratch* scratch);
  Event OnReady(uint32_t events, ClientScratch* scratch);

  // Request sends whole packets, which must stay until the answer came. REQUIRES: ready.
  Event Request(packet::Bytes packets, ClientScratch* scratch);
  // Quit sends COM_QUIT, and close_notify; destroy it then.
  void Quit(ClientScratch* scratch);

  bool ready() const { return state_ == State::kReady; }
  uint64_t reply_bytes() const { return reply_bytes_; }  // Of the last answer, without TLS.
  const TlsClient* tls() const { return tls_.get(); }
  const std::string& error() const { return error_; }

 private:
  enum class State : uint8_t { kConnecting, kTls, kLogin, kReady, kBusy, kFailed };

  Event Connected(ClientScratch* scratch);
  Event ContinueHandshake(packet::Bytes* in, ClientScratch* scratch);
  Event Receive(ClientScratch* scratch);
  Event Process(packet::Bytes bytes, ClientScratch* scratch);
  Event OnLoginPacket(const PacketStream::Packet& packet, ClientScratch* scratch);
  Event Fail(std::string why);

  // Each returns false after a failure of the socket. Write copies what can't be sent at once.
  bool Write(packet::Bytes plain, ClientScratch* scratch);
  bool SendOrKeep(packet::Bytes bytes);
  bool Flush(ClientScratch* scratch);
  void ArmForWrite(bool on);

  const ConnectionOptions& options_;
  TlsClientContext* tls_context_;
  int epoll_;
  uint64_t token_;
  int fd_ = -1;
  State state_ = State::kConnecting;
  bool armed_for_write_ = false;
  std::unique_ptr<Login> login_;  // Gone after the log-in.
  std::unique_ptr<TlsClient> tls_;
  PacketStream stream_;
  ReplyReader reader_;
  uint64_t reply_bytes_ = 0;
  packet::Bytes request_left_;   // Not yet sealed or sent.
  std::vector<uint8_t> unsent_;  // As it goes over the wire.
  std::string error_;
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_CONNECTION_H_
