// sha256_password: a client on TLS sends its password at once, in the log-in packet or in answer to
// an AuthSwitchRequest.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"
#include "tests/session/sha2.h"
#include "tests/support/test_certs.h"

namespace sallyport::tests {
namespace {

constexpr uint32_t kOneByteLength = kFlags & ~packet::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
constexpr uint32_t kNulTerminated = kOneByteLength & ~packet::CLIENT_SECURE_CONNECTION;

// The password is in the log-in packet, which goes on with a request for the server's key instead.
void LogInWithPassword(Conversation& c, const Login& login, std::string_view password = kPassword) {
  StartTls(c, {kSha256});
  c.Client(2, login.WithSsl().payload());
  c.ExpectServer(1, login.With(kSha256KeyRequest).payload());
  c.Server(2, MoreData(ServerPublicKeyPem()));
  EXPECT_EQ(ServerDecrypts(c.TakeServer(3), kGreetingNonce), std::string(password) + '\0');
  c.ExpectNothing(Side::kClient);
}

TEST(Sha256, ThePasswordInTheLogInPacketIsMediated) {
  for (const uint32_t flags : {kFlags, kOneByteLength}) {
    Converse({}, [&](Conversation& c) {
      LogInWithPassword(c, {PasswordNul(), kSha256, flags});
      Accept(c, 4, 3);
      EXPECT_TRUE(c.session().summary().mediated);
      Command(c);
      QuitCleanly(c);
    });
  }
}

TEST(Sha256, ThePasswordMayLackItsNul) {
  Converse({}, [](Conversation& c) {
    LogInWithPassword(c, {std::string(kPassword), kSha256});
    Accept(c, 4, 3);
  });
  // The oldest encoding, where the NUL ends the field.
  Converse({}, [](Conversation& c) {
    LogInWithPassword(c, {std::string(kPassword), kSha256, kNulTerminated});
    Accept(c, 4, 3);
  });
}

TEST(Sha256, LongPasswordsPassInEachEncoding) {
  const std::string fits(213, 'p');
  for (const uint32_t flags : {kFlags, kOneByteLength}) {
    Converse({.secret = fits}, [&](Conversation& c) {
      LogInWithPassword(c, {fits + '\0', kSha256, flags}, fits);
      Accept(c, 4, 3);
    });
  }
  const std::string too_long(300, 'p');
  Converse({.secret = too_long}, [&](Conversation& c) {
    StartTls(c);
    c.Client(2, Login{too_long + '\0', kSha256}.payload());
    c.ExpectServer(1, Login{kSha256KeyRequest, kSha256}.payload());
    c.Server(2, MoreData(ServerPublicKeyPem()));
    c.ExpectErr(3, 1045, "too long");
    c.ExpectServer(3, "");
  });
}

TEST(Sha256, ThePasswordInAnswerToAuthSwitchIsMediated) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble()});
    c.Server(2, AuthSwitch(kSha256, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kSha256, kSwitchNonce));
    c.Client(4, PasswordNul());
    ExchangeKey(c, 3, kSwitchNonce, kSha256KeyRequest);
    Accept(c, 6, 5);
    EXPECT_TRUE(c.session().summary().mediated);
  });
}

TEST(Sha256, ThePasswordInAnswerToAuthNextFactorIsMediated) {
  const uint32_t flags = kFlags | packet::MULTI_FACTOR_AUTHENTICATION;
  Converse({}, [&](Conversation& c) {
    LogIn(c, {Scramble(20), kNative, flags}, {.flags = flags});
    c.Server(2, AuthNextFactor(kSha256, kSwitchNonce));
    c.ExpectClient(3, AuthNextFactor(kSha256, kSwitchNonce));
    c.Client(4, PasswordNul());
    ExchangeKey(c, 3, kSwitchNonce, kSha256KeyRequest);
    Accept(c, 6, 5);
  });
}

TEST(Sha256, ASwitchDuringTheMediationRestartsIt) {
  Converse({}, [](Conversation& c) {
    LogInWithPassword(c, {PasswordNul(), kSha256});
    c.Server(4, AuthSwitch(kSha256, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kSha256, kSwitchNonce));
    c.Client(4, PasswordNul());
    ExchangeKey(c, 5, kSwitchNonce, kSha256KeyRequest);
    Accept(c, 8, 5);
  });
  // The server lost its mind over the key request: the password is forgotten.
  Converse({}, [](Conversation& c) {
    StartTls(c);
    c.Client(2, Login{PasswordNul(), kSha256}.payload());
    c.ExpectServer(1, Login{kSha256KeyRequest, kSha256}.payload());
    c.Server(2, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kNative, kSwitchNonce));
    c.Client(4, Scramble(20));
    c.ExpectServer(3, Scramble(20));
    Accept(c, 4, 5);
  });
}

TEST(Sha256, AnEmptyPasswordPasses) {
  for (const std::string& empty : {std::string(), std::string(1, '\0')}) {
    Converse({}, [&](Conversation& c) {
      LogIn(c, {empty, kSha256});
      Accept(c, 2, 3);
    });
    Converse({}, [&](Conversation& c) {
      LogIn(c, {Scramble()});
      c.Server(2, AuthSwitch(kSha256, kSwitchNonce));
      c.ExpectClient(3, AuthSwitch(kSha256, kSwitchNonce));
      c.Client(4, empty);
      c.ExpectServer(3, empty);
      Accept(c, 4, 5);
    });
  }
}

TEST(Sha256, AClientOnTlsMayDoItsOwnRsaExchange) {
  const std::string pem = MoreData(ServerPublicKeyPem());
  Converse({}, [&](Conversation& c) {
    LogIn(c, {kSha256KeyRequest, kSha256});
    c.Server(2, pem);
    c.ExpectClient(3, pem);
    c.Client(4, std::string(256, 'c'));
    c.ExpectServer(3, std::string(256, 'c'));
    Accept(c, 4, 5);
    EXPECT_FALSE(c.session().summary().mediated);
  });
  Converse({}, [&](Conversation& c) {
    LogIn(c, {Scramble()});
    c.Server(2, AuthSwitch(kSha256, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kSha256, kSwitchNonce));
    c.Client(4, kSha256KeyRequest);
    c.ExpectServer(3, kSha256KeyRequest);
    c.Server(4, pem);
    c.ExpectClient(5, pem);
    c.Client(6, std::string(256, 'c'));
    c.ExpectServer(5, std::string(256, 'c'));
    Accept(c, 6, 7);
  });
}

TEST(Sha256, BothOnPlaintextDoTheExchangeThemselves) {
  Converse({}, [](Conversation& c) {
    LogInPlain(c, {kSha256KeyRequest, kSha256});
    c.Server(2, MoreData(ServerPublicKeyPem()));
    c.ExpectClient(2, MoreData(ServerPublicKeyPem()));
    c.Client(3, std::string(256, 'c'));
    c.ExpectServer(3, std::string(256, 'c'));
    Accept(c, 4, 4);
  });
}

TEST(Sha256, AKeyThatIsNoneIsRefused) {
  for (const std::string& pem : {std::string("garbage"), ToPublicPem(TestKeyPem(KeyType::kP256))}) {
    Converse({}, [&](Conversation& c) {
      StartTls(c);
      c.Client(2, Login{PasswordNul(), kSha256}.payload());
      c.ExpectServer(1, Login{kSha256KeyRequest, kSha256}.payload());
      c.Server(2, MoreData(pem));
      c.ExpectErr(3, 1045, "unusable");
      c.ExpectServer(3, "");
      c.Server(4, Err(1045));
      c.ExpectClosed(CloseReason::kPasswordUnusable);
    });
  }
}

// Nobody asks for the password twice, so what comes unasked is no part of the protocol, and stays.
TEST(Sha256, ThePasswordIsNotPassedOnUnasked) {
  Converse({}, [](Conversation& c) {
    LogInWithPassword(c, {PasswordNul(), kSha256});
    c.Client(3, PasswordNul());
    c.ExpectErr(4, 1043, "Bad handshake");
    EXPECT_EQ(c.session().reason(), CloseReason::kBadHandshake);
  });
  Converse({}, [](Conversation& c) {
    LogIn(c, {"", kSha256});
    c.Client(3, PasswordNul());
    c.ExpectErr(4, 1043, "Bad handshake");
  });
  Converse({}, [](Conversation& c) {
    LogIn(c, {"", kSha256});
    c.Server(2, MoreData("tell me"));
    c.ExpectClient(3, MoreData("tell me"));
    c.Client(4, PasswordNul());
    c.ExpectErr(5, 1043, "Bad handshake");
    c.ExpectServer(3, "");
  });
}

}  // namespace
}  // namespace sallyport::tests
