// COM_CHANGE_USER: a second log-in within the command phase, with all that the first one needs.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"
#include "tests/session/heap_watch.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

const ChangeUser kChangeUser{Scramble()};

void LoggedIn(Conversation& c) {
  LogIn(c, {Scramble()});
  Accept(c, 2, 3);
}

TEST(ChangeUserTest, FullAuthIsMediated) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    Command(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    SwitchAndMediate(c, kSwitchNonce);
    EXPECT_EQ(c.session().summary().user, "other");
    EXPECT_TRUE(c.session().summary().mediated);
    Command(c);
    QuitCleanly(c);
  });
}

TEST(ChangeUserTest, FastAuthPasses) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, kFastAuth);
    c.ExpectClient(1, kFastAuth);
    Accept(c, 2, 2);
    Command(c);
  });
}

TEST(ChangeUserTest, TheLastNonceCounts) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, kFullAuth);  // Under the greeting's nonce.
    c.ExpectClient(1, kFullAuth);
    c.Client(2, PasswordNul());
    ExchangeKey(c, 2, kGreetingNonce, kCachingSha2KeyRequest);
    Accept(c, 5, 3);

    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    SwitchAndMediate(c, kSwitchNonce);

    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, kFullAuth);  // Under the nonce of the change before.
    c.ExpectClient(1, kFullAuth);
    c.Client(2, PasswordNul());
    ExchangeKey(c, 2, kSwitchNonce, kCachingSha2KeyRequest);
    Accept(c, 5, 3);

    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    SwitchAndMediate(c, kOtherNonce);
    Command(c);
  });
}

TEST(ChangeUserTest, Sha256IsMediated) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    const ChangeUser change_user{PasswordNul(), kSha256};
    c.Client(0, change_user.payload());
    c.ExpectServer(0, change_user.With(kSha256KeyRequest).payload());
    c.Server(1, MoreData(ServerPublicKeyPem()));
    EXPECT_EQ(ServerDecrypts(c.TakeServer(2), kGreetingNonce), PasswordNul());
    Accept(c, 3, 1);
    Command(c);
  });
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, AuthSwitch(kSha256, kSwitchNonce));
    c.ExpectClient(1, AuthSwitch(kSha256, kSwitchNonce));
    c.Client(2, PasswordNul());
    ExchangeKey(c, 2, kSwitchNonce, kSha256KeyRequest);
    Accept(c, 5, 3);
  });
}

// What the server does with the connection after that is its choice.
TEST(ChangeUserTest, ErrIsPassedOnAndTheSessionGoesOn) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, Err(1045));
    c.ExpectClient(1, Err(1045));
    c.ExpectOpen(Side::kClient);
    Command(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    SwitchAndMediate(c, kSwitchNonce);
    Command(c);
  });
}

TEST(ChangeUserTest, ASecretInClearIsRefused) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, ChangeUser{PasswordNul(), "mysql_clear_password"}.payload());
    c.ExpectErr(1, 1045, "allow_cleartext_password");
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kSecretRefused);
  });
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, AuthSwitch("dialog", "Password: "));
    c.ExpectErr(1, 1045, "allow_cleartext_password");
    c.ExpectServer(2, "");
    c.Server(3, Err(1045));
    c.ExpectClosed(CloseReason::kSecretRefused);
  });
}

TEST(ChangeUserTest, AMalformedOneIsRefused) {
  for (const std::string& payload :
       {std::string("\x11"), std::string("\x11user"), std::string("\x11user\0\x20short", 12)}) {
    Converse({}, [&](Conversation& c) {
      LoggedIn(c);
      c.Client(0, payload);
      c.ExpectErr(1, 1043, "malformed COM_CHANGE_USER");
      c.ExpectEnd(Side::kServer);
      c.ExpectClosed(CloseReason::kBadHandshake);
    });
  }
}

TEST(ChangeUserTest, OneOverTheLimitIsRefused) {
  for (const std::string& size : {std::string("\x01\x00\x10", 3), std::string("\xFF\xFF\xFF")}) {
    Converse({}, [&](Conversation& c) {
      LoggedIn(c);
      c.ClientBytes(size + std::string("\0\x11user", 6));
      c.ExpectErr(1, 1153, "Got a packet bigger than");
      c.ExpectEnd(Side::kServer);
      c.ExpectClosed(CloseReason::kPacketTooLong);
    });
  }
}

TEST(ChangeUserTest, ASequenceIdThatJumpsIsRefused) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.ExpectClient(1, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.Client(3, Scramble());
    c.ExpectErr(4, 1043, "sequence_id");
    c.ExpectServer(2, "");
  });
}

// --- Where it is found.

TEST(ChangeUserTest, ItIsFoundHoweverItIsSplit) {
  const std::string command = Packet(0, Query());
  const std::string bytes = command + Packet(0, kChangeUser.payload());
  for (size_t i = 1; i < bytes.size(); ++i) {
    SCOPED_TRACE(i);
    const auto script = [&](Conversation& c) {
      c.ClientBytes(bytes.substr(0, i));
      c.ClientBytes(bytes.substr(i));
      c.ExpectServerBytes(bytes);
    };
    ConverseIn({Way::kPackets}, {}, [&](Conversation& c) {
      LoggedIn(c);
      script(c);
      SwitchAndMediate(c, kSwitchNonce);
    });
    ConverseIn({Way::kPackets}, {.unix_server = true}, [&](Conversation& c) {
      LogInPlain(c, {Scramble()});
      Accept(c, 2, 2);
      script(c);
      c.ExpectPhase(Phase::kAuth);
    });
  }
}

TEST(ChangeUserTest, WhatOnlyLooksLikeItPasses) {
  const std::string inside = Packet(0, ChangeUser{PasswordNul(), kSha256}.payload());
  Converse({.secret = ""}, [&](Conversation& c) {
    LoggedIn(c);
    Command(c, inside);
    Command(c, std::string(3, 'x') + inside + inside);
    c.ExpectPhase(Phase::kCommand);
  });
}

TEST(ChangeUserTest, BehindALocalInfile) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, Query("load data local infile 'f' into table t"));
    c.ExpectServer(0, Query("load data local infile 'f' into table t"));
    c.ServerBytes(Packet(1,
                         "\xFB"
                         "f"));
    c.ExpectClientBytes(Packet(1,
                               "\xFB"
                               "f"));
    // The file has lines that begin as COM_CHANGE_USER does; its sequence_ids wrap through 0.
    std::string file;
    uint8_t id = 2;
    for (int i = 0; i < 300; ++i) file += Packet(id++, "\x11 a line of the file");
    file += Packet(id++, "");
    c.ClientBytes(file);
    c.ExpectServerBytes(file);
    c.Server(id, Ok());
    c.ExpectClient(id, Ok());
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    SwitchAndMediate(c, kSwitchNonce);
  });
}

TEST(ChangeUserTest, BehindPacketsOf16MiB) {
  for (const size_t size : {0xFFFFFFu, 0xFFFFFFu + 10}) {
    ConverseIn({Way::kWhole, Way::kPieces}, {}, [&](Conversation& c) {
      LoggedIn(c);
      // The continuation begins as COM_CHANGE_USER does.
      const std::string large = Packet(0, "\x03" + std::string(size - 1, '\x11'));
      c.ClientBytes(large + Packet(0, kChangeUser.payload()));
      c.ExpectServerBytes(large);
      c.ExpectServer(0, kChangeUser.payload());
      SwitchAndMediate(c, kSwitchNonce);
      Command(c);
    });
  }
}

// Compressed, no packet can be seen: README says so. Nothing is looked at, nothing is changed.
TEST(ChangeUserTest, BehindCompressionItIsNotWatchedFor) {
  for (const uint32_t bit : {packet::CLIENT_COMPRESS, packet::CLIENT_ZSTD_COMPRESSION_ALGORITHM}) {
    const uint32_t flags = kFlags | bit;
    Converse({}, [&](Conversation& c) {
      LogIn(c, {Scramble(), kCachingSha2, flags}, {.flags = flags});
      Accept(c, 2, 3);
      c.ClientBytes(Packet(0, kChangeUser.payload()) + "anything");
      c.ExpectServerBytes(Packet(0, kChangeUser.payload()) + "anything");
      c.ExpectPhase(Phase::kCommand);
    });
    Converse({}, [&](Conversation& c) {  // Only one end can: it isn't used.
      LogIn(c, {Scramble(), kCachingSha2, flags});
      Accept(c, 2, 3);
      c.Client(0, kChangeUser.payload());
      c.ExpectServer(0, kChangeUser.payload());
      c.ExpectPhase(Phase::kAuth);
    });
  }
}

TEST(ChangeUserTest, BothOnPlaintextItJustPasses) {
  Converse({}, [](Conversation& c) {
    LogInPlain(c, {Scramble()});
    Accept(c, 2, 2);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, kFullAuth);
    c.ExpectClient(1, kFullAuth);
    c.Client(2, kCachingSha2KeyRequest);
    c.ExpectServer(2, kCachingSha2KeyRequest);
    c.ExpectPhase(Phase::kCommand);
  });
}

TEST(ChangeUserTest, AUnixSocketAndAPlaintextClientUseTheProxysKey) {
  Converse({.unix_server = true}, [](Conversation& c) {
    LogInPlain(c, {Scramble()});
    Accept(c, 2, 2);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.ExpectClient(1, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.Client(2, Scramble());
    c.ExpectServer(2, Scramble());
    c.Server(3, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, kCachingSha2KeyRequest);
    const std::string key = c.TakeClient(5);
    c.Client(6, ClientEncrypts(std::string_view(key).substr(1), kPassword, kSwitchNonce));
    c.ExpectServer(4, PasswordNul());
    Accept(c, 5, 7);
    Command(c);
  });
}

// --- Commands around it.

TEST(ChangeUserTest, SentAheadBehindTheLogInItWaitsForOk) {
  const std::string commands = Packet(0, Query()) + Packet(0, kChangeUser.payload());
  Converse({}, [&](Conversation& c) {
    const Login login{Scramble()};
    StartTls(c);
    c.ClientBytes(Packet(2, login.WithSsl().payload()) + commands);
    c.ExpectServer(1, login.payload());
    c.ExpectNothing(Side::kServer);
    c.Server(2, Ok());
    c.ExpectClient(3, Ok());
    c.ExpectServerBytes(commands);
  });
}

TEST(ChangeUserTest, SentAloneAheadOfTheLogInsEnd) {
  Converse({}, [](Conversation& c) {
    const Login login{Scramble()};
    StartTls(c);
    c.ClientBytes(Packet(2, login.WithSsl().payload()) + Packet(0, kChangeUser.payload()));
    c.ExpectServer(1, login.payload());
    c.Server(2, Ok());
    c.ExpectClient(3, Ok());
    c.ExpectServer(0, kChangeUser.payload());
    SwitchAndMediate(c, kSwitchNonce);
    Command(c);
  });
}

TEST(ChangeUserTest, CommandsSentAheadOfItsEndWait) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Server(1, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectClient(1, AuthSwitch(kNative, kSwitchNonce));
    c.ClientBytes(Packet(2, Scramble(20)) + Packet(0, Query()) + Packet(0, "\x01"));
    c.ExpectServer(2, Scramble(20));
    c.ExpectNothing(Side::kServer);
    c.Server(3, Ok());
    c.ExpectClient(3, Ok());
    c.ExpectServer(0, Query());
    c.ExpectServer(0, "\x01");
  });
}

TEST(ChangeUserTest, AnswersGoOnUntilItIsThereWhole) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    const std::string bytes = Packet(0, kChangeUser.payload());
    c.Client(0, Query());
    c.ClientBytes(bytes.substr(0, 20));
    c.ExpectServer(0, Query());
    c.ServerBytes("rows and rows");
    c.ExpectClientBytes("rows and rows");
    c.ClientBytes(bytes.substr(20));
    c.ExpectServerBytes(bytes);
    SwitchAndMediate(c, kSwitchNonce);
  });
}

TEST(ChangeUserTest, NothingOfItIsHeldAfterwards) {
  Converse({}, [](Conversation& c) {
    const size_t before = HeapWatch::bytes_held();
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    SwitchAndMediate(c, kSwitchNonce);
    Command(c);
    EXPECT_LT(HeapWatch::bytes_held() - before, 1024u);
  });
}

// --- Ends.

TEST(ChangeUserTest, EitherSideMayLeaveInItsMiddle) {
  const std::string half = Packet(0, kChangeUser.payload()).substr(0, 30);
  for (const Side side : kBothSides) {
    for (const bool reset : {false, true}) {
      const auto leave = [&](Conversation& c) {
        reset ? c.Resets(side) : c.Ends(side);
        c.ExpectEnd(Side::kClient);
        c.ExpectEnd(Side::kServer);
        if (c.on_tls()) c.ExpectCloseNotify(!reset);
        EXPECT_TRUE(c.session().closed());
      };
      Converse({}, [&](Conversation& c) {
        LoggedIn(c);
        c.ClientBytes(half);
        leave(c);
      });
      Converse({}, [&](Conversation& c) {
        LoggedIn(c);
        c.Client(0, kChangeUser.payload());
        c.ExpectServer(0, kChangeUser.payload());
        leave(c);
      });
      Converse({}, [&](Conversation& c) {
        LoggedIn(c);
        c.Client(0, kChangeUser.payload());
        c.ExpectServer(0, kChangeUser.payload());
        c.Server(1, kFullAuth);
        c.ExpectClient(1, kFullAuth);
        leave(c);
      });
    }
  }
}

TEST(ChangeUserTest, ATimeOutInItsMiddleIsTold) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.ClientBytes(Packet(0, kChangeUser.payload()).substr(0, 30));
    c.Refuse(CloseReason::kHandshakeTimeout, {1159, "08S01", "Got timeout"});
    c.ExpectErr(1, 1159, "Got timeout");
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kHandshakeTimeout);
  });
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Refuse(CloseReason::kHandshakeTimeout, {1159, "08S01", "Got timeout"});
    c.ExpectErr(1, 1159, "Got timeout");
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kHandshakeTimeout);
  });
}

// A server that ends its half, and a client that goes on: nothing can follow close_notify.
TEST(ChangeUserTest, BehindTheServersEnd) {
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Ends(Side::kServer);
    c.ExpectCloseNotify();
    c.Client(0, ChangeUser{PasswordNul(), "mysql_clear_password"}.payload());
    c.ExpectNothing(Side::kServer);
    EXPECT_TRUE(c.session().closed());
  });
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Ends(Side::kServer);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Refuse(CloseReason::kHandshakeTimeout, {1159, "08S01", "Got timeout"});
    c.ExpectEnd(Side::kClient);
    EXPECT_TRUE(c.session().closed());
  });
  Converse({}, [](Conversation& c) {
    LoggedIn(c);
    c.Ends(Side::kServer);
    c.Client(0, kChangeUser.payload());
    c.ExpectServer(0, kChangeUser.payload());
    c.Ends(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kServerClosed);
  });
}

}  // namespace
}  // namespace sallyport::tests
