// Sessions whose records for the client somebody else makes, as kernel TLS does.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

const ChangeUser kChangeUser{Scramble()};

void HandedOver(Conversation& c) {
  LogIn(c, {Scramble()});
  Accept(c, 2, 3);
  c.KernelTakesOver();
}

TEST(KernelTlsTest, EverythingGoesOn) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    EXPECT_TRUE(c.session().summary().kernel_tls);
    EXPECT_FALSE(c.session().can_hand_over());
    Command(c);
    const std::string bulk(100'000, 'b');
    c.ServerBytes(bulk);
    c.ExpectClientBytes(bulk);
    Command(c);
    QuitCleanly(c);
  });
}

TEST(KernelTlsTest, OnlyWhatTheServerSendsPassesThrough) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble()});
    EXPECT_FALSE(c.session().can_hand_over());
    Accept(c, 2, 3);
    Command(c);
    EXPECT_FALSE(c.session().passes_through(Side::kServer));
    c.KernelTakesOver();
    EXPECT_TRUE(c.session().passes_through(Side::kServer));
    EXPECT_FALSE(c.session().passes_through(Side::kClient));
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    EXPECT_FALSE(c.session().passes_through(Side::kServer));
    SwitchAndMediate(c, kSwitchNonce);
    Command(c);
    EXPECT_TRUE(c.session().passes_through(Side::kServer));
    QuitCleanly(c);
  });
}

TEST(KernelTlsTest, AKeyUpdateThatAsksForOneEndsIt) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    Command(c);
    c.ClientUpdatesKeys(true);
    c.ExpectNothing(Side::kServer);
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kKeyUpdateRefused);
    EXPECT_FALSE(c.session().summary().detail.empty());
  });
}

TEST(KernelTlsTest, AKeyUpdateThatAsksForNoneDoesNot) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    c.ClientUpdatesKeys(false);
    Command(c);
    QuitCleanly(c);
  });
}

TEST(KernelTlsTest, ABadRecordIsAnsweredByAnAlert) {
  ConverseIn({Way::kWhole}, {}, [](Conversation& c) {
    HandedOver(c);
    Command(c);
    std::string record = c.SealedByClient(Packet(0, Query()));
    record.back() ^= 1;
    c.ClientWire(record);
    c.ExpectNothing(Side::kServer);
    c.ExpectTlsError("SSLV3_ALERT_BAD_RECORD_MAC");
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kTlsFailed);
  });
}

TEST(KernelTlsTest, ACloseOfOursSaysGoodbye) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    c.ServerBytes("rows");
    c.Close(CloseReason::kShutdown);
    c.ExpectClientBytes("rows");
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kShutdown);
  });
}

TEST(KernelTlsTest, AServerThatBreaksGetsNoGoodbyeMade) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    Command(c);
    c.Resets(Side::kServer);
    c.ExpectCloseNotify(false);
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kServerError);
  });
}

}  // namespace
}  // namespace sallyport::tests
