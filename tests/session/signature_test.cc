// A handshake that stands still until its RSA signature comes from elsewhere: either side may do
// anything meanwhile.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "proxy/limits.h"
#include "tests/session/conversation.h"

namespace sallyport::tests {
namespace {

constexpr Links kAtOnce = {.rsa_certificate = true};
constexpr Links kLate = {.rsa_certificate = true, .late_signatures = true};

// A change_cipher_spec: TLS 1.3 lets a client send it at any time, and a server ignores it.
constexpr std::string_view kIgnoredRecord("\x14\x03\x03\x00\x01\x01", 6);

const Login kLogin{Scramble()};

// StandStill: the client's hello is there, its signature under way.
void StandStill(Conversation& c, uint16_t version = kTls13) {
  Greet(c);
  c.ClientAsksForTls();
  c.ClientStartsTls(version);
  c.ExpectPhase(Phase::kTlsHandshake);
  EXPECT_TRUE(c.signature_under_way());
  EXPECT_TRUE(c.session().awaits_signature());
  EXPECT_FALSE(c.session().signature_wanted());
  EXPECT_TRUE(c.session().wants_read(Side::kClient));  // To see it leave.
}

void WorkOnTls(Conversation& c) {
  c.Client(2, kLogin.WithSsl().payload());
  c.ExpectServer(1, kLogin.payload());
  Accept(c, 2, 3);
  Command(c);
  QuitCleanly(c);
}

// The client is gone; a signature that comes now is nobody's, and the server is excused.
void FinishExcuse(Conversation& c, CloseReason reason) {
  c.ExpectEnd(Side::kClient);
  EXPECT_FALSE(c.session().awaits_signature());
  c.ExpectPhase(Phase::kExcuse);
  c.ExpectThrowaway();
  c.SignatureComes();
  c.Server(2, Err(1045));
  c.ExpectNothing(Side::kClient);
  c.ExpectEnd(Side::kServer);
  c.ExpectClosed(reason);
}

TEST(Signature, ComesAtOnce) {
  for (const uint16_t version : {kTls12, kTls13}) {
    Converse(kAtOnce, [&](Conversation& c) {
      Greet(c);
      c.ClientAsksForTls();
      c.ClientStartsTls(version);
      WorkOnTls(c);
    });
  }
}

TEST(Signature, ComesLate) {
  for (const uint16_t version : {kTls12, kTls13}) {
    Converse(kLate, [&](Conversation& c) {
      StandStill(c, version);
      c.SignatureComes();
      EXPECT_FALSE(c.session().awaits_signature());
      WorkOnTls(c);
    });
  }
}

TEST(Signature, FailsWithAnAlert) {
  for (const uint16_t version : {kTls12, kTls13}) {
    Converse(kLate, [&](Conversation& c) {
      StandStill(c, version);
      c.SignatureFails();
      c.ExpectTlsError("TLSV1_ALERT_INTERNAL_ERROR");
      c.ExpectEnd(Side::kClient);
      c.ExpectThrowaway();
      c.Server(2, Err(1045));
      c.ExpectClosed(CloseReason::kTlsFailed);
      EXPECT_EQ(c.session().summary().detail, "PRIVATE_KEY_OPERATION_FAILED");
    });
  }
}

TEST(Signature, TheClientLeavesMeanwhile) {
  for (const bool reset : {false, true}) {
    Converse(kLate, [&](Conversation& c) {
      StandStill(c);
      reset ? c.Resets(Side::kClient) : c.Ends(Side::kClient);
      FinishExcuse(c, CloseReason::kClientLeftEarly);
    });
  }
}

TEST(Signature, TheDeadlineComesMeanwhile) {
  Converse(kLate, [](Conversation& c) {
    StandStill(c);
    c.Refuse(CloseReason::kHandshakeTimeout, {1159, "08S01", "Got timeout reading"});
    FinishExcuse(c, CloseReason::kHandshakeTimeout);
  });
}

TEST(Signature, AShutdownComesMeanwhile) {
  Converse(kLate, [](Conversation& c) {
    StandStill(c);
    c.Refuse(CloseReason::kShutdown, {1053, "08S01", "Server shutdown in progress"});
    FinishExcuse(c, CloseReason::kShutdown);
  });
}

TEST(Signature, TheServerLeavesMeanwhile) {
  for (const bool reset : {false, true}) {
    Converse(kLate, [&](Conversation& c) {
      StandStill(c);
      reset ? c.Resets(Side::kServer) : c.Ends(Side::kServer);
      EXPECT_FALSE(c.session().awaits_signature());
      c.SignatureComes();
      c.ExpectEnd(Side::kClient);
      c.ExpectEnd(Side::kServer);
      c.ExpectClosed(CloseReason::kServerLostInLogin);
    });
  }
}

TEST(Signature, TheServerRefusesMeanwhile) {
  Converse(kLate, [](Conversation& c) {
    StandStill(c);
    c.Server(1, Err(1053));
    c.SignatureComes();
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kServerRefused);
  });
}

TEST(Signature, BytesThatArriveMeanwhileWait) {
  Converse(kLate, [](Conversation& c) {
    StandStill(c);
    c.ClientWire(kIgnoredRecord);
    c.ExpectNothing(Side::kServer);
    EXPECT_FALSE(c.session().wants_read(Side::kClient));
    c.SignatureComes();
    EXPECT_TRUE(c.session().wants_read(Side::kClient));
    WorkOnTls(c);
  });
}

// In one receive with the hello, which is where Way::kWhole and kPackets differ from the last.
TEST(Signature, BytesBehindTheHelloWait) {
  Converse(kLate, [](Conversation& c) {
    Greet(c);
    c.ClientAsksForTls();
    c.ClientStartsTls();
    c.ClientWire(kIgnoredRecord);
    c.ExpectPhase(Phase::kTlsHandshake);
    c.SignatureComes();
    WorkOnTls(c);
  });
}

TEST(Signature, NonsenseThatArrivesMeanwhileIsFoundAfterwards) {
  Converse(kLate, [](Conversation& c) {
    StandStill(c);
    c.ClientWire("GET / HTTP/1.1\r\n\r\n");
    c.ExpectPhase(Phase::kTlsHandshake);
    c.SignatureComes();
    c.ExpectEnd(Side::kClient);
    c.ExpectThrowaway();
    c.Server(2, Err(1045));
    c.ExpectClosed(CloseReason::kTlsFailed);
  });
}

TEST(Signature, WhatArrivesMeanwhileHasABound) {
  // Not byte by byte: what is held is copied each time, and reading has long stopped by then.
  ConverseIn({Way::kWhole, Way::kPackets}, kLate, [](Conversation& c) {
    StandStill(c);
    c.ClientWire(std::string(kHeldBytesMax, 'x'));
    c.ExpectPhase(Phase::kTlsHandshake);
    c.ClientWire("x");
    FinishExcuse(c, CloseReason::kBadHandshake);
  });
}

TEST(Signature, AClientThatLeavesBehindItsBytesIsExcused) {
  Converse(kLate, [](Conversation& c) {
    StandStill(c);
    c.ClientWire(kIgnoredRecord);
    c.Ends(Side::kClient);
    FinishExcuse(c, CloseReason::kClientLeftEarly);
  });
}

// An eager client sends its hello before it was greeted.
TEST(Signature, IsAskedForInBytesThatWereHeld) {
  TlsClient client({});
  std::span<const uint8_t> nothing;
  std::vector<uint8_t> hello;
  client.Handshake(&nothing, &hello);
  Converse(kLate, [&](Conversation& c) {
    c.ClientBytes(Packet(1, SslRequest()));
    c.ClientBytes(packet::AsText(hello));
    c.Server(0, Greeting().payload());
    c.ExpectClient(0, Greeting().WithSsl().payload());
    EXPECT_TRUE(c.signature_under_way());
    c.Arrived(Side::kClient);  // A ServerHello, perhaps.
    c.SignatureComes();
    EXPECT_FALSE(c.session().awaits_signature());
    EXPECT_GT(c.Arrived(Side::kClient).size(), 256u);
    c.ExpectPhase(Phase::kTlsHandshake);
    c.Ends(Side::kServer);
    c.ExpectClosed(CloseReason::kServerLostInLogin);
  });
}

}  // namespace
}  // namespace sallyport::tests
