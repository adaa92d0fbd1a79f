// The first packets: greeting, SSLRequest, TLS, the first packet of a log-in.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"

namespace sallyport::tests {
namespace {

TEST(Greeting, ErrInsteadOfAGreetingIsPassedOnAsItIs) {
  const std::string err = "\xFF\x10\x04Too many connections";  // 1040, without SQLSTATE.
  Converse({}, [&](Conversation& c) {
    c.Server(0, err);
    c.ExpectClient(0, err);
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kServerRefused);
    EXPECT_EQ(c.session().summary().detail, "Too many connections");
  });
}

TEST(Greeting, AClientOnTlsLogsInFast) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble()});
    c.Server(2, kFastAuth);
    c.ExpectClient(3, kFastAuth);
    Accept(c, 3, 4);
    Command(c);
    QuitCleanly(c);
  });
}

}  // namespace
}  // namespace sallyport::tests
