#include "bench/server/connection.h"

#include <openssl/rand.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "bench/lib/auth.h"
#include "bench/lib/flags.h"
#include "packet/auth.h"
#include "packet/capabilities.h"
#include "packet/change_user.h"
#include "packet/check.h"
#include "packet/handshake_response.h"

namespace sallyport::bench {
namespace {

constexpr uint8_t COM_QUIT = 0x01;
constexpr uint8_t COM_INIT_DB = 0x02;
constexpr uint8_t COM_QUERY = 0x03;
constexpr uint8_t COM_PING = 0x0E;
constexpr uint8_t COM_RESET_CONNECTION = 0x1F;
constexpr uint16_t ER_ACCESS_DENIED_ERROR = 1045;
constexpr uint16_t ER_UNKNOWN_COM_ERROR = 1047;
constexpr uint16_t ER_PARSE_ERROR = 1064;

// No CLIENT_SSL: this server has no TLS. No CLIENT_DEPRECATE_EOF, so that there is one form of
// result set.
constexpr uint32_t kCapabilities =
    packet::CLIENT_LONG_PASSWORD | packet::CLIENT_CONNECT_WITH_DB | packet::CLIENT_PROTOCOL_41 |
    packet::CLIENT_SECURE_CONNECTION | packet::CLIENT_PLUGIN_AUTH | packet::CLIENT_CONNECT_ATTRS |
    packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA | (1u << 1) /* FOUND_ROWS */ |
    (1u << 2) /* LONG_FLAG */ | (1u << 13) /* TRANSACTIONS */ | (1u << 16) /* MULTI_STATEMENTS */ |
    (1u << 17) /* MULTI_RESULTS */;

// The account's name decides its plugin; `full` never knows a password from its cache.
std::string_view PluginOf(std::string_view user) {
  return user == "native" ? kNativePlugin : kSha2Plugin;
}

void MakeNonce(packet::Nonce* nonce) {
  RAND_bytes(nonce->data(), nonce->size());
  for (uint8_t& byte : *nonce) {
    byte = static_cast<uint8_t>('0' + byte % 64);  // Printable, no NUL and no '$', as mysqld's.
  }
}

}  // namespace

Connection::Connection(int fd, uint32_t thread_id, const ServerOptions& options)
    : options_(options), fd_(fd), thread_id_(thread_id) {
  MakeNonce(&nonce_);
}

Connection::~Connection() { close(fd_); }

bool Connection::Greet(ServerScratch* scratch) {
  std::array<uint8_t, 256> room;
  packet::Writer writer(room);
  constexpr size_t kFirstPart = 8;
  const packet::Bytes nonce(nonce_);
  const bool ok = writer.WriteInt1(10) && writer.WriteNulTerminated("8.0.36-responder") &&
                  writer.WriteInt4(thread_id_) && writer.WriteBytes(nonce.first(kFirstPart)) &&
                  writer.WriteZeros(1) && writer.WriteInt2(kCapabilities & 0xFFFF) &&
                  writer.WriteInt1(255) && writer.WriteInt2(0x0002) &&
                  writer.WriteInt2(kCapabilities >> 16) &&
                  writer.WriteInt1(packet::kNonceSize + 1) && writer.WriteZeros(10) &&
                  writer.WriteBytes(nonce.subspan(kFirstPart)) && writer.WriteZeros(1) &&
                  writer.WriteNulTerminated(options_.greeting_plugin);
  SALLYPORT_CHECK(ok);
  scratch->out.clear();
  AppendPacket(writer.written(), 0, &scratch->out);
  return Send(scratch);
}

bool Connection::OnReadable(ServerScratch* scratch) {
  const ssize_t size = recv(fd_, scratch->in.data(), scratch->in.size(), MSG_DONTWAIT);
  if (size < 0) {
    return errno == EAGAIN || errno == EINTR;
  }
  return size > 0 && Process(packet::Bytes(scratch->in).first(static_cast<size_t>(size)), scratch);
}

bool Connection::OnWritable(ServerScratch* scratch) {
  if (!SendRest()) {
    return false;
  }
  if (wants_write() || unread_.empty()) {
    return true;
  }
  const std::vector<uint8_t> bytes = std::move(unread_);
  unread_.clear();
  return Process(bytes, scratch);
}

bool Connection::Process(packet::Bytes bytes, ServerScratch* scratch) {
  if (wants_write()) {
    unread_.insert(unread_.end(), bytes.begin(), bytes.end());
    return true;
  }
  scratch->out.clear();
  PacketStream::Packet packet;
  while (stream_.Next(&bytes, &packet)) {
    if (!OnPacket(packet, scratch)) {
      return false;
    }
    if (!bulk_.done() || bulk_ends_) {
      unread_.assign(bytes.begin(), bytes.end());
      break;
    }
  }
  return Send(scratch);
}

bool Connection::OnPacket(const PacketStream::Packet& packet, ServerScratch* scratch) {
  switch (state_) {
    case State::kLogin:
      return OnLogin(packet, &scratch->out);
    case State::kSwitch:
      return CheckScramble(packet.payload, packet.header.sequence_id, &scratch->out);
    case State::kFull:
      return OnFull(packet, &scratch->out);
    case State::kCommand:
      return OnCommand(packet, scratch);
  }
  return false;
}

bool Connection::OnLogin(const PacketStream::Packet& packet, std::string* out) {
  packet::HandshakeResponse response;
  if (packet::ParseHandshakeResponse(packet.payload, &response) != packet::Parse::kOk) {
    return false;
  }
  client_flags_ = response.capability_flags;
  user_ = response.username;
  if (response.auth_plugin_name != PluginOf(user_)) {
    RequestSwitch(packet.header.sequence_id, out);
    return true;
  }
  return CheckScramble(response.auth_response, packet.header.sequence_id, out);
}

void Connection::RequestSwitch(uint8_t sequence_id, std::string* out) {
  MakeNonce(&nonce_);
  std::array<uint8_t, 64> room;
  packet::Writer writer(room);
  SALLYPORT_CHECK(writer.WriteInt1(0xFE) && writer.WriteNulTerminated(PluginOf(user_)) &&
                  writer.WriteBytes(nonce_) && writer.WriteZeros(1));
  AppendPacket(writer.written(), static_cast<uint8_t>(sequence_id + 1), out);
  state_ = State::kSwitch;
}

bool Connection::CheckScramble(packet::Bytes scramble, uint8_t sequence_id, std::string* out) {
  const std::vector<uint8_t> expected = Scramble(PluginOf(user_), options_.password, nonce_);
  const bool right = std::equal(scramble.begin(), scramble.end(), expected.begin(), expected.end());
  if (PluginOf(user_) == kNativePlugin || !right) {
    return LogIn(right, sequence_id, out);
  }
  const bool full = user_ == "full";
  const std::array<uint8_t, 2> more = {0x01, full ? packet::kCachingSha2PerformFullAuthentication
                                                  : packet::kCachingSha2FastAuthSuccess};
  AppendPacket(more, ++sequence_id, out);
  if (full) {
    state_ = State::kFull;
    return true;
  }
  return LogIn(true, sequence_id, out);
}

bool Connection::OnFull(const PacketStream::Packet& packet, std::string* out) {
  const uint8_t sequence_id = packet.header.sequence_id;
  const packet::Bytes payload = packet.payload;
  if (payload.size() == 1 && payload[0] == packet::kCachingSha2RequestPublicKey) {
    const std::string answer = "\x01" + options_.password_key->public_key_pem();
    AppendPacket(packet::AsBytes(answer), static_cast<uint8_t>(sequence_id + 1), out);
    return true;
  }
  // In clear: the client is on TLS and a terminator that knows no MySQL hands it on as it is.
  std::string_view password = packet::AsText(payload);
  const tls::Secret secret = options_.password_key->Decrypt(payload, nonce_);
  if (!secret.empty()) {
    password = packet::AsText(secret.bytes());
  }
  return LogIn(
      password == std::string_view(options_.password.c_str(), options_.password.size() + 1),
      sequence_id, out);
}

bool Connection::LogIn(bool accepted, uint8_t sequence_id, std::string* out) {
  ++sequence_id;
  if (accepted) {
    AppendOk(sequence_id, out);
  } else {
    AppendError(ER_ACCESS_DENIED_ERROR, "Access denied for user '" + user_ + "'", sequence_id, out);
  }
  state_ = State::kCommand;
  return true;  // The client leaves after a refusal.
}

bool Connection::OnCommand(const PacketStream::Packet& packet, ServerScratch* scratch) {
  const bool continued = upload_continues_;
  upload_continues_ = packet.header.payload_length == packet::kPayloadLengthMax;
  if (upload_continues_) {
    return true;
  }
  const auto sequence_id = static_cast<uint8_t>(packet.header.sequence_id + 1);
  const packet::Bytes payload = packet.payload;
  if (continued) {  // Only uploads are so large.
    AppendOk(sequence_id, &scratch->out);
    return true;
  }
  if (payload.empty()) {
    return false;
  }
  switch (payload[0]) {
    case COM_QUIT:
      return false;
    case COM_QUERY:
      return OnQuery(packet::AsText(payload.subspan(1)), scratch);
    case COM_PING:
    case COM_INIT_DB:
    case COM_RESET_CONNECTION:
      AppendOk(sequence_id, &scratch->out);
      return true;
    case packet::COM_CHANGE_USER:
      return OnChangeUser(packet, &scratch->out);
    default:
      AppendError(ER_UNKNOWN_COM_ERROR, "Unknown command", sequence_id, &scratch->out);
      return true;
  }
}

// The language: R BYTES, B BYTES [ROW_BYTES], U and anything; and SET, which clients and proxies
// send unasked.
bool Connection::OnQuery(std::string_view query, ServerScratch* scratch) {
  const std::string_view start = query.substr(0, 64);
  if (start.starts_with("U") || start.starts_with("SET") || start.starts_with("set")) {
    AppendOk(1, &scratch->out);
    return true;
  }
  const std::vector<std::string> words =
      absl::StrSplit(absl::string_view(start.data(), start.size()), ' ', absl::SkipEmpty());
  uint64_t bytes = 0;
  uint64_t row_bytes = 64 * 1024;
  if (words.size() >= 2 && words[0] == "R" && ParseCount(words[1], &bytes) &&
      bytes <= kOneRowBytesMax) {
    if (bytes != scratch->reply_bytes) {
      scratch->reply_bytes = bytes;
      scratch->reply = OneRowReply(bytes);
    }
    scratch->out.append(scratch->reply);
    return true;
  }
  const bool has_row = words.size() >= 3 && ParseCount(words[2], &row_bytes);
  if (words.size() >= 2 && words[0] == "B" && ParseCount(words[1], &bytes) &&
      (has_row || words.size() == 2) && row_bytes > 0 && row_bytes <= BulkRows::kRowBytesMax) {
    AppendColumns(&scratch->out);
    bulk_.Start(bytes, static_cast<uint32_t>(row_bytes), kColumnsLast + 1);
    bulk_ends_ = true;
    return true;
  }
  AppendError(ER_PARSE_ERROR, "This server knows R BYTES, B BYTES [ROW_BYTES] and U...", 1,
              &scratch->out);
  return true;
}

bool Connection::OnChangeUser(const PacketStream::Packet& packet, std::string* out) {
  packet::ChangeUser change;
  if (packet::ParseChangeUser(packet.payload, client_flags_, &change) != packet::Parse::kOk) {
    return false;
  }
  user_ = change.username;
  RequestSwitch(packet.header.sequence_id, out);  // As mysqld: always with a new nonce.
  return true;
}

bool Connection::Send(ServerScratch* scratch) {
  const std::string& out = scratch->out;
  size_t sent = 0;
  if (!out.empty()) {
    const ssize_t count = send(fd_, out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) {
      return false;
    }
    sent = count < 0 ? 0 : static_cast<size_t>(count);
  }
  if (sent < out.size()) {
    unsent_.append(out, sent);
    return true;
  }
  return SendRest();
}

bool Connection::SendRest() {
  while (wants_write()) {
    if (unsent_.empty() && bulk_.done()) {
      AppendEof(bulk_.next_sequence_id(), &unsent_);
      bulk_ends_ = false;
    }
    const iovec rest = {unsent_.data(), unsent_.size()};
    const std::span<const iovec> parts =
        unsent_.empty() ? bulk_.Parts() : std::span<const iovec>(&rest, 1);
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    const ssize_t count = sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      return errno == EAGAIN;
    }
    if (unsent_.empty()) {
      bulk_.Sent(static_cast<size_t>(count));
    } else {
      unsent_.erase(0, static_cast<size_t>(count));
    }
  }
  return true;
}

}  // namespace sallyport::bench
