// Login: a client's connection phase, packet by packet.
#ifndef BENCH_CLIENT_LOGIN_H_
#define BENCH_CLIENT_LOGIN_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/lib/packet_stream.h"
#include "packet/greeting.h"
#include "packet/wire.h"

namespace sallyport::bench {

struct LoginOptions {
  std::string user;
  std::string password;
  std::string database;
};

class Login {
 public:
  // ask_tls: send SSLRequest. secure: TLS is there already, below the greeting.
  Login(const LoginOptions& options, bool ask_tls, bool secure)
      : options_(options), ask_tls_(ask_tls), secure_(secure) {}

  enum class Step { kNeedMore, kStartTls, kDone, kFailed };

  // OnPacket takes a packet of the server and appends whole packets to `out`. kStartTls: send
  // `out`, do the handshake, then call TlsStarted.
  Step OnPacket(const PacketStream::Packet& packet, std::string* out);
  void TlsStarted(std::string* out);
  const std::string& error() const { return error_; }

 private:
  Step OnGreeting(const PacketStream::Packet& packet, std::string* out);
  Step OnAuthSwitch(packet::Bytes payload, std::string* out);
  Step OnPluginData(packet::Bytes payload, std::string* out);
  Step Fail(std::string_view why);
  void SendResponse(std::string* out);
  void Append(packet::Bytes payload, std::string* out);

  const LoginOptions& options_;
  bool ask_tls_;
  bool secure_;
  bool greeted_ = false;
  bool key_requested_ = false;
  uint8_t sequence_id_ = 0;  // Of the last packet, either way.
  uint32_t server_flags_ = 0;
  packet::Nonce nonce_{};
  std::string plugin_;
  std::string error_;
};

}  // namespace sallyport::bench

#endif  // BENCH_CLIENT_LOGIN_H_
