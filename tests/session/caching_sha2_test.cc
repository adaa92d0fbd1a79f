// caching_sha2_password: what the server's cache knows goes fast, what it doesn't know takes the
// password, which a client on TLS sends in clear and a server on plaintext TCP gets RSA-encrypted.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"
#include "tests/session/sha2.h"
#include "tests/support/test_certs.h"

namespace sallyport::tests {
namespace {

const Login kLogin{Scramble()};

TEST(CachingSha2, FastAuthPasses) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFastAuth);
    c.ExpectClient(3, kFastAuth);
    Accept(c, 3, 4);
    QuitCleanly(c);
  });
}

TEST(CachingSha2, FastAuthAndOkMayComeTogether) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.ServerBytes(Packet(2, kFastAuth) + Packet(3, Ok()));
    c.ExpectClient(3, kFastAuth);
    c.ExpectClient(4, Ok());
    Command(c);
  });
}

TEST(CachingSha2, FullAuthIsMediated) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, PasswordNul());
    ExchangeKey(c, 3, kGreetingNonce, kCachingSha2KeyRequest);
    Accept(c, 6, 5);
    EXPECT_TRUE(c.session().summary().mediated);
    Command(c);
    QuitCleanly(c);
  });
}

TEST(CachingSha2, FullAuthWithAWrongPasswordEndsInTheServersErr) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, PasswordNul());
    ExchangeKey(c, 3, kGreetingNonce, kCachingSha2KeyRequest);
    c.Server(6, Err(1045));
    c.ExpectClient(5, Err(1045));
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kLoginFailed);
    EXPECT_EQ(c.session().summary().detail, "1045 Access denied for user");
  });
}

TEST(CachingSha2, FullAuthAfterAuthSwitchUsesItsNonce) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    SwitchAndMediate(c, kSwitchNonce, 2, 3);
    EXPECT_EQ(c.session().summary().plugin, kCachingSha2);
  });
}

TEST(CachingSha2, TheLastOfTwoNoncesCounts) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kNative, kSwitchNonce));
    c.Client(4, Scramble(20));
    c.ExpectServer(3, Scramble(20));
    c.Server(4, AuthSwitch(kCachingSha2, kOtherNonce));
    c.ExpectClient(5, AuthSwitch(kCachingSha2, kOtherNonce));
    c.Client(6, Scramble());
    c.ExpectServer(5, Scramble());
    c.Server(6, kFullAuth);
    c.ExpectClient(7, kFullAuth);
    c.Client(8, PasswordNul());
    ExchangeKey(c, 7, kOtherNonce, kCachingSha2KeyRequest);
    Accept(c, 10, 9);
  });
}

TEST(CachingSha2, FullAuthAsSecondFactorUsesItsNonce) {
  const uint32_t flags = kFlags | packet::MULTI_FACTOR_AUTHENTICATION;
  Converse({}, [&](Conversation& c) {
    LogIn(c, {Scramble(), kCachingSha2, flags}, {.flags = flags});
    c.Server(2, kFastAuth);
    c.ExpectClient(3, kFastAuth);
    c.Server(3, AuthNextFactor(kCachingSha2, kSwitchNonce));
    c.ExpectClient(4, AuthNextFactor(kCachingSha2, kSwitchNonce));
    c.Client(5, Scramble());
    c.ExpectServer(4, Scramble());
    c.Server(5, kFullAuth);
    c.ExpectClient(6, kFullAuth);
    c.Client(7, PasswordNul());
    ExchangeKey(c, 6, kSwitchNonce, kCachingSha2KeyRequest);
    Accept(c, 9, 8);
  });
}

TEST(CachingSha2, AFactorAfterAMediatedOnePasses) {
  const uint32_t flags = kFlags | packet::MULTI_FACTOR_AUTHENTICATION;
  Converse({}, [&](Conversation& c) {
    LogIn(c, {Scramble(), kCachingSha2, flags}, {.flags = flags});
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, PasswordNul());
    ExchangeKey(c, 3, kGreetingNonce, kCachingSha2KeyRequest);
    c.Server(6, AuthNextFactor("authentication_webauthn_client", kSwitchNonce));
    c.ExpectClient(5, AuthNextFactor("authentication_webauthn_client", kSwitchNonce));
    c.Client(6, "signed");
    c.ExpectServer(7, "signed");
    Accept(c, 8, 7);
  });
}

// Without MULTI_FACTOR_AUTHENTICATION on both ends a packet that begins with 02 is plugin data.
// Some drivers take it for a switch, whatever was agreed on.
TEST(CachingSha2, ANextFactorThatNobodyAgreedOnIsPluginDataAndNotForDriversOnTls) {
  for (const std::string_view plugin : {kCachingSha2, kGssapi, kNative}) {
    const std::string factor = AuthNextFactor("sha256_password", kSwitchNonce);
    Converse({}, [&](Conversation& c) {
      LogIn(c, {Scramble(20), plugin});
      c.Server(2, factor);
      c.ExpectErr(3, 2027, "Malformed packet");
      c.ExpectClosed(CloseReason::kServerMalformed);
    });
    Converse({}, [&](Conversation& c) {
      LogInPlain(c, {Scramble(20), plugin});
      c.Server(2, factor);
      c.ExpectClient(2, factor);
    });
  }
}

TEST(CachingSha2, MariaDbOmitsTheMarkOfAuthMoreData) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, "\x04");
    c.ExpectClient(3, "\x04");
    c.Client(4, PasswordNul());
    c.ExpectServer(3, kCachingSha2KeyRequest);
    c.Server(4, ServerPublicKeyPem());
    EXPECT_EQ(ServerDecrypts(c.TakeServer(5), kGreetingNonce), PasswordNul());
    Accept(c, 6, 5);
  });
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, "\x03");
    c.ExpectClient(3, "\x03");
    Accept(c, 3, 4);
  });
}

TEST(CachingSha2, AnEmptyPasswordNeedsNoMediation) {
  for (const std::string& empty : {std::string(), std::string(1, '\0')}) {
    Converse({}, [&](Conversation& c) {
      LogIn(c, {empty});
      Accept(c, 2, 3);
    });
    Converse({}, [&](Conversation& c) {
      LogIn(c, {Scramble(20), kNative});
      c.Server(2, AuthSwitch(kCachingSha2, kSwitchNonce));
      c.ExpectClient(3, AuthSwitch(kCachingSha2, kSwitchNonce));
      c.Client(4, empty);
      c.ExpectServer(3, empty);
      Accept(c, 4, 5);
    });
  }
}

// The server asks although the password is empty: it gets an encrypted NUL.
TEST(CachingSha2, AnEmptyPasswordIsMediatedWhereTheServerAsks) {
  for (const std::string& empty : {std::string(), std::string(1, '\0')}) {
    Converse({}, [&](Conversation& c) {
      LogIn(c, kLogin);
      c.Server(2, kFullAuth);
      c.ExpectClient(3, kFullAuth);
      c.Client(4, empty);
      ExchangeKey(c, 3, kGreetingNonce, kCachingSha2KeyRequest, "");
      Accept(c, 6, 5);
    });
  }
}

TEST(CachingSha2, AClientOnTlsMayDoItsOwnRsaExchange) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, kCachingSha2KeyRequest);
    c.ExpectServer(3, kCachingSha2KeyRequest);
    c.Server(4, MoreData(ServerPublicKeyPem()));
    c.ExpectClient(5, MoreData(ServerPublicKeyPem()));
    const std::string ciphertext = ClientEncrypts(ServerPublicKeyPem(), kPassword, kGreetingNonce);
    c.Client(6, ciphertext);
    c.ExpectServer(5, ciphertext);
    Accept(c, 6, 7);
    EXPECT_FALSE(c.session().summary().mediated);
  });
}

TEST(CachingSha2, BothOnPlaintextDoTheExchangeThemselves) {
  Converse({}, [](Conversation& c) {
    LogInPlain(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(2, kFullAuth);
    c.Client(3, kCachingSha2KeyRequest);
    c.ExpectServer(3, kCachingSha2KeyRequest);
    c.Server(4, MoreData(ServerPublicKeyPem()));
    c.ExpectClient(4, MoreData(ServerPublicKeyPem()));
    c.Client(5, std::string(256, 'c'));
    c.ExpectServer(5, std::string(256, 'c'));
    Accept(c, 6, 6);
  });
}

TEST(CachingSha2, ErrInAnswerToTheKeyRequestIsPassedOn) {
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, PasswordNul());
    c.ExpectServer(3, kCachingSha2KeyRequest);
    c.Server(4, Err(1045));
    c.ExpectClient(5, Err(1045));
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kLoginFailed);
  });
}

void ExpectUnusable(const std::string& pem, const std::string& password, std::string_view why) {
  SCOPED_TRACE(why);
  Converse({.secret = password}, [&](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, password + '\0');
    c.ExpectServer(3, kCachingSha2KeyRequest);
    c.Server(4, MoreData(pem));
    c.ExpectErr(5, 1045, why);
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    // The server still waits for the password: nothing is sent, so that it ends the log-in itself.
    c.ExpectServer(5, "");
    c.Server(6, Err(1045));
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kPasswordUnusable);
  });
}

TEST(CachingSha2, AKeyThatIsNoneIsRefused) {
  const std::string password(kPassword);
  std::string damaged = ServerPublicKeyPem();
  damaged[60] = damaged[60] == 'A' ? 'B' : 'A';
  damaged[90] = '!';
  ExpectUnusable("", password, "unusable");
  ExpectUnusable("garbage", password, "unusable");
  ExpectUnusable(damaged, password, "unusable");
  ExpectUnusable(ServerPublicKeyPem().substr(0, 200), password, "unusable");
  ExpectUnusable(TestKeyPem(KeyType::kRsa2048), password, "unusable");  // A private key.
  ExpectUnusable(ToPublicPem(TestKeyPem(KeyType::kP256)), password, "unusable");
  ExpectUnusable(ToPublicPem(TestKeyPem(KeyType::kRsa512)), password, "unusable");
}

// server_public_key: the one that the operator knows, or none.
TEST(CachingSha2, TheExpectedKeyIsTaken) {
  Converse({.server_key = ServerPublicKeyPem()}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, PasswordNul());
    ExchangeKey(c, 3, kGreetingNonce, kCachingSha2KeyRequest);
    Accept(c, 6, 5);
  });
}

TEST(CachingSha2, AnotherKeyThanTheExpectedGetsNoPassword) {
  const std::string other = ToPublicPem(TestKeyPem(KeyType::kRsa1024));
  Converse({.server_key = other}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, PasswordNul());
    c.ExpectServer(3, kCachingSha2KeyRequest);
    c.Server(4, MoreData(ServerPublicKeyPem()));
    c.ExpectErr(5, 1045, "server_public_key");
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    c.ExpectServer(5, "");
    c.Server(6, Err(1045));
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kServerKeyDiffers);
  });
}

TEST(CachingSha2, PasswordsUpToTheKeysLimitPass) {
  const std::string fits(213, 'p');
  Converse({.secret = fits}, [&](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, fits + '\0');
    ExchangeKey(c, 3, kGreetingNonce, kCachingSha2KeyRequest, fits);
    Accept(c, 6, 5);
  });
  ExpectUnusable(ServerPublicKeyPem(), fits + "p", "too long");
}

// A client that sends its password where a scramble belongs, or unasked, or twice, is stopped.
TEST(CachingSha2, NothingButAScramblePassesUnasked) {
  Converse({}, [](Conversation& c) {
    StartTls(c);
    c.Client(2, Login{PasswordNul()}.payload());
    c.ExpectErr(3, 1043, "no scramble");
    c.ExpectThrowaway();
  });
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Client(3, PasswordNul());
    c.ExpectErr(4, 1043, "no scramble");
  });
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble(20), kNative});
    c.Server(2, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kCachingSha2, kSwitchNonce));
    c.Client(4, PasswordNul());
    c.ExpectErr(5, 1043, "no scramble");
    c.ExpectServer(3, "");
    c.Server(4, Err(1045));
    c.ExpectClosed(CloseReason::kBadHandshake);
  });
  Converse({}, [](Conversation& c) {  // The server says OK next, so it wants no answer of ours.
    LogIn(c, kLogin);
    c.Server(2, kFastAuth);
    c.ExpectClient(3, kFastAuth);
    c.Client(4, PasswordNul());
    c.ExpectErr(5, 1043, "no scramble");
    c.ExpectNothing(Side::kServer);
    c.Server(3, Ok());
    c.ExpectClosed(CloseReason::kBadHandshake);
  });
  Converse({}, [](Conversation& c) {
    LogIn(c, kLogin);
    c.Server(2, kFullAuth);
    c.ExpectClient(3, kFullAuth);
    c.Client(4, PasswordNul());
    c.Client(5, PasswordNul());
    c.ExpectErr(6, 1043, "public key is awaited");
    c.ExpectServer(3, kCachingSha2KeyRequest);
  });
}

}  // namespace
}  // namespace sallyport::tests
