// A server on a unix socket takes passwords in clear and has no RSA key to give.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

constexpr Links kUnix = {.unix_server = true};

TEST(UnixSocket, APasswordFromTlsIsPassedOnUnchanged) {
  Converse(kUnix, [](Conversation& c) {
    LogIn(c, {Scramble()});
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, PasswordNul());
    c.ExpectServer(3, PasswordNul());
    Accept(c, 4, 5);
    EXPECT_FALSE(c.session().summary().mediated);
    Command(c);
  });
}

// sha256_password counts a unix socket as no better than TCP, at either end.
TEST(UnixSocket, Sha256FromTlsIsMediatedAllTheSame) {
  Converse(kUnix, [](Conversation& c) {
    StartTls(c);
    c.Client(2, Login{PasswordNul(), kSha256}.payload());
    c.ExpectServer(1, Login{kSha256KeyRequest, kSha256}.payload());
    c.Server(2, MoreData(ServerPublicKeyPem()));
    EXPECT_EQ(ServerDecrypts(c.TakeServer(3), kGreetingNonce), PasswordNul());
    Accept(c, 4, 3);
  });
  Converse(kUnix, [](Conversation& c) {
    LogIn(c, {Scramble()});
    c.Server(2, AuthSwitch(kSha256, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kSha256, kSwitchNonce));
    c.Client(4, PasswordNul());
    ExchangeKey(c, 3, kSwitchNonce, kSha256KeyRequest);
    Accept(c, 6, 5);
  });
}

TEST(UnixSocket, Sha256WithoutTlsGetsTheServersKey) {
  Converse(kUnix, [](Conversation& c) {
    LogInPlain(c, {kSha256KeyRequest, kSha256});
    c.Server(2, MoreData(ServerPublicKeyPem()));
    c.ExpectClient(2, MoreData(ServerPublicKeyPem()));
    c.Client(3, std::string(256, 'c'));
    c.ExpectServer(3, std::string(256, 'c'));
    Accept(c, 4, 4);
    EXPECT_FALSE(c.session().summary().mediated);
  });
  Converse(kUnix, [](Conversation& c) {
    LogInPlain(c, {Scramble()});
    c.Server(2, AuthSwitch(kSha256, kSwitchNonce));
    c.ExpectClient(2, AuthSwitch(kSha256, kSwitchNonce));
    c.Client(3, kSha256KeyRequest);
    c.ExpectServer(3, kSha256KeyRequest);
    c.Server(4, MoreData(ServerPublicKeyPem()));
    c.ExpectClient(4, MoreData(ServerPublicKeyPem()));
    c.Client(5, std::string(256, 'c'));
    c.ExpectServer(5, std::string(256, 'c'));
    Accept(c, 6, 6);
  });
}

// TakeOwnKey: the client gets the proxy's key, and returns the ciphertext of its password.
std::string TakeOwnKey(Conversation& c, uint8_t sequence_id, std::string_view nonce) {
  const std::string key = c.TakeClient(sequence_id);
  EXPECT_EQ(key.substr(0, 27), MoreData("-----BEGIN PUBLIC KEY-----"));
  return ClientEncrypts(std::string_view(key).substr(1), kPassword, nonce);
}

TEST(UnixSocket, CachingSha2WithTheProxysKey) {
  Converse(kUnix, [](Conversation& c) {
    LogInPlain(c, {Scramble()});
    c.Server(2, kFullAuth);
    c.ExpectClient(2, kFullAuth);
    c.Client(3, kCachingSha2KeyRequest);
    c.ExpectNothing(Side::kServer);
    c.Client(5, TakeOwnKey(c, 4, kGreetingNonce));
    c.ExpectServer(3, PasswordNul());
    Accept(c, 4, 6);
    EXPECT_TRUE(c.session().summary().mediated);
    Command(c);
  });
}

TEST(UnixSocket, CachingSha2WithTheProxysKeyAfterAuthSwitch) {
  Converse(kUnix, [](Conversation& c) {
    LogInPlain(c, {Scramble(20), kNative});
    c.Server(2, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.ExpectClient(2, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.Client(3, Scramble());
    c.ExpectServer(3, Scramble());
    c.Server(4, kFullAuth);
    c.ExpectClient(4, kFullAuth);
    c.Client(5, kCachingSha2KeyRequest);
    c.Client(7, TakeOwnKey(c, 6, kSwitchNonce));
    c.ExpectServer(5, PasswordNul());
    Accept(c, 6, 8);
  });
}

TEST(UnixSocket, CachingSha2FastAuthNeedsNoKey) {
  Converse(kUnix, [](Conversation& c) {
    LogInPlain(c, {Scramble()});
    c.Server(2, kFastAuth);
    c.ExpectClient(2, kFastAuth);
    Accept(c, 3, 3);
  });
}

TEST(UnixSocket, AnEmptyPasswordNeedsNoKey) {
  for (const std::string& empty : {std::string(), std::string(1, '\0')}) {
    Converse(kUnix, [&](Conversation& c) {
      LogInPlain(c, {empty, kSha256});
      Accept(c, 2, 2);
    });
    Converse(kUnix, [&](Conversation& c) {
      LogInPlain(c, {Scramble()});
      c.Server(2, AuthSwitch(kSha256, kSwitchNonce));
      c.ExpectClient(2, AuthSwitch(kSha256, kSwitchNonce));
      c.Client(3, empty);
      c.ExpectServer(3, empty);
      Accept(c, 4, 4);
    });
  }
}

// A client that was given the server's key beforehand doesn't ask for one.
TEST(UnixSocket, APasswordForAnotherKeyIsRefusedClearly) {
  const std::string pinned = ClientEncrypts(ServerPublicKeyPem(), kPassword, kGreetingNonce);
  Converse(kUnix, [&](Conversation& c) {
    LogInPlain(c, {Scramble()});
    c.Server(2, kFullAuth);
    c.ExpectClient(2, kFullAuth);
    c.Client(3, pinned);
    c.ExpectErr(4, 1045, "isn't encrypted for this proxy's RSA public key");
    c.ExpectEnd(Side::kClient);
    c.ExpectServer(3, "");
    c.Server(4, Err(1045));
    c.ExpectClosed(CloseReason::kPasswordUnusable);
  });
  Converse(kUnix, [&](Conversation& c) {  // The key was asked for and not used.
    LogInPlain(c, {Scramble()});
    c.Server(2, kFullAuth);
    c.ExpectClient(2, kFullAuth);
    c.Client(3, kCachingSha2KeyRequest);
    TakeOwnKey(c, 4, kGreetingNonce);
    c.Client(5, pinned);
    c.ExpectErr(6, 1045, "isn't encrypted for this proxy's RSA public key");
    c.ExpectServer(3, "");
  });
}

TEST(UnixSocket, WithoutAKeyOfOurOwnTlsIsAdvised) {
  const Links links = {.unix_server = true, .own_key = false};
  Converse(links, [](Conversation& c) {
    LogInPlain(c, {Scramble()});
    c.Server(2, kFullAuth);
    c.ExpectClient(2, kFullAuth);
    c.Client(3, kCachingSha2KeyRequest);
    c.ExpectErr(4, 1045, "use TLS");
    c.ExpectServer(3, "");
  });
}

}  // namespace
}  // namespace sallyport::tests
