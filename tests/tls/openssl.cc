#include "tests/tls/openssl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "tests/tls/record_maker.h"
#include "tls/write_keys.h"

namespace sallyport::tls {
namespace {

constexpr int kPatienceMs = 20000;

std::string Expand(const std::string& arguments) {
  std::string command = "openssl ";
  for (const char c : arguments) {
    command += c == '@' ? Path("") : std::string(1, c == '%' ? '@' : c);
  }
  return command;
}

}  // namespace

std::string Path(const std::string& name) { return ::testing::TempDir() + "/openssl_test." + name; }

std::string ReadFile(const std::string& name) {
  std::ifstream file(Path(name), std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::string& name, std::string_view text) {
  std::ofstream(Path(name), std::ios::binary)
      .write(text.data(), static_cast<std::streamsize>(text.size()));
}

bool OpenSsl(const std::string& arguments) {
  return std::system((Expand(arguments) + " >>" + Path("log") + " 2>&1").c_str()) == 0;
}

void OpenSslTest::SetUp() {
  if (std::system("openssl version >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no openssl command: nothing is checked against it";
  }
  std::signal(SIGPIPE, SIG_IGN);  // A client that gave up is seen by its silence.
}

void OpenSslTest::TearDown() {
  if (HasFailure()) {
    std::fputs(ReadFile("log").c_str(), stderr);
  }
}

Talk::Talk(const Context& context, const std::string& arguments, const std::string& line,
           bool hand_over)
    : server_(context), hand_over_(hand_over) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string command =
      Expand("s_client -connect 127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + " " +
             arguments + " >@said 2>>@log");
  client_ = popen(command.c_str(), "w");
  Type(line);
  pollfd ready{.fd = listener, .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, kPatienceMs) == 1) {
    fd_ = accept(listener, nullptr, nullptr);
  }
  close(listener);
  Run();
  close(fd_);
  pclose(client_);
}

void Talk::Type(const std::string& line) {
  std::fputs(line.c_str(), client_);
  std::fflush(client_);
}

void Talk::Run() {
  while (last_ == Engine::Status::kNeedMore) {
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    uint8_t buffer[65536];
    const ssize_t count = poll(&ready, 1, kPatienceMs) == 1 ? read(fd_, buffer, sizeof(buffer)) : 0;
    if (count <= 0) {
      return;
    }
    Bytes in(buffer, buffer + count);
    Bytes out;
    if (!engine().handshake_done()) {
      last_ = server_.Handshake(&in, &out);
    }
    if (engine().handshake_done()) {
      Listen(in, &out);
    }
    EXPECT_EQ(write(fd_, out.data(), out.size()), static_cast<ssize_t>(out.size()));
  }
}

void Talk::Listen(const Bytes& in, Bytes* out) {
  Bytes plain;
  const size_t before = out->size();
  last_ = server_.Open(in, &plain, out);
  heard_.append(plain.begin(), plain.end());
  if (plain.empty() && out->size() > before) {
    Type("after KeyUpdate\n");  // We have just answered one.
  }
  if (!answered_ && !heard_.empty() && heard_.back() == '\n') {
    answered_ = true;
    hand_over_ ? AnswerByKeys(out) : Answer(out);
  }
}

void Talk::Answer(Bytes* out) {
  EXPECT_EQ(server_.Seal(ToBytes("you said: " + heard_), out), Engine::Status::kOk);
  server_.Close(out);
}

void Talk::AnswerByKeys(Bytes* out) {
  EXPECT_EQ(server_.Seal(ToBytes("you "), out), Engine::Status::kOk);
  const std::optional<WriteKeys> keys = engine().write_keys();
  ASSERT_TRUE(keys.has_value());
  EXPECT_GT(keys->sequence, 0u);
  engine().HandOver();
  RecordMaker maker(*keys);
  maker.Seal(RecordMaker::kData, ToBytes("said: "), out);
  maker.Seal(RecordMaker::kData, ToBytes(heard_), out);
  Bytes none;
  server_.Close(&none);
  EXPECT_TRUE(none.empty());
  for (const ControlRecord& control : engine().TakeControls()) {
    maker.Seal(control.type, control.bytes(), out);
  }
}

}  // namespace sallyport::tls
