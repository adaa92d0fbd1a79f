#include "bench/client/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "bench/lib/sockets.h"
#include "packet/check.h"

namespace sallyport::bench {
namespace {

constexpr std::array<uint8_t, 5> kComQuit = {1, 0, 0, 0, 0x01};

}  // namespace

ClientConnection::ClientConnection(const ConnectionOptions& options, TlsClientContext* tls,
                                   int epoll, uint64_t token)
    : options_(options), tls_context_(tls), epoll_(epoll), token_(token) {}

ClientConnection::~ClientConnection() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

ClientConnection::Event ClientConnection::Start(ClientScratch* scratch) {
  fd_ = socket(options_.address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) {
    return Fail(std::string("socket: ") + std::strerror(errno));
  }
  TuneSocket(fd_, options_.congestion);
  const bool connected = connect(fd_, options_.address.get(), options_.address.size()) == 0;
  if (!connected && errno != EINPROGRESS) {
    return Fail(std::string("connect: ") + std::strerror(errno));
  }
  armed_for_write_ = !connected;
  epoll_event event{.events = connected ? EPOLLIN : EPOLLIN | EPOLLOUT, .data = {.u64 = token_}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event);
  return connected ? Connected(scratch) : Event::kNone;
}

ClientConnection::Event ClientConnection::Connected(ClientScratch* scratch) {
  const bool direct = options_.tls == TlsMode::kDirect;
  login_ = std::make_unique<Login>(options_.login, options_.tls == TlsMode::kMysql, direct);
  state_ = State::kLogin;
  if (!direct) {
    return Event::kNone;
  }
  state_ = State::kTls;
  tls_ = std::make_unique<TlsClient>(tls_context_);
  packet::Bytes none;
  return ContinueHandshake(&none, scratch);
}

ClientConnection::Event ClientConnection::OnReady(uint32_t events, ClientScratch* scratch) {
  if (state_ == State::kConnecting) {
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      return Fail(std::string("connect: ") + std::strerror(error));
    }
    if ((events & EPOLLOUT) == 0) {
      return Event::kNone;
    }
    ArmForWrite(false);
    return Connected(scratch);
  }
  if ((events & EPOLLOUT) != 0 && !Flush(scratch)) {
    return Fail(std::string("send: ") + std::strerror(errno));
  }
  return (events & ~uint32_t{EPOLLOUT}) != 0 ? Receive(scratch) : Event::kNone;
}

ClientConnection::Event ClientConnection::Receive(ClientScratch* scratch) {
  const ssize_t size = recv(fd_, scratch->in.bytes.data(), ClientScratch::kReadMax, MSG_DONTWAIT);
  if (size < 0) {
    return errno == EAGAIN || errno == EINTR ? Event::kNone
                                             : Fail(std::string("recv: ") + std::strerror(errno));
  }
  if (size == 0) {
    return Fail("the server closed the connection");
  }
  packet::Bytes bytes = packet::Bytes(scratch->in.bytes).first(static_cast<size_t>(size));
  if (tls_ == nullptr) {
    return Process(bytes, scratch);
  }
  if (!tls_->handshake_done()) {
    const Event event = ContinueHandshake(&bytes, scratch);
    if (event != Event::kNone || bytes.empty()) {
      return event;
    }
  }
  scratch->plain.used = 0;
  const TlsClient::Status status = tls_->Open(bytes, &scratch->plain);
  if (status == TlsClient::Status::kError) {
    return Fail(tls_->error());
  }
  const Event event = Process(scratch->plain.filled(), scratch);
  if (event == Event::kNone && status == TlsClient::Status::kClosed) {
    return Fail("the server closed TLS");
  }
  return event;
}

ClientConnection::Event ClientConnection::ContinueHandshake(packet::Bytes* in,
                                                            ClientScratch* scratch) {
  scratch->out.used = 0;
  const TlsClient::Status status = tls_->Handshake(in, &scratch->out);
  const bool sent = SendOrKeep(scratch->out.filled());
  if (status == TlsClient::Status::kError || status == TlsClient::Status::kClosed) {
    return Fail("handshake: " + tls_->error());
  }
  if (!sent) {
    return Fail(std::string("send: ") + std::strerror(errno));
  }
  if (status == TlsClient::Status::kNeedMore) {
    return Event::kNone;
  }
  state_ = State::kLogin;
  if (options_.tls == TlsMode::kDirect) {
    return Event::kNone;  // The greeting comes now.
  }
  std::string out;
  login_->TlsStarted(&out);
  return Write(packet::AsBytes(out), scratch) ? Event::kNone
                                              : Fail(std::string("send: ") + std::strerror(errno));
}

ClientConnection::Event ClientConnection::Process(packet::Bytes bytes, ClientScratch* scratch) {
  PacketStream::Packet packet;
  while (state_ == State::kLogin && stream_.Next(&bytes, &packet)) {
    const Event event = OnLoginPacket(packet, scratch);
    if (event != Event::kNone) {
      return event;
    }
  }
  if (bytes.empty()) {
    return Event::kNone;
  }
  if (state_ != State::kBusy) {
    return Fail("bytes that nobody asked for");
  }
  reply_bytes_ += bytes.size();
  switch (reader_.Read(&bytes)) {
    case ReplyReader::Result::kNeedMore:
      return Event::kNone;
    case ReplyReader::Result::kError:
      return Fail(reader_.error());
    case ReplyReader::Result::kDone:
      break;
  }
  if (!bytes.empty()) {
    return Fail("bytes behind the answer");
  }
  state_ = State::kReady;
  return Event::kReply;
}

ClientConnection::Event ClientConnection::OnLoginPacket(const PacketStream::Packet& packet,
                                                        ClientScratch* scratch) {
  std::string out;
  const Login::Step step = login_->OnPacket(packet, &out);
  if (step == Login::Step::kFailed) {
    return Fail("log-in: " + login_->error());
  }
  if (!out.empty() && !Write(packet::AsBytes(out), scratch)) {
    return Fail(std::string("send: ") + std::strerror(errno));
  }
  if (step == Login::Step::kStartTls) {
    state_ = State::kTls;
    tls_ = std::make_unique<TlsClient>(tls_context_);
    packet::Bytes none;
    return ContinueHandshake(&none, scratch);
  }
  if (step == Login::Step::kDone) {
    login_.reset();
    state_ = State::kReady;
    return Event::kLoggedIn;
  }
  return Event::kNone;
}

ClientConnection::Event ClientConnection::Request(packet::Bytes packets, ClientScratch* scratch) {
  SALLYPORT_CHECK(ready());
  state_ = State::kBusy;
  reply_bytes_ = 0;
  reader_.Start();
  request_left_ = packets;
  return Flush(scratch) ? Event::kNone : Fail(std::string("send: ") + std::strerror(errno));
}

void ClientConnection::Quit(ClientScratch* scratch) {
  if (Write(kComQuit, scratch) && tls_ != nullptr) {
    scratch->out.used = 0;
    tls_->Close(&scratch->out);
    SendOrKeep(scratch->out.filled());
  }
}

ClientConnection::Event ClientConnection::Fail(std::string why) {
  state_ = State::kFailed;
  error_ = std::move(why);
  return Event::kFailed;
}

bool ClientConnection::Write(packet::Bytes plain, ClientScratch* scratch) {
  if (tls_ == nullptr || !tls_->handshake_done()) {
    return SendOrKeep(plain);
  }
  scratch->out.used = 0;
  return tls_->Seal(plain, &scratch->out) == TlsClient::Status::kOk &&
         SendOrKeep(scratch->out.filled());
}

bool ClientConnection::SendOrKeep(packet::Bytes bytes) {
  if (unsent_.empty() && !bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
      return false;
    }
    bytes = bytes.subspan(sent < 0 ? 0 : static_cast<size_t>(sent));
  }
  unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
  ArmForWrite(!unsent_.empty());
  return true;
}

// Flush sends what is left until the socket takes no more.
bool ClientConnection::Flush(ClientScratch* scratch) {
  if (!unsent_.empty()) {
    const std::vector<uint8_t> bytes = std::move(unsent_);
    unsent_.clear();
    if (!SendOrKeep(bytes)) {
      return false;
    }
  }
  while (!request_left_.empty() && unsent_.empty()) {
    if (tls_ != nullptr) {
      const packet::Bytes part =
          request_left_.first(std::min(request_left_.size(), ClientScratch::kWriteMax));
      request_left_ = request_left_.subspan(part.size());
      if (!Write(part, scratch)) {
        return false;
      }
      continue;
    }
    const ssize_t sent =
        send(fd_, request_left_.data(), request_left_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      ArmForWrite(true);
      return errno == EAGAIN;
    }
    request_left_ = request_left_.subspan(static_cast<size_t>(sent));
  }
  ArmForWrite(!unsent_.empty() || !request_left_.empty());
  return true;
}

void ClientConnection::ArmForWrite(bool on) {
  if (on == armed_for_write_) {
    return;
  }
  armed_for_write_ = on;
  epoll_event event{.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN, .data = {.u64 = token_}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
}

}  // namespace sallyport::bench
