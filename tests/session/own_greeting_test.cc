// The proxy greets, and chooses the server when the log-in is there: what each side reads, whose
// nonce counts, and that nobody is left with half a log-in.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/session/conversation.h"
#include "tests/session/heap_watch.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

constexpr Links kGreets{.greets = true};
constexpr uint32_t kThread = 0x80000007;
constexpr std::string_view kAsks = "sallyport_asks";

// What the proxy says of servers; the nonce is none of theirs.
packet::Greeting Words(uint32_t flags = kFlags) {
  packet::Greeting words;
  words.server_version = "9.7.4-test";
  words.thread_id = kThread;
  words.capability_flags = flags;
  words.status_flags = 2;
  words.character_set = 0xFF;
  words.auth_plugin_name = kCachingSha2;
  std::copy(kOtherNonce.begin(), kOtherNonce.end(), words.nonce.begin());
  return words;
}

// The same, as a client has to read it.
std::string OwnGreeting(uint32_t flags) {
  std::string payload = Greeting{kCachingSha2, kOtherNonce, flags}.payload();
  return payload.replace(payload.find('\0') + 1, 4, std::string("\x07\0\0\x80", 4));
}

void ProxyGreets(Conversation& c, uint32_t flags = kFlags) {
  c.ProxyGreets(Words(flags));
  c.ExpectClient(0, OwnGreeting(c.links().tls_offered ? flags | packet::CLIENT_SSL : flags));
}

const Login kLogin{Scramble()};
const Login kAsking{"", kAsks};

// The log-in is complete, and there is no server yet.
void SayLogin(Conversation& c, const Login& login = kLogin, uint32_t offered = kFlags) {
  ProxyGreets(c, offered);
  c.ClientAsksForTls();
  c.ClientStartsTls();
  c.Client(2, login.WithSsl().payload());
  c.ExpectPhase(Phase::kServerGreeting);
  EXPECT_TRUE(c.session().wants_server());
  EXPECT_FALSE(c.session().accepts(Side::kServer));
}

// The server has the log-in, and speaks next with 2.
void LogInLate(Conversation& c, const Login& login = kLogin) {
  SayLogin(c, login);
  c.ServerConnects();
  EXPECT_FALSE(c.session().wants_server());
  c.Server(0, Greeting().payload());
  Login asking{"", kAsks, login.flags, login.user};
  c.ExpectServer(1, asking.payload());
}

// It asks for the account's plugin, and is believed.
void SwitchAndAccept(Conversation& c) {
  c.Server(2, AuthSwitch(kCachingSha2, kSwitchNonce));
  c.ExpectClient(3, AuthSwitch(kCachingSha2, kSwitchNonce));
  c.Client(4, Scramble());
  c.ExpectServer(3, Scramble());
  c.Server(4, kFastAuth);
  c.ExpectClient(5, kFastAuth);
  Accept(c, 5, 6);
}

TEST(OwnGreeting, TheServerAsksWithItsOwnNonce) {
  Converse(kGreets, [](Conversation& c) {
    LogInLate(c);
    SwitchAndAccept(c);
    Command(c);
    EXPECT_EQ(c.session().summary().thread_id, 1234u);
    EXPECT_EQ(c.session().summary().user, "app");
    QuitCleanly(c);
  });
}

TEST(OwnGreeting, APasswordIsMediatedUnderTheServersNonce) {
  Converse(kGreets, [](Conversation& c) {
    LogInLate(c);
    SwitchAndMediate(c, kSwitchNonce, 2, 3);
    EXPECT_TRUE(c.session().summary().mediated);
    Command(c);
  });
}

// sha256_password's clients put the password into the log-in itself: it goes nowhere.
TEST(OwnGreeting, APasswordInTheLogInIsDropped) {
  Converse(kGreets, [](Conversation& c) {
    LogInLate(c, Login{PasswordNul(), kSha256});
    c.Server(2, AuthSwitch(kSha256, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kSha256, kSwitchNonce));
    c.Client(4, PasswordNul());
    ExchangeKey(c, 3, kSwitchNonce, kSha256KeyRequest);
    Accept(c, 6, 5);
  });
}

TEST(OwnGreeting, AnswersOfTheServerWithoutASwitchPass) {
  Converse(kGreets, [](Conversation& c) {
    LogInLate(c);
    c.Server(2, Err(1045));
    c.ExpectClient(3, Err(1045));
    c.ExpectCloseNotify();
    c.ExpectClosed(CloseReason::kLoginFailed);
  });
  Converse(kGreets, [](Conversation& c) {
    LogInLate(c);
    Accept(c, 2, 3);
    Command(c);
  });
}

TEST(OwnGreeting, ServesClientsOnPlaintext) {
  Converse(kGreets, [](Conversation& c) {
    ProxyGreets(c);
    c.Client(1, kLogin.payload());
    c.ExpectPhase(Phase::kServerGreeting);
    EXPECT_TRUE(c.session().wants_server());
    c.ServerConnects();
    c.Server(0, Greeting().payload());
    c.ExpectServer(1, kAsking.payload());
    c.Server(2, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectClient(2, AuthSwitch(kNative, kSwitchNonce));
    c.Client(3, Scramble(20));
    c.ExpectServer(3, Scramble(20));
    Accept(c, 4, 4);
    Command(c);
  });
}

TEST(OwnGreeting, EveryEncodingOfTheLogInIsAsked) {
  using namespace packet;  // NOLINT: flags.
  static constexpr uint32_t flags[] = {
      kFlags & ~CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA, kFlags & ~CLIENT_CONNECT_WITH_DB,
      kFlags & ~CLIENT_CONNECT_ATTRS,
      CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH,
      CLIENT_PROTOCOL_41 | CLIENT_PLUGIN_AUTH};
  for (const uint32_t set : flags) {
    Converse(kGreets, [set](Conversation& c) {
      LogInLate(c, Login{set == flags[4] ? std::string("8 bytes.") : Scramble(), kNative, set});
      Accept(c, 2, 3);
    });
  }
}

// Servers ask anew, with a nonce of their own.
TEST(OwnGreeting, AChangeOfUserPassesAsEver) {
  Converse(kGreets, [](Conversation& c) {
    LogInLate(c);
    SwitchAndAccept(c);
    c.Client(0, ChangeUser{Scramble()}.payload());
    c.ExpectServer(0, ChangeUser{Scramble()}.payload());
    SwitchAndMediate(c, kOtherNonce);
    EXPECT_EQ(c.session().summary().user, "other");
    Command(c);
  });
}

// Without a question the last nonce counts: that of the switch, never the greeting's.
TEST(OwnGreeting, AChangeOfUserWithoutAQuestionIsUnderTheServersNonce) {
  Converse(kGreets, [](Conversation& c) {
    LogInLate(c);
    SwitchAndAccept(c);
    c.Client(0, ChangeUser{Scramble()}.payload());
    c.ExpectServer(0, ChangeUser{Scramble()}.payload());
    c.Server(1, kFullAuth);
    c.ExpectClient(1, kFullAuth);
    c.Client(2, PasswordNul());
    ExchangeKey(c, 2, kSwitchNonce, kCachingSha2KeyRequest);
    Accept(c, 5, 3);
  });
}

TEST(OwnGreeting, ACommandAheadOfTheServerWaits) {
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c);
    c.Client(0, Query());
    c.ServerConnects();
    c.Server(0, Greeting().payload());
    c.ExpectServer(1, kAsking.payload());
    c.Server(2, Ok());
    c.ExpectClient(3, Ok());
    c.ExpectServer(0, Query());
  });
}

TEST(OwnGreeting, AClientWithoutPluginsIsRefused) {
  Converse(kGreets, [](Conversation& c) {
    ProxyGreets(c);
    c.ClientAsksForTls();
    c.ClientStartsTls();
    Login login = kLogin;
    login.flags &= ~packet::CLIENT_PLUGIN_AUTH;
    c.Client(2, login.WithSsl().payload());
    c.ExpectErr(3, 1251, "sni_server");
    c.ExpectClosed(CloseReason::kBadHandshake);
    EXPECT_FALSE(c.session().wants_server());
  });
}

TEST(OwnGreeting, WhatAListenerDemandsIsSaidInIt) {
  Converse({.tls_required = true, .greets = true}, [](Conversation& c) {
    ProxyGreets(c);
    c.Client(1, kLogin.payload());
    c.ExpectErr(2, 3159, "tls_mode=required");
    c.ExpectClosed(CloseReason::kTlsRequired);
  });
  const Links cn = {
      .greets = true, .client_user = tls::UserRule::kCommonName, .client_common_name = "app"};
  Converse(cn, [](Conversation& c) {
    c.ProxyGreets(Words(kFlags | packet::kCompressionFlags));
    c.ExpectClient(0, OwnGreeting(kFlags | packet::CLIENT_SSL));  // Compression isn't offered.
    c.ClientAsksForTls();
    c.ClientStartsTls();
    c.Client(2, Login{Scramble(), kCachingSha2, kFlags, "root"}.WithSsl().payload());
    c.ExpectErr(3, 1045, "tls_client_user");
    c.ExpectClosed(CloseReason::kUserNotCertified);
  });
}

// --- Flags.

TEST(OwnGreeting, AFlagThatTheServerLacksEndsTheLogIn) {
  static constexpr uint32_t kDeprecateEof = 1u << 24;
  static const Login kModern{Scramble(), kCachingSha2, kFlags | kDeprecateEof};
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c, kModern, kModern.flags);
    c.ServerConnects();
    c.Server(0, Greeting().payload());
    c.ExpectErr(3, 2012, "capability flags 1000000");
    ExpectExcused(c, CloseReason::kServerLacksFlags);
  });
  // A client sets what it was not offered, and won't use it: the server must not count on it.
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c, kModern);
    c.ServerConnects();
    c.Server(0, Greeting{kCachingSha2, kGreetingNonce, kFlags | kDeprecateEof}.payload());
    c.ExpectServer(1, kAsking.payload());
    Accept(c, 2, 3);
  });
  // One that neither has is the client's own affair, and so is one that says "I am MySQL's".
  Converse(kGreets, [](Conversation& c) {
    Login login = kModern;
    login.flags |= packet::CLIENT_LONG_PASSWORD;
    SayLogin(c, login, kFlags | packet::CLIENT_LONG_PASSWORD);
    c.ServerConnects();
    c.Server(0, Greeting().payload());
    c.ExpectServer(1, Login{"", kAsks, login.flags}.payload());
    Accept(c, 2, 3);
  });
}

TEST(OwnGreeting, WhatTheServerGreetedWithIsKept) {
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c);
    EXPECT_EQ(c.session().server_traits(), nullptr);
    c.ServerConnects();
    c.Server(0, Greeting{kNative}.payload());
    c.ExpectServer(1, kAsking.payload());
    const GreetingTraits* traits = c.session().server_traits();
    ASSERT_NE(traits, nullptr);
    EXPECT_EQ(traits->server_version, "9.7.4-test");
    EXPECT_EQ(traits->auth_plugin_name, kNative);
    EXPECT_EQ(traits->capability_flags, kFlags);
    Accept(c, 2, 3);
  });
}

// --- Ends.

TEST(OwnGreeting, WhoLeavesBeforeTheDialCostsNoServerAnything) {
  Converse(kGreets, [](Conversation& c) {
    c.Ends(Side::kClient);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
  Converse(kGreets, [](Conversation& c) {
    ProxyGreets(c);
    c.Resets(Side::kClient);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c);
    c.ClientClosesTls();
    c.ExpectCloseNotify();
    c.ExpectClosed(CloseReason::kClientLeftEarly);
    EXPECT_FALSE(c.session().summary().throwaway_login);
  });
  Converse(kGreets, [](Conversation& c) {
    ProxyGreets(c);
    c.ClientBytes("GET / HTTP/1.0\r\n\r\n");
    (void)c.Arrived(Side::kClient);
    c.ExpectClosed(CloseReason::kPacketTooLong);
  });
}

TEST(OwnGreeting, AServerThatCantBeReachedIsToldOf) {
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c);
    c.Refuse(CloseReason::kServerUnreachable, {2003, "HY000", "Can't connect to MySQL server"});
    c.ExpectErr(3, 2003, "Can't connect");
    c.ExpectCloseNotify();
    c.ExpectClosed(CloseReason::kServerUnreachable);
  });
  Converse(kGreets, [](Conversation& c) {  // No greeting is known either.
    c.Refuse(CloseReason::kServerUnreachable, {2003, "HY000", "Can't connect to MySQL server"});
    c.ExpectClientBytes(Packet(0, std::string("\xFF\xD3\x07") + "Can't connect to MySQL server"));
    c.ExpectClosed(CloseReason::kServerUnreachable);
  });
}

TEST(OwnGreeting, WhoLeavesBehindTheDialIsExcused) {
  Converse(kGreets, [](Conversation& c) {  // Which is under way: it may be a server's by now.
    SayLogin(c);
    c.session().ServerDialled();
    c.ClientClosesTls();
    c.ExpectCloseNotify();
    c.ExpectPhase(Phase::kExcuse);
    c.session().ServerConnected(false);
    c.Server(0, Greeting().payload());
    ExpectExcused(c, CloseReason::kClientLeftEarly);
  });
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c);
    c.ServerConnects();
    c.ClientClosesTls();
    c.ExpectCloseNotify();
    c.ExpectPhase(Phase::kExcuse);
    c.Server(0, Greeting().payload());
    ExpectExcused(c, CloseReason::kClientLeftEarly);
  });
  Converse(kGreets, [](Conversation& c) {
    LogInLate(c);
    c.ClientClosesTls();
    c.ExpectCloseNotify();
    c.Server(2, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.ExpectServer(3, "");
    c.Server(4, Err(1045));
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kClientLeftEarly);
  });
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c);
    c.ServerConnects();
    c.Refuse(CloseReason::kHandshakeTimeout, {1159, "08S01", "Got timeout"});
    c.ExpectErr(3, 1159, "Got timeout");
    c.Ends(Side::kServer);
    c.ExpectClosed(CloseReason::kHandshakeTimeout);
  });
}

TEST(OwnGreeting, AServersRefusalAndItsNonsenseAreToldWithASqlstate) {
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c);
    c.ServerConnects();
    c.Server(0, std::string("\xFF\x10\x04") + "Too many connections");
    c.ExpectClient(3, std::string("\xFF\x10\x04") + "#HY000Too many connections");
    c.ExpectCloseNotify();
    c.ExpectClosed(CloseReason::kServerRefused);
    EXPECT_EQ(c.session().summary().server_error, 1040);
  });
  for (const char* nonsense : {"nonsense", "\xFF"}) {
    Converse(kGreets, [nonsense](Conversation& c) {
      SayLogin(c);
      c.ServerConnects();
      c.Server(0, nonsense);
      c.ExpectErr(3, 2027, "");
      c.ExpectClosed(CloseReason::kServerMalformed);
    });
  }
  Converse(kGreets, [](Conversation& c) {
    SayLogin(c);
    c.ServerConnects();
    c.Ends(Side::kServer);
    c.ExpectErr(3, 2013, "Lost connection");
    c.ExpectClosed(CloseReason::kServerLostInLogin);
  });
}

}  // namespace
}  // namespace sallyport::tests
