// The first packets: greeting, SSLRequest, TLS, and the first packet of a log-in.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"

namespace sallyport::tests {
namespace {

const Login kLogin{Scramble()};

TEST(GreetingTest, ErrInsteadOfAGreetingIsPassedOnAsItIs) {
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

TEST(GreetingTest, ClientSslIsSetWhereTlsIsOffered) {
  Converse({}, [](Conversation& c) {
    c.Server(0, Greeting().payload());
    c.ExpectClient(0, Greeting().WithSsl().payload());
  });
  Converse({}, [](Conversation& c) {
    c.Server(0, Greeting().WithSsl().payload());
    c.ExpectClient(0, Greeting().WithSsl().payload());
  });
}

TEST(GreetingTest, ClientSslIsClearedWhereTlsIsDisabled) {
  Converse({.tls_offered = false}, [](Conversation& c) {
    c.Server(0, Greeting().WithSsl().payload());
    c.ExpectClient(0, Greeting().payload());
  });
}

TEST(GreetingTest, AServerThatIsNoneOfMysqlIsRefused) {
  for (const std::string& greeting : {std::string("\x09old"), std::string(),
                                      std::string("HTTP/1.1"), Greeting{.flags = 0}.payload()}) {
    Converse({}, [&](Conversation& c) {
      c.Server(0, greeting);
      c.ExpectErr(0, 2027, "no greeting of MySQL 4.1");
      c.ExpectEnd(Side::kClient);
      c.ExpectEnd(Side::kServer);
      c.ExpectClosed(CloseReason::kServerMalformed);
    });
  }
}

TEST(GreetingTest, AGreetingOverTheLimitIsRefused) {
  Converse({}, [&](Conversation& c) {
    c.ServerBytes(std::string("\x01\x00\x04\x00", 4) + "x");  // 256 KiB and a byte.
    c.ExpectErr(0, 2027, "a packet longer");
    c.ExpectClosed(CloseReason::kServerMalformed);
  });
}

TEST(GreetingTest, AClientOnTlsLogsIn) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    Accept(c, 2, 3);
    const SessionSummary& summary = c.session().summary();
    EXPECT_TRUE(summary.tls_used && summary.logged_in && !summary.mediated);
    EXPECT_EQ(summary.user, "app");
    EXPECT_EQ(summary.plugin, kCachingSha2);
    EXPECT_EQ(summary.thread_id, 1234u);
    EXPECT_EQ(summary.tls.version, "TLSv1.3");
    Command(c);
    QuitCleanly(c);
  });
}

TEST(GreetingTest, AClientOnTls12LogsIn) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.ClientAsksForTls();
    c.ClientStartsTls(kTls12);
    c.Client(2, kLogin.payload());  // Some drivers omit CLIENT_SSL here.
    c.ExpectServer(1, kLogin.payload());
    Accept(c, 2, 3);
    EXPECT_EQ(c.session().summary().tls.version, "TLSv1.2");
    QuitCleanly(c);
  });
}

TEST(GreetingTest, AClientThatNeverAsksForTlsIsServed) {
  Converse({}, [](Conversation& c) {
    LogInPlain(c, kLogin);
    c.Server(2, kFastAuth);
    c.ExpectClient(2, kFastAuth);
    Accept(c, 3, 3);
    EXPECT_FALSE(c.session().summary().tls_used);
    Command(c);
    QuitCleanly(c);
  });
}

// The bit describes the client's hop, and mysqld would wait for a ClientHello.
TEST(GreetingTest, ClientSslIsClearedInALogInWithoutTls) {
  Converse({.tls_offered = false}, [](Conversation& c) {
    Greet(c);
    c.Client(1, kLogin.WithSsl().payload());
    c.ExpectServer(1, kLogin.payload());
    Accept(c, 2, 2);
  });
}

TEST(GreetingTest, AClientThatNeverAsksForTlsIsToldThatItMust) {
  Converse({.tls_required = true}, [](Conversation& c) {
    Greet(c);
    c.Client(1, kLogin.payload());
    c.ExpectErr(2, 3159, "Connections using insecure transport are prohibited");
    c.ExpectEnd(Side::kClient);
    ExpectExcused(c, CloseReason::kTlsRequired);
  });
}

TEST(GreetingTest, AClientOnTlsIsServedWhereTlsIsRequired) {
  Converse({.tls_required = true}, [](Conversation& c) {
    LogIn(c, kLogin);
    Accept(c, 2, 3);
  });
}

TEST(GreetingTest, SslRequestIsRefusedWhereTlsIsDisabled) {
  Converse({.tls_offered = false}, [](Conversation& c) {
    Greet(c);
    c.Client(1, SslRequest());
    c.ExpectErr(2, 1043, "TLS was not offered");
    c.ExpectEnd(Side::kClient);
    c.ExpectThrowaway();
    c.Server(2, Err(1045));
    c.ExpectClosed(CloseReason::kBadHandshake);
  });
}

TEST(GreetingTest, AClientMaySpeakBeforeTheGreeting) {
  Converse({}, [](Conversation& c) {
    c.Client(1, kLogin.payload());
    c.ExpectNothing(Side::kServer);
    c.Server(0, Greeting().payload());
    c.ExpectClient(0, Greeting().WithSsl().payload());
    c.ExpectServer(1, kLogin.payload());
    Accept(c, 2, 2);
    Command(c);
  });
}

// What an attacker on the client's network slips in behind SSLRequest must never be read as MySQL.
TEST(GreetingTest, PlaintextBehindSslRequestIsNoPacket) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.ClientAsksForTls();
    c.ClientWire(Packet(2, kLogin.payload()));
    c.ExpectEnd(Side::kClient);
    c.ExpectThrowaway();  // And not the client's.
    c.Server(2, Err(1045));
    c.ExpectClosed(CloseReason::kTlsFailed);
  });
}

TEST(GreetingTest, GarbageInsteadOfTlsGetsAnAlert) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.ClientAsksForTls();
    c.ClientWire("\x16\x03\x01\x02\x01" + std::string(600, 'x'));
    c.ExpectEnd(Side::kClient);
    EXPECT_EQ(c.client_wire().substr(0, 1), "\x15");  // A TLS alert.
    EXPECT_FALSE(c.session().summary().detail.empty());
    c.ExpectThrowaway();
    c.Server(2, Err(1045));
    c.ExpectClosed(CloseReason::kTlsFailed);
  });
}

TEST(GreetingTest, AClientOfAnOldTlsVersionGetsAnAlert) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.ClientAsksForTls();
    c.ClientStartsTls(kTls11);
    c.ExpectEnd(Side::kClient);
    c.ExpectTlsError("TLSV1_ALERT_PROTOCOL_VERSION");
    c.ExpectThrowaway();
    EXPECT_EQ(c.session().reason(), CloseReason::kTlsFailed);
  });
}

TEST(GreetingTest, SslRequestTwiceIsRefused) {
  Converse({}, [](Conversation& c) {
    StartTls(c);
    c.Client(2, SslRequest());
    c.ExpectErr(3, 1043, "Bad handshake");
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectThrowaway();
    c.Server(2, Err(1045));
    c.ExpectClosed(CloseReason::kBadHandshake);
  });
}

void ExpectBadHandshake(const std::string& reply, std::string_view why) {
  SCOPED_TRACE(why);
  Converse({}, [&](Conversation& c) {
    Greet(c);
    c.Client(1, reply);
    c.ExpectErr(2, 1043, why);
    c.ExpectEnd(Side::kClient);
    c.ExpectThrowaway();
    c.Server(2, Err(1045));
    c.ExpectClosed(CloseReason::kBadHandshake);
  });
  Converse({}, [&](Conversation& c) {
    StartTls(c);
    c.Client(2, reply);
    c.ExpectErr(3, 1043, "Bad handshake");
    c.ExpectThrowaway();
  });
}

TEST(GreetingTest, AReplyThatIsNoneIsRefused) {
  ExpectBadHandshake(Login{"", "", 0}.payload(), "before MySQL 4.1");
  ExpectBadHandshake("", "neither");
  ExpectBadHandshake("\x01", "neither");
  ExpectBadHandshake(SslRequest().substr(0, 31), "neither");
  // User names, auth_responses that run over the end.
  const std::string whole = kLogin.payload();
  ExpectBadHandshake(whole.substr(0, 34), "malformed HandshakeResponse41");
  ExpectBadHandshake(whole.substr(0, 50), "malformed HandshakeResponse41");
}

TEST(GreetingTest, ALogInOverTheLimitIsRefused) {
  const std::string header("\x01\x00\x10", 3);  // 1 MiB and a byte.
  Converse({}, [&](Conversation& c) {
    Greet(c);
    c.ClientBytes(header + "\x01" + std::string(1000, 'x'));
    c.ExpectErr(2, 1153, "Got a packet bigger than 1048576 bytes");
    c.ExpectEnd(Side::kClient);
    c.ExpectThrowaway();
    c.Server(2, Err(1045));
    c.ExpectClosed(CloseReason::kPacketTooLong);
  });
  Converse({}, [&](Conversation& c) {
    StartTls(c);
    c.ClientBytes(header + "\x02");
    c.ExpectErr(3, 1153, "Got a packet bigger than");
    c.ExpectThrowaway();
  });
}

TEST(GreetingTest, ALogInOfTheLimitPasses) {
  Login login = kLogin;
  login.user = std::string(3000, 'u');
  Converse({}, [&](Conversation& c) {
    LogIn(c, login);
    Accept(c, 2, 3);
    EXPECT_EQ(c.session().summary().user.size(), 128u);
  });
  login.user = std::string((1 << 20) - kLogin.payload().size() + kLogin.user.size(), 'u');
  ASSERT_EQ(login.payload().size(), 1u << 20);
  ConverseIn({Way::kWhole, Way::kPieces}, {}, [&](Conversation& c) {
    LogIn(c, login);
    Accept(c, 2, 3);
  });
}

// The client can read the ERR only under the sequence_id that follows its own.
TEST(GreetingTest, ASequenceIdThatJumpsIsRefused) {
  for (const uint8_t id : {0, 2, 77, 255}) {
    Converse({}, [&](Conversation& c) {
      Greet(c);
      c.Client(id, kLogin.payload());
      c.ExpectErr(static_cast<uint8_t>(id + 1), 1043, "sequence_id");
      c.ExpectThrowaway();
    });
    Converse({}, [&](Conversation& c) {
      StartTls(c);
      c.Client(id == 2 ? 3 : id, kLogin.payload());
      c.ExpectErr(static_cast<uint8_t>(id == 2 ? 4 : id + 1), 1043, "sequence_id");
      c.ExpectThrowaway();
    });
  }
}

TEST(GreetingTest, AnErrOutOfTurnIsPassedOn) {
  Converse({}, [](Conversation& c) {  // A server that shuts down, or lost its patience.
    Greet(c);
    c.Server(1, Err(1053));
    c.ExpectClient(1, Err(1053));
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kServerRefused);
  });
  Converse({}, [](Conversation& c) {
    StartTls(c);
    c.FinishTls();
    c.Server(1, Err(1053));
    c.ExpectClient(2, Err(1053));
    c.ExpectCloseNotify();
    c.ExpectClosed(CloseReason::kServerRefused);
  });
  Converse({}, [](Conversation& c) {  // Nothing can be said in the middle of a TLS handshake.
    StartTls(c);
    c.Server(1, Err(1053));
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kServerRefused);
  });
}

TEST(GreetingTest, AnyOtherPacketOutOfTurnEndsTheSession) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.Server(1, Ok());
    c.ExpectErr(1, 2027, "a packet out of turn");
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kServerMalformed);
  });
  Converse({}, [](Conversation& c) {
    StartTls(c);
    c.FinishTls();
    c.Server(1, AuthSwitch("mysql_clear_password", ""));
    c.ExpectErr(2, 2027, "a packet out of turn");
    c.ExpectClosed(CloseReason::kServerMalformed);
  });
}

}  // namespace
}  // namespace sallyport::tests
