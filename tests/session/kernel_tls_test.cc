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

// Sizes of the TLS records that came to the client behind its first `from` bytes.
std::vector<size_t> RecordSizes(const Conversation& c, size_t from) {
  std::vector<size_t> sizes;
  const std::string& wire = c.client_wire();
  for (size_t at = from; at + 5 <= wire.size(); at += 5 + sizes.back()) {
    sizes.push_back(static_cast<size_t>(static_cast<uint8_t>(wire[at + 3]) << 8 |
                                        static_cast<uint8_t>(wire[at + 4])));
  }
  return sizes;
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

TEST(KernelTlsTest, AKeyUpdateThatAsksForOneGetsIt) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    const std::string bulk(100'000, 'b');
    for (int i = 1; i <= 3; ++i) {
      c.ClientUpdatesKeys(true);
      Command(c);
      EXPECT_EQ(c.keys_changed(), i);
      c.ServerBytes(bulk);
      c.ExpectClientBytes(bulk);
    }
    EXPECT_TRUE(c.session().passes_through(Side::kServer));
    QuitCleanly(c);
  });
}

// A record adds its type and a tag of 16 bytes; a KeyUpdate has 5.
TEST(KernelTlsTest, TheAnswerStandsWhereItBelongs) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    Command(c);
    const size_t before = c.client_wire().size();
    c.KernelWaits();
    c.ServerBytes("of the former keys");
    for (int i = 0; i < 10; ++i) c.ClientUpdatesKeys(true);
    c.ServerBytes("of the next");
    for (int i = 0; i < 10; ++i) c.ClientUpdatesKeys(true);
    c.ServerBytes(", too");
    c.KernelGoesOn();
    c.ExpectClientBytes("of the former keysof the next, too");
    EXPECT_EQ(RecordSizes(c, before), (std::vector<size_t>{18 + 17, 5 + 17, 16 + 17}));
    EXPECT_EQ(c.keys_changed(), 1);
    c.ClientUpdatesKeys(true);
    Command(c);
    EXPECT_EQ(c.keys_changed(), 2);
    QuitCleanly(c);
  });
}

TEST(KernelTlsTest, AKeyUpdateAmidChangeUser) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    Command(c);
    c.ClientUpdatesKeys(true);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.ClientUpdatesKeys(true);
    SwitchAndMediate(c, kSwitchNonce);
    EXPECT_EQ(c.keys_changed(), 2);
    Command(c);
    QuitCleanly(c);
  });
}

TEST(KernelTlsTest, EndsComeUnderTheNewKeys) {
  Converse({}, [](Conversation& c) {  // The client's, who still reads.
    HandedOver(c);
    c.ClientUpdatesKeys(true);
    c.ClientClosesTls();
    c.ExpectEnd(Side::kServer);
    c.ServerBytes("the last rows");
    c.ExpectClientBytes("the last rows");
    c.Ends(Side::kServer);
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kClientClosed);
    EXPECT_EQ(c.keys_changed(), 1);
  });
  Converse({}, [](Conversation& c) {  // Ours, while the answer waits.
    HandedOver(c);
    c.KernelWaits();
    c.ClientUpdatesKeys(true);
    c.Close(CloseReason::kShutdown);
    c.ExpectCloseNotify(false);
    c.KernelGoesOn();
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kShutdown);
    EXPECT_EQ(c.keys_changed(), 1);
  });
}

TEST(KernelTlsTest, BehindAnAnswerWithoutKeysNothingCanBeSaid) {
  Converse({}, [](Conversation& c) {
    HandedOver(c);
    Command(c);
    c.KernelRefusesKeys("too hot");
    c.KernelWaits();
    c.ServerBytes("rows");
    c.ClientUpdatesKeys(true);
    c.ServerBytes("more rows");
    c.KernelGoesOn();
    c.ExpectClientBytes("rows");
    c.ExpectCloseNotify(false);
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kKeyUpdateFailed);
    EXPECT_EQ(c.session().summary().detail, "the kernel refused new keys: too hot");
  });
}

TEST(KernelTlsTest, WhereKeysStayAKeyUpdateThatAsksForOneEndsIt) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble()});
    Accept(c, 2, 3);
    c.KernelTakesOver(false);
    Command(c);
    c.ClientUpdatesKeys(true);
    c.ExpectNothing(Side::kServer);
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kKeyUpdateRefused);
    EXPECT_FALSE(c.session().summary().detail.empty());
    EXPECT_EQ(c.keys_changed(), 0);
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
    c.ExpectTlsError("TLSV1_ALERT_INTERNAL_ERROR");  // A record, which a FIN can't overtake.
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kServerError);
  });
}

}  // namespace
}  // namespace sallyport::tests
