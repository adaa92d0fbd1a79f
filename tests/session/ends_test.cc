// Before OK: whoever leaves, at whatever point, the client is told what can be told, and the
// server is never left with a log-in that it would count as aborted.
#include <gtest/gtest.h>

#include <optional>

#include "proxy/limits.h"
#include "tests/session/conversation.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

// MariaDB takes an answer of another size for a broken handshake.
TEST(EndsTest, AnExcuseForEd25519HasItsSize) {
  constexpr std::string_view kEd25519 = "client_ed25519";
  const std::string zeros(64, '\0');
  Converse({}, [&](Conversation& c) {  // Asked while the client is there,
    LogIn(c, {Scramble()});
    c.Server(2, AuthSwitch(kEd25519, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kEd25519, kSwitchNonce));
    c.ClientClosesTls();
    c.ExpectCloseNotify();
    c.ExpectServer(3, zeros);
  });
  Converse({}, [&](Conversation& c) {  // afterwards,
    LogIn(c, {Scramble()});
    c.ClientClosesTls();
    c.ExpectCloseNotify();
    c.Server(2, AuthSwitch(kEd25519, kSwitchNonce));
    c.ExpectServer(3, zeros);
  });
  Converse({}, [&](Conversation& c) {  // and for a log-in that is the proxy's.
    Greet(c);
    c.Ends(Side::kClient);
    c.ExpectThrowaway();
    c.Server(2, AuthSwitch(kEd25519, kSwitchNonce));
    c.ExpectServer(3, zeros);
  });
}

// What the server needs to end the log-in itself.
enum class Excuse {
  kGreetingThenLogin,  // It has to greet first; then as below.
  kLogin,              // A throw-away log-in.
  kNothing,            // It owes us an answer.
  kEmptyPacket,        // It waits for an answer.
};

struct Point {
  std::string name;
  std::function<void(Conversation&)> reach;
  Excuse excuse;
  std::optional<uint8_t> client_id;  // Of the next packet to the client; none: it can't be told.
  uint8_t server_id;                 // Of the next packet from or, for kEmptyPacket, to the server.
};

const Login kLogin{Scramble()};

std::string Half(const std::string& bytes) { return bytes.substr(0, bytes.size() / 2); }

void AskForPassword(Conversation& c) {
  LogIn(c, kLogin);
  c.Server(2, kFullAuth);
  c.ExpectClient(3, kFullAuth);
}

void GivePassword(Conversation& c) {
  AskForPassword(c);
  c.Client(4, PasswordNul());
  c.ExpectServer(3, kCachingSha2KeyRequest);
}

std::vector<Point> PointsBeforeLogIn() {
  return {
      {"at once", [](Conversation&) {}, Excuse::kGreetingThenLogin, 0, 0},
      {"greeted", [](Conversation& c) { Greet(c); }, Excuse::kLogin, 1, 1},
      {"half an SSLRequest",
       [](Conversation& c) {
         Greet(c);
         c.ClientBytes(Half(Packet(1, SslRequest())));
       },
       Excuse::kLogin, 1, 1},
      {"SSLRequest",
       [](Conversation& c) {
         Greet(c);
         c.ClientAsksForTls();
       },
       Excuse::kLogin, std::nullopt, 1},
      {"ClientHello", [](Conversation& c) { StartTls(c); }, Excuse::kLogin, std::nullopt, 1},
      {"on TLS",
       [](Conversation& c) {
         StartTls(c);
         c.FinishTls();
       },
       Excuse::kLogin, 2, 1},
      {"half a log-in on TLS",
       [](Conversation& c) {
         StartTls(c);
         c.ClientBytes(Half(Packet(2, kLogin.payload())));
       },
       Excuse::kLogin, 2, 1},
      {"half a log-in without TLS",
       [](Conversation& c) {
         Greet(c);
         c.ClientBytes(Half(Packet(1, kLogin.payload())));
       },
       Excuse::kLogin, 1, 1},
  };
}

std::vector<Point> PointsInLogIn() {
  return {
      {"logged in, server's turn", [](Conversation& c) { LogIn(c, kLogin); }, Excuse::kNothing, 3,
       2},
      {"logged in without TLS", [](Conversation& c) { LogInPlain(c, kLogin); }, Excuse::kNothing, 2,
       2},
      {"half an answer of the server",
       [](Conversation& c) {
         LogIn(c, kLogin);
         c.Server(2, AuthSwitch(kGssapi, kSwitchNonce));
         c.ExpectClient(3, AuthSwitch(kGssapi, kSwitchNonce));
         c.Client(4, Scramble());
         c.ExpectServer(3, Scramble());
       },
       Excuse::kNothing, 5, 4},
      {"switched",
       [](Conversation& c) {
         LogIn(c, kLogin);
         c.Server(2, AuthSwitch(kNative, kSwitchNonce));
         c.ExpectClient(3, AuthSwitch(kNative, kSwitchNonce));
       },
       Excuse::kEmptyPacket, 4, 3},
      {"half an answer to a switch",
       [](Conversation& c) {
         LogIn(c, kLogin);
         c.Server(2, AuthSwitch(kNative, kSwitchNonce));
         c.ExpectClient(3, AuthSwitch(kNative, kSwitchNonce));
         c.ClientBytes(Half(Packet(4, Scramble(20))));
       },
       Excuse::kEmptyPacket, 4, 3},
      {"fast auth",
       [](Conversation& c) {
         LogIn(c, kLogin);
         c.Server(2, kFastAuth);
         c.ExpectClient(3, kFastAuth);
       },
       Excuse::kNothing, 4, 3},
      {"password asked for", AskForPassword, Excuse::kEmptyPacket, 4, 3},
      {"half a password",
       [](Conversation& c) {
         AskForPassword(c);
         c.ClientBytes(Half(Packet(4, PasswordNul())));
       },
       Excuse::kEmptyPacket, 4, 3},
      {"password given, key awaited", GivePassword, Excuse::kNothing, 5, 4},
      {"password sent",
       [](Conversation& c) {
         GivePassword(c);
         c.Server(4, MoreData(ServerPublicKeyPem()));
         c.TakeServer(5);
       },
       Excuse::kNothing, 5, 6},
  };
}

const std::vector<Point>& Points() {
  static const auto* const points = [] {
    auto* const all = new std::vector<Point>(PointsBeforeLogIn());
    for (Point& point : PointsInLogIn()) all->push_back(std::move(point));
    return all;
  }();
  return *points;
}

// The client is out of it; the server is led to the end of its log-in, by way of a question.
void FinishExcuse(Conversation& c, const Point& point, CloseReason reason) {
  c.ExpectEnd(Side::kClient);
  c.ExpectPhase(Phase::kExcuse);
  EXPECT_FALSE(c.session().accepts(Side::kClient));
  uint8_t id = point.server_id;
  switch (point.excuse) {
    case Excuse::kGreetingThenLogin:
      c.ExpectNothing(Side::kServer);
      c.Server(0, Greeting().payload());
      [[fallthrough]];
    case Excuse::kLogin:
      c.ExpectThrowaway();
      id = 2;
      break;
    case Excuse::kNothing:
      c.ExpectNothing(Side::kServer);
      break;
    case Excuse::kEmptyPacket:
      c.ExpectServer(id++, "");
      break;
  }
  c.ClientWire("what a client says that isn't there any more");
  c.Server(id++, AuthSwitch(kNative, kOtherNonce));
  c.ExpectServer(id++, "");
  c.ExpectOpen(Side::kServer);
  c.Server(id++, Err(1045));
  c.ExpectNothing(Side::kClient);
  c.ExpectEnd(Side::kServer);
  c.ExpectClosed(reason);
}

TEST(Ends, AClientThatLeavesIsExcused) {
  for (const Point& point : Points()) {
    SCOPED_TRACE(point.name);
    Converse({}, [&](Conversation& c) {
      point.reach(c);
      c.Ends(Side::kClient);
      FinishExcuse(c, point, CloseReason::kClientLeftEarly);
    });
    Converse({}, [&](Conversation& c) {
      point.reach(c);
      c.Resets(Side::kClient);
      FinishExcuse(c, point, CloseReason::kClientLeftEarly);
    });
  }
}

TEST(Ends, ATlsClientThatSaysSoFirstIsExcused) {
  for (const Point& point : Points()) {
    if (!point.client_id || *point.client_id < 2 || point.name.ends_with("without TLS")) continue;
    SCOPED_TRACE(point.name);
    Converse({}, [&](Conversation& c) {
      point.reach(c);
      c.ClientClosesTls();
      c.ExpectCloseNotify();
      FinishExcuse(c, point, CloseReason::kClientLeftEarly);
    });
  }
}

TEST(Ends, ATimeOutIsTold) {
  for (const Point& point : Points()) {
    SCOPED_TRACE(point.name);
    Converse({}, [&](Conversation& c) {
      point.reach(c);
      c.Refuse(CloseReason::kHandshakeTimeout, {1159, "08S01", "Got timeout reading"});
      if (point.client_id) c.ExpectErr(*point.client_id, 1159, "Got timeout reading");
      FinishExcuse(c, point, CloseReason::kHandshakeTimeout);
    });
  }
}

TEST(Ends, AShutdownIsTold) {
  for (const Point& point : Points()) {
    SCOPED_TRACE(point.name);
    Converse({}, [&](Conversation& c) {
      point.reach(c);
      c.Refuse(CloseReason::kShutdown, {1053, "08S01", "Server shutdown in progress"});
      if (point.client_id) c.ExpectErr(*point.client_id, 1053, "Server shutdown in progress");
      FinishExcuse(c, point, CloseReason::kShutdown);
    });
  }
}

TEST(Ends, AServerThatLeavesIsTold) {
  for (const Point& point : Points()) {
    for (const bool reset : {false, true}) {
      SCOPED_TRACE(point.name);
      Converse({}, [&](Conversation& c) {
        point.reach(c);
        reset ? c.Resets(Side::kServer) : c.Ends(Side::kServer);
        if (point.client_id) c.ExpectErr(*point.client_id, 2013, "Lost connection to MySQL server");
        c.ExpectEnd(Side::kClient);
        c.ExpectEnd(Side::kServer);
        c.ExpectClosed(CloseReason::kServerLostInLogin);
      });
    }
  }
}

TEST(Ends, AServerThatLeavesDuringAnExcuseEndsIt) {
  for (const Point& point : Points()) {
    SCOPED_TRACE(point.name);
    Converse({}, [&](Conversation& c) {
      point.reach(c);
      c.Ends(Side::kClient);
      c.Arrived(Side::kServer);
      c.Resets(Side::kServer);
      c.ExpectClosed(CloseReason::kClientLeftEarly);
    });
  }
}

// Before the greeting nobody knows what the client can read: servers leave the SQLSTATE out.
TEST(Ends, AnUnreachableServerIsTold) {
  for (const CloseReason reason :
       {CloseReason::kServerUnreachable, CloseReason::kTooManyConnections}) {
    Converse({}, [&](Conversation& c) {
      c.Refuse(reason, {2003, "HY000", "Can't connect to MySQL server on 'db:3306' (111)"});
      c.ExpectClient(0,
                     "\xFF\xD3\x07"
                     "Can't connect to MySQL server on 'db:3306' (111)");
      c.ExpectEnd(Side::kClient);
      c.ExpectEnd(Side::kServer);
      c.ExpectClosed(reason);
    });
  }
  Converse({}, [](Conversation& c) {  // The client is gone already.
    c.Ends(Side::kClient);
    c.Refuse(CloseReason::kServerUnreachable, {2003, "HY000", "Can't connect"});
    c.Resets(Side::kServer);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
}

TEST(Ends, ARefusalHasASqlstateOnceTheClientIsGreeted) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.Refuse(CloseReason::kShutdown, {1053, "08S01", "Server shutdown in progress"});
    c.ExpectClient(1, "\xFF\x1D\x04#08S01Server shutdown in progress");
    c.ExpectThrowaway();
  });
}

TEST(Ends, TheFirstReasonStays) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.Ends(Side::kClient);
    c.Refuse(CloseReason::kHandshakeTimeout, {1159, "08S01", "Got timeout"});
    c.ExpectThrowaway();
    c.Ends(Side::kServer);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
}

TEST(Ends, AServerThatRefusesWhileItIsExcusedIsLeft) {
  Converse({}, [](Conversation& c) {
    c.Ends(Side::kClient);
    c.Server(0, "\xFF\x10\x04Too many connections");
    c.ExpectNothing(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
  Converse({}, [](Conversation& c) {
    c.Ends(Side::kClient);
    c.Server(0, "no greeting");
    c.ExpectNothing(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
}

TEST(Ends, AServerThatAcceptsAThrowawayLogInIsLeft) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.Ends(Side::kClient);
    c.ExpectThrowaway();
    c.Server(2, Ok());
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
    EXPECT_FALSE(c.session().summary().logged_in);
  });
}

TEST(Ends, AnExcuseDoesNotAnswerFastAuth) {
  Converse({}, [](Conversation& c) {
    LogIn(c, Login{Scramble()});
    c.Ends(Side::kClient);
    c.Server(2, kFastAuth);
    c.ExpectNothing(Side::kServer);
    c.ExpectOpen(Side::kServer);
    c.Server(3, Ok());
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
}

TEST(Ends, AnExcuseEnds) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.Ends(Side::kClient);
    c.ExpectThrowaway();
    uint8_t id = 2;
    for (int i = 0; i < kAuthPacketsMax; ++i) {
      c.Server(id++, AuthSwitch(kNative, kSwitchNonce));
      c.ExpectServer(id++, "");
    }
    c.Server(id++, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
}

// MySQL offers the greeting's plugin no AuthSwitchRequest, so the throw-away log-in names it.
TEST(Ends, AThrowawayLogInNamesTheGreetingsPlugin) {
  for (const std::string_view plugin : {kNative, kSha256, std::string_view("client_ed25519")}) {
    Converse({}, [&](Conversation& c) {
      Greet(c, {plugin});
      c.Ends(Side::kClient);
      c.ExpectThrowaway(plugin);
    });
  }
}

}  // namespace
}  // namespace sallyport::tests
