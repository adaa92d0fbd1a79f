// A client's certificate decides whom it may log in as: at the log-in, and by COM_CHANGE_USER.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

constexpr Links kApp = {.client_user = tls::UserRule::kCommonName, .client_common_name = "app"};

TEST(ClientUserTest, TheCertificatesUserLogsIn) {
  Converse(kApp, [](Conversation& c) {
    LogIn(c, {Scramble()});
    Accept(c, 2, 3);
    Command(c);
    QuitCleanly(c);
  });
}

TEST(ClientUserTest, AnotherUserIsToldWhyAndTheServerIsNotTroubled) {
  Converse(kApp, [](Conversation& c) {
    StartTls(c);
    c.Client(2, Login{Scramble(), kCachingSha2, kFlags, "root"}.WithSsl().payload());
    c.ExpectErr(3, 1045,
                "Access denied for user 'root': the client certificate's CN is 'app' "
                "(tls_client_user)");
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectThrowaway();
    c.Server(2, Err(1045));
    c.ExpectClosed(CloseReason::kUserNotCertified);
    EXPECT_EQ(c.session().summary().user, "root");
    EXPECT_EQ(c.session().summary().tls.client_certificate->subject, "CN=app");
  });
}

TEST(ClientUserTest, WithoutACertificateNobodyLogsIn) {
  Converse({.client_user = tls::UserRule::kCommonName}, [](Conversation& c) {
    StartTls(c);
    c.Client(2, Login{Scramble()}.WithSsl().payload());
    c.ExpectErr(3, 1045, "no client certificate was sent");
    c.ExpectThrowaway();
  });
}

TEST(ClientUserTest, NorWithoutTls) {
  Converse(kApp, [](Conversation& c) {
    Greet(c);
    c.Client(1, Login{Scramble()}.payload());
    c.ExpectErr(2, 1045, "no client certificate was sent");
    c.ExpectThrowaway();
  });
}

TEST(ClientUserTest, AChangeOfUserIsHeldToItToo) {
  Converse(kApp, [](Conversation& c) {
    LogIn(c, {Scramble()});
    Accept(c, 2, 3);
    const ChangeUser own{Scramble(), kCachingSha2, "app"};
    c.Client(0, own.payload());
    c.ExpectServer(0, own.payload());
    Accept(c, 1, 1);
    c.Client(0, ChangeUser{Scramble(), kCachingSha2, "root"}.payload());
    c.ExpectErr(1, 1045, "the client certificate's CN is 'app'");
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kUserNotCertified);
  });
}

// Behind compression a change of user can't be seen.
TEST(ClientUserTest, CompressionIsNotOfferedAndNotTaken) {
  constexpr uint32_t kCompressing = kFlags | packet::kCompressionFlags;
  Converse(kApp, [](Conversation& c) {
    c.Server(0, Greeting{.flags = kCompressing}.payload());
    c.ExpectClient(0, Greeting{}.WithSsl().payload());
    c.ClientAsksForTls();
    c.ClientStartsTls();
    c.Client(2, Login{Scramble(), kCachingSha2, kCompressing}.WithSsl().payload());
    c.ExpectServer(1, Login{Scramble()}.payload());
    Accept(c, 2, 3);
    c.Client(0, ChangeUser{Scramble(), kCachingSha2, "root"}.payload());
    c.ExpectErr(1, 1045, "the client certificate's CN is 'app'");
  });
  Converse({}, [](Conversation& c) {  // Without the rule it passes.
    LogIn(c, {Scramble(), kCachingSha2, kCompressing}, {.flags = kCompressing});
  });
}

}  // namespace
}  // namespace sallyport::tests
