// Plugins that send a secret in clear by design: to a unix socket, or where the operator said so.
#include <gtest/gtest.h>

#include "tests/session/conversation.h"
#include "tests/session/sha2.h"

namespace sallyport::tests {
namespace {

constexpr std::string_view kPlugins[] = {"mysql_clear_password", "dialog",
                                         "authentication_openid_connect_client",
                                         "a_plugin_of_somebody"};

TEST(Cleartext, ASecretInTheLogInPacketIsRefused) {
  for (const std::string_view plugin : kPlugins) {
    Converse({}, [&](Conversation& c) {
      StartTls(c);
      c.Client(2, Login{PasswordNul(), plugin}.payload());
      c.ExpectErr(3, 1045, "allow_cleartext_password");
      c.ExpectCloseNotify();
      c.ExpectEnd(Side::kClient);
      c.ExpectThrowaway();
      c.Server(2, Err(1045));
      c.ExpectClosed(CloseReason::kSecretRefused);
      EXPECT_NE(c.session().summary().detail.find(plugin), std::string::npos);
    });
  }
}

TEST(Cleartext, TheServersSwitchToSuchAPluginIsRefusedBeforeTheClientAnswers) {
  for (const std::string_view plugin : kPlugins) {
    Converse({}, [&](Conversation& c) {
      LogIn(c, {Scramble()});
      c.Server(2, AuthSwitch(plugin, ""));
      c.ExpectErr(3, 1045, "allow_cleartext_password");
      c.ExpectEnd(Side::kClient);
      c.ExpectServer(3, "");
      c.Server(4, Err(1045));
      c.ExpectClosed(CloseReason::kSecretRefused);
    });
  }
}

TEST(Cleartext, AsASecondFactorItIsRefusedToo) {
  const uint32_t flags = kFlags | packet::MULTI_FACTOR_AUTHENTICATION;
  Converse({}, [&](Conversation& c) {
    LogIn(c, {Scramble(), kCachingSha2, flags}, {.flags = flags});
    c.Server(2, AuthNextFactor("mysql_clear_password", ""));
    c.ExpectErr(3, 1045, "allow_cleartext_password");
    c.ExpectServer(3, "");
  });
}

// Without a secret in it the log-in packet passes, and the server may ask for a better plugin.
TEST(Cleartext, AnEmptyLogInUnderSuchAPluginMaySwitch) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {"", "mysql_clear_password"});
    c.Server(2, AuthSwitch(kNative, kSwitchNonce));
    c.ExpectClient(3, AuthSwitch(kNative, kSwitchNonce));
    c.Client(4, Scramble(20));
    c.ExpectServer(3, Scramble(20));
    Accept(c, 4, 5);
  });
  Converse({}, [](Conversation& c) {
    LogIn(c, {"", "mysql_clear_password"});
    c.Client(3, PasswordNul());
    c.ExpectErr(4, 1045, "allow_cleartext_password");
  });
}

TEST(Cleartext, TheOptionAllowsIt) {
  for (const std::string_view plugin : kPlugins) {
    Converse({.allow_cleartext_password = true}, [&](Conversation& c) {
      LogIn(c, {PasswordNul(), plugin});
      Accept(c, 2, 3);
    });
    Converse({.allow_cleartext_password = true}, [&](Conversation& c) {
      LogIn(c, {Scramble()});
      c.Server(2, AuthSwitch(plugin, ""));
      c.ExpectClient(3, AuthSwitch(plugin, ""));
      c.Client(4, PasswordNul());
      c.ExpectServer(3, PasswordNul());
      Accept(c, 4, 5);
    });
  }
}

// PAM asks as often as it likes.
TEST(Cleartext, ADialogOnAUnixSocket) {
  Converse({.unix_server = true}, [](Conversation& c) {
    LogIn(c, {Scramble()});
    c.Server(2, AuthSwitch("dialog", "\x04Password: "));
    c.ExpectClient(3, AuthSwitch("dialog", "\x04Password: "));
    c.Client(4, PasswordNul());
    c.ExpectServer(3, PasswordNul());
    c.Server(4, MoreData("\x05One-time code: "));
    c.ExpectClient(5, MoreData("\x05One-time code: "));
    c.Client(6, "123456");
    c.ExpectServer(5, "123456");
    Accept(c, 6, 7);
  });
}

TEST(Cleartext, AUnixSocketAllowsIt) {
  for (const std::string_view plugin : kPlugins) {
    Converse({.unix_server = true}, [&](Conversation& c) {
      LogIn(c, {PasswordNul(), plugin});
      Accept(c, 2, 3);
    });
  }
}

// A client without TLS sends no less in clear on the server's side of the proxy, so the rule holds.
// Of an unknown plugin such a client itself decided what it says in clear.
TEST(Cleartext, WithoutTls) {
  Converse({}, [](Conversation& c) {
    Greet(c);
    c.Client(1, Login{PasswordNul(), "mysql_clear_password"}.payload());
    c.ExpectErr(2, 1045, "allow_cleartext_password");
    c.ExpectThrowaway();
  });
  Converse({}, [](Conversation& c) {
    LogInPlain(c, {"a token", "a_plugin_of_somebody"});
    Accept(c, 2, 2);
  });
}

TEST(Cleartext, AnOddPluginNameIsShownHarmless) {
  Converse({}, [](Conversation& c) {
    LogIn(c, {Scramble()});
    c.Server(2, AuthSwitch("p\x1B[2J\n" + std::string(5000, 'p'), ""));
    c.ExpectErr(3, 1045, "allow_cleartext_password");
    EXPECT_EQ(c.session().summary().detail.find('\n'), std::string::npos);
    EXPECT_EQ(c.session().summary().plugin.size(), 64u);
    c.ExpectServer(3, "");
  });
}

}  // namespace
}  // namespace sallyport::tests
