// A client for tests: plain enough to be rude.
#ifndef TESTS_ADMIN_HTTP_CLIENT_H_
#define TESTS_ADMIN_HTTP_CLIENT_H_

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "proxy/ring/address.h"

namespace sallyport {

class HttpClient {
 public:
  explicit HttpClient(const Address& address)
      : fd_(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    connected_ = connect(fd_, address.get(), address.size()) == 0;
    const timeval limit = {.tv_sec = 20, .tv_usec = 0};  // A test fails, but does not hang.
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  ~HttpClient() { close(fd_); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  bool connected() const { return connected_; }

  // False once the server has closed.
  bool Send(std::string_view bytes) {
    return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }

  // All there is until the server closes; `closed` tells that it did.
  std::string ReadAll(bool* closed = nullptr) {
    std::string text;
    char buffer[4096];
    ssize_t count;
    while ((count = recv(fd_, buffer, sizeof(buffer), 0)) > 0) {
      text.append(buffer, static_cast<size_t>(count));
    }
    if (closed != nullptr) *closed = count == 0 || errno == ECONNRESET;
    return text;
  }

 private:
  int fd_;
  bool connected_ = false;
};

// One request on a connection of its own: the whole reply.
inline std::string Ask(const Address& address, const std::string& method, const std::string& path) {
  HttpClient client(address);
  client.Send(method + " " + path + " HTTP/1.1\r\nHost: a\r\n\r\n");
  return client.ReadAll();
}

inline int StatusOf(const std::string& reply) {
  return reply.starts_with("HTTP/1.1 ") ? std::stoi(reply.substr(9, 3)) : -1;
}

inline std::string BodyOf(const std::string& reply) {
  const size_t end = reply.find("\r\n\r\n");
  return end == std::string::npos ? "" : reply.substr(end + 4);
}

}  // namespace sallyport

#endif  // TESTS_ADMIN_HTTP_CLIENT_H_
