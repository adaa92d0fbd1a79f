// Plugins that never send the secret are relayed untouched but for sequence_ids; and what else is
// between the first packet of a log-in and its OK.
#include <gtest/gtest.h>

#include "proxy/limits.h"
#include "tests/session/conversation.h"

namespace sallyport::tests {
namespace {

TEST(Relay, NativeWithAndWithoutASwitch) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative}, {kNative});
    Accept(c, 2, 3);
    EXPECT_EQ(c.session().summary().plugin, kNative);
  });
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble()});
    c.Server(2, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kNative, kSwitchNonce));
    c.Client(4, Scramble(20));
    c.ExpectServer(3, Scramble(20));
    Accept(c, 4, 5);
  });
}

// Clients without CLIENT_PLUGIN_AUTH mean mysql_native_password.
TEST(Relay, AClientThatNamesNoPlugin) {
  constexpr uint32_t kOld = packet::CLIENT_PROTOCOL_41 | packet::CLIENT_SECURE_CONNECTION;
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), "", kOld}, {"", kGreetingNonce, kOld});
    c.Server(2, "\xFE");  // To mysql_old_password.
    c.ExpectClient(3, "\xFE");
    c.Client(4, "8 bytes!");
    c.ExpectServer(3, "8 bytes!");
    Accept(c, 4, 5);
    EXPECT_EQ(c.session().summary().plugin, "mysql_old_password");
  });
}

TEST(Relay, Ed25519) {
  const std::string nonce = "32 bytes of nonce, of MariaDB's.";
  const std::string signature(64, '\xFF');
  Converse({}, [&](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    c.Server(2, AuthSwitch("client_ed25519", nonce));
    c.ExpectClient(3, AuthSwitch("client_ed25519", nonce));
    c.Client(4, signature);
    c.ExpectServer(3, signature);
    Accept(c, 4, 5);
  });
}

TEST(Relay, ParsecAsksTwice) {
  const std::string salt = MoreData("P\x01 and a salt of 18 b");
  Converse({}, [&](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    c.Server(2, AuthSwitch("parsec", Scramble(32)));
    c.ExpectClient(3, AuthSwitch("parsec", Scramble(32)));
    c.Client(4, "");
    c.ExpectServer(3, "");
    c.Server(4, salt);
    c.ExpectClient(5, salt);
    c.Client(6, Scramble(96));
    c.ExpectServer(5, Scramble(96));
    Accept(c, 6, 7);
  });
}

// GSSAPI: tokens to and fro, of several sizes, with and without 01 in front; the last word is the
// server's, twice.
TEST(Relay, AnyNumberOfRounds) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    c.Server(2, AuthSwitch("auth_gssapi_client", "principal"));
    c.ExpectClient(3, AuthSwitch("auth_gssapi_client", "principal"));
    uint8_t client = 4;
    uint8_t server = 3;
    for (size_t round = 0; round < 25; ++round) {
      const std::string token(round * round * 7, static_cast<char>('a' + round));
      c.Client(client++, token);
      c.ExpectServer(server++, token);
      const std::string answer = round % 2 == 0 ? MoreData(token) : "t" + token;
      c.Server(server++, answer);
      c.ExpectClient(client++, answer);
    }
    Accept(c, server, client);
    Command(c);
  });
}

TEST(Relay, PacketsOfTheServersLimitPass) {
  const std::string large(kServerLoginPayloadMax - 1, 'k');
  ConverseIn({Way::kWhole, Way::kPackets, Way::kPieces}, {}, [&](Conversation& c) {
    LogIn(c, {Scramble(20), kGssapi});
    c.Server(2, MoreData(large));
    c.ExpectClient(3, MoreData(large));
    c.Server(3, MoreData(large + "x"));
    c.ExpectErr(4, 2027, "longer than any");
    c.ExpectClosed(CloseReason::kServerMalformed);
  });
}

// The server may skip numbers for all we know; each side's own order is what its peer checks.
TEST(Relay, TheSequenceIdsOfEachSideAreItsOwn) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    c.Server(200, AuthSwitch(kGssapi, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kGssapi, kSwitchNonce));
    c.Client(4, Scramble(20));
    c.ExpectServer(201, Scramble(20));
    c.Server(255, MoreData("more"));
    c.ExpectClient(5, MoreData("more"));
    c.Client(6, "answer");
    c.ExpectServer(0, "answer");
    Accept(c, 1, 7);
  });
}

TEST(Relay, ASequenceIdThatJumpsIsRefused) {
  for (const uint8_t id : {1, 3, 5, 255}) {
    Converse({}, [&](Conversation& c) {
      LogIn(c, {Scramble(20), kNative});
      c.Server(2, AuthSwitch(kNative, kSwitchNonce));
      c.ExpectClient(3, AuthSwitch(kNative, kSwitchNonce));
      c.Client(id, Scramble(20));
      c.ExpectErr(static_cast<uint8_t>(id + 1), 1043, "sequence_id");
      c.ExpectEnd(Side::kClient);
      c.ExpectServer(3, "");
      c.Server(4, Err(1045));
      c.ExpectClosed(CloseReason::kBadHandshake);
    });
  }
}

TEST(Relay, TheServersErrEndsTheLogIn) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    c.Server(2, Err(1045));
    c.ExpectClient(3, Err(1045));
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kLoginFailed);
    EXPECT_FALSE(c.session().summary().logged_in);
  });
}

TEST(Relay, AMalformedSwitchEndsTheLogIn) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    c.Server(2, "\xFEno NUL");
    c.ExpectErr(3, 2027, "malformed packet in the log-in");
    c.ExpectClosed(CloseReason::kServerMalformed);
  });
}

TEST(Relay, ASwitchWithoutANonceKeepsTheOldOne) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    c.Server(2, AuthSwitch("authentication_windows_client", ""));
    c.ExpectClient(3, AuthSwitch("authentication_windows_client", ""));
    c.Client(4, "token");
    c.ExpectServer(3, "token");
    Accept(c, 4, 5);
  });
}

TEST(Relay, SwitchesWithoutEndEnd) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    uint8_t client = 3;
    uint8_t server = 2;
    for (int packets = 0; packets < kAuthPacketsMax; packets += 2) {
      c.Server(server++, AuthSwitch(kNative, kSwitchNonce));
      c.ExpectClient(client++, AuthSwitch(kNative, kSwitchNonce));
      c.Client(client++, Scramble(20));
      c.ExpectServer(server++, Scramble(20));
    }
    c.Server(server++, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectErr(client++, 2027, "a log-in that does not end");
    c.ExpectClosed(CloseReason::kServerMalformed);
  });
}

TEST(Relay, AClientThatTalksWithoutEndIsRefused) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kGssapi});
    uint8_t client = 3;
    uint8_t server = 2;
    for (int packets = 0; packets < kAuthPacketsMax; ++packets) {
      c.Client(client++, "talk");
      c.ExpectServer(server++, "talk");
    }
    c.Client(client++, "talk");
    c.ExpectErr(client++, 1043, "Bad handshake");
  });
}

// --- Commands sent ahead of the log-in's end.

TEST(Relay, PipelinedCommandsWaitForOkAndPassInOrder) {
  const std::string commands = Packet(0, Query("set names utf8mb4")) +
                               Packet(0, Query("select 2")) +
                               Packet(0, Query(std::string(5000, 'x')));
  Converse({}, [&](Conversation& c) {
    StartTls(c);
    const Login login{Scramble()};
    c.ClientBytes(Packet(2, login.WithSsl().payload()) + commands);
    c.ExpectServer(1, login.payload());
    c.ExpectNothing(Side::kServer);
    c.Server(2, kFastAuth);
    c.ExpectClient(3, kFastAuth);
    c.ExpectNothing(Side::kServer);
    Accept(c, 3, 4);
    c.ExpectServerBytes(commands);
    c.Server(1, Ok());
    c.ExpectClient(1, Ok());
    Command(c);
  });
  Converse({}, [&](Conversation& c) {
    const Login login{Scramble(20), kNative};
    LogIn(c, login);
    c.Server(2, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kNative, kSwitchNonce));
    c.ClientBytes(Packet(4, Scramble(20)) + commands);
    c.ExpectServer(3, Scramble(20));
    c.ExpectNothing(Side::kServer);
    c.ServerBytes(Packet(4, Ok()) + "what the server says next");
    c.ExpectClientBytes(Packet(5, Ok()) + "what the server says next");
    c.ExpectServerBytes(commands);
  });
}

TEST(Relay, PipelinedCommandsWaitWithoutTlsToo) {
  const std::string commands = Packet(0, Query()) + Packet(0, "\x01");
  Converse({}, [&](Conversation& c) {
    const Login login{Scramble()};
    Greet(c);
    c.ClientBytes(Packet(1, login.payload()) + commands);
    c.ExpectServer(1, login.payload());
    c.ExpectNothing(Side::kServer);
    Accept(c, 2, 2);
    c.ExpectServerBytes(commands);
  });
}

TEST(Relay, PipelinedCommandsAreDroppedWithARefusedLogIn) {
  Converse({}, [&](Conversation& c) {
    const Login login{Scramble()};
    Greet(c);
    c.ClientBytes(Packet(1, login.payload()) + Packet(0, Query("drop table t")));
    c.ExpectServer(1, login.payload());
    c.Server(2, Err(1045));
    c.ExpectClient(2, Err(1045));
    c.ExpectClosed(CloseReason::kLoginFailed);
  });
}

TEST(Relay, AClientThatSendsTooMuchAheadIsStoppedThenRefused) {
  ConverseIn({Way::kWhole, Way::kPackets, Way::kPieces}, {}, [&](Conversation& c) {
    LogIn(c, {Scramble()});
    c.ClientBytes(Packet(0, Query(std::string(200'000, 'x'))));
    c.ExpectNothing(Side::kServer);
    EXPECT_TRUE(c.session().wants_read(Side::kClient));
    c.ClientBytes(Packet(0, Query(std::string(100'000, 'x'))));
    c.ExpectNothing(Side::kServer);
    EXPECT_FALSE(c.session().wants_read(Side::kClient));
    EXPECT_TRUE(c.session().accepts(Side::kClient));
    for (int i = 0; i < 3; ++i) c.ClientBytes(Packet(0, Query(std::string(200'000, 'x'))));
    c.ExpectErr(3, 1043, "too much data");
    c.ExpectPhase(Phase::kExcuse);
  });
}

// Whoever reads only while wants_read says so is never told that it was too much: not where a whole
// receive comes on top, nor where that ends a TLS record of which all but a byte was there before,
// nor by what the ring has received by the time that it is told to stop.
TEST(Relay, WhatIsReadWhileReadingIsWantedFits) {
  for (const size_t ahead : {1'000, 150'000, 229'000, 240'000, 245'700, 246'000, 262'000}) {
    SCOPED_TRACE(ahead);
    ConverseIn({Way::kPackets}, {}, [&](Conversation& c) {
      LogIn(c, {Scramble()});
      c.ClientBytes(Packet(0, Query(std::string(ahead, 'x'))));
      const std::string records = c.SealedByClient(std::string(600'000, 'y'));
      constexpr size_t kRecord = 16'000;
      c.ClientWire(records.substr(0, kRecord));
      if (c.session().wants_read(Side::kClient)) {
        c.ClientWire(records.substr(kRecord, kReceiveBytesMax));
        c.ClientWire(records.substr(kRecord + kReceiveBytesMax, kReceiveBytesMax));
      }
      c.ExpectNothing(Side::kServer);
      c.ExpectNothing(Side::kClient);
      c.ExpectPhase(Phase::kAuth);
    });
  }
}

}  // namespace
}  // namespace sallyport::tests
