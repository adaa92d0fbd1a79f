// What is refused for the client's address, and what is counted for it.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"

namespace sallyport::tests {
namespace {

const Login kLogin{Scramble()};

TEST(Admission, WithoutAServerARefusalIsTheEnd) {
  Converse({}, [](Conversation& c) {
    c.session().ServerAbsent();
    c.Refuse(CloseReason::kAddressRefused, {1129, "HY000", "Host '192.0.2.1' is blocked"});
    c.ExpectErr(0, 1129, "Host '192.0.2.1' is blocked");
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kAddressRefused);
  });
}

TEST(Admission, WithoutAServerAClientThatLeavesIsTheEnd) {
  Converse({}, [](Conversation& c) {
    c.session().ServerAbsent();
    c.Ends(Side::kClient);
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
}

TEST(Admission, ARefusedHandshakeEndsWithoutAWord) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.session().set_tls_refused(true);
    c.ClientAsksForTls();
    c.ExpectNothing(Side::kClient);
    c.ExpectEnd(Side::kClient);
    EXPECT_FALSE(c.session().summary().tls_used);
    ExpectExcused(c, CloseReason::kAddressRefused);
    EXPECT_EQ(c.session().summary().passwords_denied, 0u);
  });
}

TEST(Admission, APlaintextLogInNeedsNoHandshake) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.session().set_tls_refused(true);
    c.Client(1, kLogin.payload());
    c.TakeServer(1);
    c.Server(2, Ok());
    c.ExpectClient(2, Ok());
    c.ExpectPhase(Phase::kCommand);
  });
}

TEST(Admission, AHandshakeThatIsAllowedAgainIsServed) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.session().set_tls_refused(true);
    c.session().set_tls_refused(false);
    c.ClientAsksForTls();
    c.ClientStartsTls();
    c.FinishTls();
    c.ExpectPhase(Phase::kHandshakeResponse);
  });
}

TEST(Admission, WrongPasswordsAreCounted) {
  for (const uint16_t code : {1045, 1698}) {
    Converse({}, [code](Conversation& c) {
      LogIn(c, kLogin);
      c.Server(2, Err(code));
      c.ExpectErr(3, code, "");
      EXPECT_EQ(c.session().summary().passwords_denied, 1u);
    });
  }
}

TEST(Admission, OtherErrorsAreNot) {
  for (const uint16_t code : {1040, 1044, 1049, 1226}) {
    Converse({}, [code](Conversation& c) {
      LogIn(c, kLogin);
      c.Server(2, Err(code));
      c.ExpectErr(3, code, "");
      EXPECT_EQ(c.session().summary().passwords_denied, 0u);
    });
  }
}

}  // namespace
}  // namespace sallyport::tests
