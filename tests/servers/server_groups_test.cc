#include "proxy/servers/server_groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "packet/capabilities.h"

namespace sallyport {
namespace {

constexpr uint32_t kNeeded =
    packet::CLIENT_PROTOCOL_41 | packet::CLIENT_SECURE_CONNECTION | packet::CLIENT_PLUGIN_AUTH;

TEST(SniGroups, NumbersNamesInTheOrderOfTheirFirst) {
  SniGroups groups;
  EXPECT_EQ(groups.Find("a.example.com"), 0);
  EXPECT_EQ(groups.Add("a.example.com"), 1);
  EXPECT_EQ(groups.Add("*.example.com"), 2);
  EXPECT_EQ(groups.Add("A.Example.com."), 1);
  EXPECT_EQ(groups.count(), 2u);
  EXPECT_EQ(groups.Find("a.example.com"), 1);
  EXPECT_EQ(groups.Find("A.EXAMPLE.COM."), 1);
  EXPECT_EQ(groups.Find("b.example.com"), 2);
  EXPECT_EQ(groups.Find("c.b.example.com"), 0) << "a wildcard is one label";
  EXPECT_EQ(groups.Find("example.com"), 0);
  EXPECT_EQ(groups.Find("*.example.com"), 2) << "no client asks for that";
  EXPECT_EQ(groups.Find(""), 0);
}

ServerAddress Server() {
  ServerAddress server;
  server.state = std::make_shared<ServerState>("server");
  return server;
}

GreetingTraits Traits(const std::string& version, uint32_t flags, uint32_t extended = 0) {
  return {version, "plugin", kNeeded | flags, extended, 2, 8};
}

TEST(CommonTraits, AreTheFirstsWordsWithTheFlagsOfAll) {
  std::vector<ServerAddress> servers = {Server(), Server(), Server()};
  GreetingTraits traits;
  EXPECT_FALSE(CommonTraits(servers, &traits));
  servers[1].state->greeting().Learn(Traits("b", 0x7, 0x6));
  ASSERT_TRUE(CommonTraits(servers, &traits));
  EXPECT_EQ(traits, Traits("b", 0x7, 0x6));
  servers[2].state->greeting().Learn(Traits("c", 0xE, 0x3));
  ASSERT_TRUE(CommonTraits(servers, &traits));
  EXPECT_EQ(traits, Traits("b", 0x6, 0x2));
  servers[0].state->greeting().Learn(Traits("a", 0x3, 0x2));
  ASSERT_TRUE(CommonTraits(servers, &traits));
  EXPECT_EQ(traits, Traits("a", 0x2, 0x2));
  servers[0].state->greeting().Learn(Traits("a", 0x7, 0x2));  // It was upgraded.
  ASSERT_TRUE(CommonTraits(servers, &traits));
  EXPECT_EQ(traits.capability_flags, kNeeded | 0x6);
}

TEST(CommonTraits, LeaveOutWhatCanNotBeSaidAgain) {
  const std::vector<ServerAddress> servers = {Server()};
  GreetingTraits traits;
  GreetingTraits old = Traits("4.1", 0);
  old.capability_flags &= ~packet::CLIENT_PLUGIN_AUTH;
  for (const GreetingTraits& useless : {old, Traits(std::string(129, 'x'), 0)}) {
    EXPECT_FALSE(servers[0].state->greeting().known() && CommonTraits(servers, &traits));
    servers[0].state->greeting().Learn(useless);
    EXPECT_TRUE(servers[0].state->greeting().known());
    EXPECT_FALSE(CommonTraits(servers, &traits));
  }
}

TEST(MakeGreeting, HasANonceAndAThreadOfItsOwn) {
  const GreetingTraits traits = Traits("9.7", 0x7);
  std::set<packet::Nonce> nonces;
  std::set<uint32_t> threads;
  for (uint64_t worker = 0; worker < 2; ++worker) {
    for (uint64_t id = 1; id <= 500; ++id) {
      const packet::Greeting greeting = MakeGreeting(traits, worker << 48 | id);
      EXPECT_EQ(greeting.server_version, "9.7");
      EXPECT_EQ(greeting.auth_plugin_name, "plugin");
      EXPECT_GE(greeting.thread_id, 1u << 31);
      EXPECT_TRUE(threads.insert(greeting.thread_id).second);
      EXPECT_TRUE(nonces.insert(greeting.nonce).second);
      EXPECT_TRUE(std::all_of(greeting.nonce.begin(), greeting.nonce.end(),
                              [](uint8_t c) { return c > 0 && c < 0x80 && c != '$'; }));
    }
  }
}

}  // namespace
}  // namespace sallyport
