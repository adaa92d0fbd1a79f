// The `openssl` command as a client and a maker of files: a process of its own. Here are sockets,
// files and a shell, which tls/ itself has never heard of.
#ifndef TESTS_TLS_OPENSSL_H_
#define TESTS_TLS_OPENSSL_H_

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "tests/tls/wire.h"

namespace sallyport::tls {

// Files of the test's own folder, by their names.
std::string Path(const std::string& name);
std::string ReadFile(const std::string& name);
void WriteFile(const std::string& name, std::string_view text);

// OpenSsl runs the command with `arguments`, with @NAME standing for the path of a file and % for
// an @, and says if it succeeded. What it says goes to @log.
bool OpenSsl(const std::string& arguments);

// OpenSslTest skips aloud where there is no such command.
class OpenSslTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
};

// Talk is one connection with s_client: what it says, until it or the Engine ends it.
class Talk {
 public:
  // Starts s_client with `arguments` behind the address, and writes `line` to it. With `hand_over`
  // it is answered by a RecordMaker that has the Engine's keys.
  Talk(const Context& context, const std::string& arguments, const std::string& line,
       bool hand_over = false);

  Engine& engine() { return server_.engine(); }
  Engine::Status last() const { return last_; }
  const std::string& heard() const { return heard_; }
  std::string said() const { return ReadFile("said"); }  // s_client's output.

 private:
  void Type(const std::string& line);
  void Run();
  void Listen(const Bytes& in, Bytes* out);
  void Answer(Bytes* out);
  void AnswerByKeys(Bytes* out);

  Server server_;
  FILE* client_ = nullptr;
  int fd_ = -1;
  Engine::Status last_ = Engine::Status::kNeedMore;
  std::string heard_;
  bool hand_over_;
  bool answered_ = false;
};

}  // namespace sallyport::tls

#endif  // TESTS_TLS_OPENSSL_H_
