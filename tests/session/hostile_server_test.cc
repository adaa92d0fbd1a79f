// A server, or whoever sits on the plaintext link to it, that tries to be told the client's
// password. The client here does only what the protocol asks it to, on TLS.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

const Login kLogin{Scramble()};

// The client answers under `sequence_id` with its password, which must stay here: Conversation
// looks.
void ExpectRefused(Conversation& c, uint8_t sequence_id) {
  c.Client(sequence_id, PasswordNul());
  c.Arrived(Side::kClient);
  c.ExpectEnd(Side::kClient);
}

// The server asks for the password, and says more at once, while the answer is under way.
void AskAndGoOn(const std::string& more) {
  Converse({}, [&](Conversation& c) {
    LogIn(c, kLogin);
    c.ServerBytes(Packet(2, kFullAuth) + more);
    c.ExpectClient(3, kFullAuth);
    ExpectRefused(c, 4);
  });
  Converse({}, [&](Conversation& c) {
    LogIn(c, kLogin);
    c.ServerBytes(Packet(2, AuthSwitch(kSha256, kSwitchNonce)) + more);
    c.ExpectClient(3, AuthSwitch(kSha256, kSwitchNonce));
    ExpectRefused(c, 4);
  });
  Converse({}, [&](Conversation& c) {
    LogIn(c, kLogin);
    Accept(c, 2, 3);
    c.Client(0, ChangeUser{Scramble()}.payload());
    c.ExpectServer(0, ChangeUser{Scramble()}.payload());
    c.ServerBytes(Packet(1, kFullAuth) + more);
    c.ExpectClient(1, kFullAuth);
    ExpectRefused(c, 2);
  });
}

// What drivers make of packets that no server sends differs (seen: go-sql-driver, mysql2 and
// mariadb of npm, PyMySQL): at the end of each of these one of them sends its password.
void SayWhatNoServerSays(const Login& login, std::vector<std::string> packets) {
  const std::string last = packets.back();
  packets.pop_back();
  Converse({}, [&](Conversation& c) {
    LogIn(c, login);
    uint8_t server = 2;
    uint8_t client = 3;
    for (const std::string& packet : packets) {
      c.Server(server++, packet);
      c.ExpectClient(client++, packet);
    }
    c.Server(server, last);
    c.ExpectErr(client++, 2027, "Malformed packet");
    c.ExpectClosed(CloseReason::kServerMalformed);
    ExpectRefused(c, client);
  });
}

TEST(HostileServer, ASwitchToNoPlugin) {
  SayWhatNoServerSays(kLogin, {std::string("\xFE\0\x04", 3)});
  SayWhatNoServerSays({Scramble(20), kNative}, {std::string("\xFE\0", 2)});
}

TEST(HostileServer, ASecondFactorThatWasNotAgreedOn) {
  const std::string factor = AuthNextFactor(kSha256, kSwitchNonce);
  SayWhatNoServerSays({Scramble(20), kNative}, {factor});
  SayWhatNoServerSays({Scramble(20), kGssapi}, {factor});
  SayWhatNoServerSays(kLogin, {factor});
}

TEST(HostileServer, MoreBehindASwitchThatNobodyAnswered) {
  for (const std::string_view plugin : {kNative, kGssapi, std::string_view("parsec")}) {
    const std::string change = AuthSwitch(plugin, kSwitchNonce);
    SayWhatNoServerSays(kLogin, {change, kFullAuth});
    SayWhatNoServerSays(kLogin, {change, change});
    SayWhatNoServerSays(kLogin, {change, Ok()});
  }
  SayWhatNoServerSays(kLogin, {"\xFE", kFullAuth});
}

TEST(HostileServer, PluginDataOfTheWrongKind) {
  SayWhatNoServerSays(kLogin, {MoreData(std::string("\x04\0", 2))});
  SayWhatNoServerSays(kLogin, {MoreData("")});
  SayWhatNoServerSays(kLogin, {MoreData("anything")});
  SayWhatNoServerSays({Scramble(20), kNative}, {kFullAuth});
  SayWhatNoServerSays({Scramble(20), "mysql_old_password"}, {kFullAuth});
  SayWhatNoServerSays({Scramble(64), "client_ed25519"}, {kFullAuth});
  SayWhatNoServerSays({"", ""}, {kFullAuth});
}

// A client that still believes in another plugin.
TEST(HostileServer, AnAnswerThatThePluginHasNot) {
  for (const std::string_view plugin :
       {kNative, std::string_view("mysql_old_password"), std::string_view("client_ed25519")}) {
    Converse({}, [&](Conversation& c) {
      LogIn(c, kLogin);
      c.Server(2, AuthSwitch(plugin, kSwitchNonce));
      c.ExpectClient(3, AuthSwitch(plugin, kSwitchNonce));
      c.Client(4, PasswordNul());
      c.ExpectErr(5, 1043, "Bad handshake");
      c.ExpectServer(3, packet::AsText(packet::UselessAnswer(plugin)));
    });
  }
}

TEST(HostileServer, OkBeforeThePasswordIsThere) { AskAndGoOn(Packet(3, Ok())); }

TEST(HostileServer, ErrBeforeThePasswordIsThere) { AskAndGoOn(Packet(3, Err(1045))); }

TEST(HostileServer, ASwitchToAHarmlessPluginBeforeThePasswordIsThere) {
  AskAndGoOn(Packet(3, AuthSwitch(kNative, kOtherNonce)));
  AskAndGoOn(Packet(3, AuthSwitch(kCachingSha2, kOtherNonce)));
  AskAndGoOn(Packet(3, "\xFE"));
}

TEST(HostileServer, PluginDataBeforeThePasswordIsThere) {
  AskAndGoOn(Packet(3, kFastAuth));
  AskAndGoOn(Packet(3, kFullAuth));
  AskAndGoOn(Packet(3, MoreData("anything")));
  AskAndGoOn(Packet(3, MoreData(ServerPublicKeyPem())));
  AskAndGoOn(Packet(3, ""));
}

// A client that sends COM_CHANGE_USER before it has read the answer to its last command.
TEST(HostileServer, AnAnswerToAnEarlierCommandIsNotTheEndOfAChangeOfUser) {
  for (const std::string_view plugin : {kSha256, kCachingSha2}) {
    Converse({}, [&](Conversation& c) {
      LogIn(c, kLogin);
      Accept(c, 2, 3);
      const ChangeUser change_user{Scramble(20), kNative};
      c.ClientBytes(Packet(0, Query()) + Packet(0, change_user.payload()));
      c.ExpectServer(0, Query());
      c.ExpectServer(0, change_user.payload());
      c.ServerBytes(Packet(1, Ok()) + Packet(1, AuthSwitch(plugin, kSwitchNonce)));
      c.ExpectClient(1, Ok());
      c.ExpectClient(1, AuthSwitch(plugin, kSwitchNonce));
      c.Client(2, PasswordNul());
      c.ExpectErr(3, 1043, "a log-in that is over");
      c.ExpectEnd(Side::kServer);
      c.ExpectClosed(CloseReason::kBadHandshake);
    });
  }
}

// An AuthSwitchRequest that was sent ahead of the question, for the client to find behind its own.
TEST(HostileServer, AnAnswerSentAheadOfAChangeOfUser) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    Accept(c, 2, 3);
    c.Client(0, Query());
    c.ExpectServer(0, Query());
    c.ServerBytes(Packet(1, Ok()) + Packet(1, AuthSwitch(kSha256, kSwitchNonce)));
    c.ExpectClient(1, Ok());
    c.Client(0, ChangeUser{Scramble(20), kNative}.payload());
    c.ExpectServer(0, ChangeUser{Scramble(20), kNative}.payload());
    c.ExpectClient(1, AuthSwitch(kSha256, kSwitchNonce));
    ExpectRefused(c, 2);
  });
}

// Where the client never answers, the rest of a log-in's bytes must not be taken for commands
// either.
TEST(HostileServer, ASplitPasswordBehindOk) {
  ConverseIn({Way::kPackets}, {}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    const std::string packet = Packet(3, PasswordNul());
    Accept(c, 2, 3);
    for (const char byte : packet.substr(0, 3)) c.ClientBytes(std::string(1, byte));
    c.ExpectNothing(Side::kServer);
    c.ClientBytes(packet.substr(3));
    c.ExpectErr(4, 1043, "a log-in that is over");
    c.ExpectClosed(CloseReason::kBadHandshake);
  });
}

}  // namespace
}  // namespace sallyport::tests
