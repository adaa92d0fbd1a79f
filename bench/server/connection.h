// Connection: one client of the responder, from the greeting to COM_QUIT.
//
//   kLogin        -> kCommand       HandshakeResponse41 with the account's plugin and scramble
//                 -> kSwitch        with another plugin: AuthSwitchRequest
//                 -> kFull          the account wants full authentication
//   kSwitch       -> kCommand, kFull   likewise
//   kFull         -> kCommand       the password came, in clear or under our RSA key
//   kCommand      -> kSwitch        COM_CHANGE_USER
#ifndef BENCH_SERVER_CONNECTION_H_
#define BENCH_SERVER_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/lib/packet_stream.h"
#include "bench/server/reply.h"
#include "packet/greeting.h"
#include "packet/wire.h"
#include "tls/rsa_password.h"

namespace sallyport::bench {

// What all connections share.
struct ServerOptions {
  std::string password = "bench";
  std::string greeting_plugin;  // Offered in the greeting; an account may differ.
  const tls::PasswordKey* password_key = nullptr;  // For full authentication.
};

// A thread's memory for the bytes of whichever connection is at work.
struct ServerScratch {
  std::vector<uint8_t> in = std::vector<uint8_t>(256 * 1024);
  std::string out;
  // The last reply of its size, as nearly every query of a benchmark asks for the same.
  uint64_t reply_bytes = UINT64_MAX;
  std::string reply;
};

class Connection {
 public:
  // Takes over `fd`, non-blocking, and closes it at the end.
  Connection(int fd, uint32_t thread_id, const ServerOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Greet sends the greeting. OnReadable takes in what came, OnWritable goes on with what could not
  // be sent. False: the connection is over.
  bool Greet(ServerScratch* scratch);
  bool OnReadable(ServerScratch* scratch);
  bool OnWritable(ServerScratch* scratch);
  // wants_write: something is left to send; no more commands are read until it went out.
  bool wants_write() const { return !unsent_.empty() || !bulk_.done() || bulk_ends_; }

 private:
  enum class State : uint8_t { kLogin, kSwitch, kFull, kCommand };

  bool Process(packet::Bytes bytes, ServerScratch* scratch);
  bool OnPacket(const PacketStream::Packet& packet, ServerScratch* scratch);
  bool OnLogin(const PacketStream::Packet& packet, std::string* out);
  bool OnFull(const PacketStream::Packet& packet, std::string* out);
  bool OnCommand(const PacketStream::Packet& packet, ServerScratch* scratch);
  bool OnQuery(std::string_view query, ServerScratch* scratch);
  bool OnChangeUser(const PacketStream::Packet& packet, std::string* out);
  // CheckScramble goes on with the account's plugin and what the client answered to nonce_.
  bool CheckScramble(packet::Bytes scramble, uint8_t sequence_id, std::string* out);
  void RequestSwitch(uint8_t sequence_id, std::string* out);
  bool LogIn(bool accepted, uint8_t sequence_id, std::string* out);
  bool Send(ServerScratch* scratch);
  bool SendRest();

  const ServerOptions& options_;
  int fd_;
  uint32_t thread_id_;
  State state_ = State::kLogin;
  bool upload_continues_ = false;  // The last packet of a command was of 2^24-1 bytes.
  bool bulk_ends_ = false;         // Rows were sent or are under way; the EOF behind them is not.
  uint32_t client_flags_ = 0;
  packet::Nonce nonce_{};
  std::string user_;
  PacketStream stream_;
  BulkRows bulk_;
  std::string unsent_;
  std::vector<uint8_t> unread_;  // Commands that came behind one whose answer is under way.
};

}  // namespace sallyport::bench

#endif  // BENCH_SERVER_CONNECTION_H_
