// Parsers on bytes that nobody meant: they read nothing outside, and what they return lies inside.
// Inputs are heap blocks of their exact size, so AddressSanitizer sees what these tests can't.
#include <gtest/gtest.h>

#include "packet/asking_plugin.h"
#include "packet/assembler.h"
#include "packet/auth.h"
#include "packet/capabilities.h"
#include "packet/change_user.h"
#include "packet/command_watch.h"
#include "packet/error_packet.h"
#include "packet/greeting.h"
#include "packet/handshake_response.h"
#include "tests/packet/bytes.h"
#include "tests/packet/real_packets.h"

namespace sallyport::packet {
namespace {

void CheckGreeting(Bytes payload) {
  Greeting greeting;
  if (ParseGreeting(payload, &greeting) != Parse::kOk) {
    return;
  }
  EXPECT_TRUE(Within(greeting.server_version, payload));
  EXPECT_TRUE(Within(greeting.auth_plugin_name, payload));
  Buffer copy = Exact(payload);
  SetClientSsl(copy, true);
  SetClientSsl(copy, false);
  ASSERT_EQ(ParseGreeting(copy, &greeting), Parse::kOk);
  const uint32_t needed = CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH;
  if ((greeting.capability_flags & needed) != needed ||
      greeting.server_version.size() > kGreetingTextMax ||
      greeting.auth_plugin_name.size() > kGreetingTextMax) {
    return;
  }
  Buffer written(kGreetingSizeMax);
  written.resize(WriteGreeting(greeting, written));
  Greeting again;
  ASSERT_EQ(ParseGreeting(written, &again), Parse::kOk);
  EXPECT_EQ(again.server_version, greeting.server_version);
  EXPECT_EQ(again.capability_flags, greeting.capability_flags);
  EXPECT_EQ(again.extended_flags, greeting.extended_flags);
  EXPECT_EQ(again.auth_plugin_name, greeting.auth_plugin_name);
  EXPECT_EQ(again.nonce, greeting.nonce);
}

void CheckHandshakeResponse(Bytes payload) {
  ClassifyClientReply(payload);
  HandshakeResponse response;
  if (ParseHandshakeResponse(payload, &response) != Parse::kOk) {
    return;
  }
  EXPECT_TRUE(Within(response.username, payload));
  EXPECT_TRUE(Within(response.auth_response, payload));
  EXPECT_TRUE(Within(response.database, payload));
  EXPECT_TRUE(Within(response.auth_plugin_name, payload));
  EXPECT_LT(response.auth_response_field_begin, response.auth_response_field_end);
  EXPECT_LE(response.auth_response_field_end, payload.size());
  Buffer out(payload.size() + 20 + 9);
  const size_t size = ReplaceAuthResponse(payload, response, Buffer(20, 'x'), out);
  ASSERT_GT(size, 0u);
  const Buffer exact = Exact(Bytes(out).first(size));
  HandshakeResponse after;
  ASSERT_EQ(ParseHandshakeResponse(exact, &after), Parse::kOk);
  EXPECT_EQ(Exact(after.auth_response), Buffer(20, 'x'));
  EXPECT_EQ(after.database, response.database);
  EXPECT_EQ(after.auth_plugin_name, response.auth_plugin_name);
  if ((response.capability_flags & CLIENT_PLUGIN_AUTH) == 0) {
    return;
  }
  Buffer asking(payload.size() + kAskingPluginRoom);
  asking.resize(WriteAskingLogin(payload, response, asking));
  ASSERT_EQ(ParseHandshakeResponse(asking, &after), Parse::kOk);
  EXPECT_TRUE(after.auth_response.empty());
  EXPECT_EQ(after.username, response.username);
  EXPECT_EQ(after.database, response.database);
  EXPECT_EQ(after.auth_plugin_name, kAskingPlugin);
  ClearFlags(asking, UINT32_MAX, UINT32_MAX);
}

void CheckChangeUser(Bytes payload, uint32_t flags) {
  ChangeUser change_user;
  if (ParseChangeUser(payload, flags, &change_user) != Parse::kOk) {
    return;
  }
  EXPECT_TRUE(Within(change_user.username, payload));
  EXPECT_TRUE(Within(change_user.auth_response, payload));
  EXPECT_TRUE(Within(change_user.database, payload));
  EXPECT_TRUE(Within(change_user.auth_plugin_name, payload));
  EXPECT_LT(change_user.auth_response_field_begin, change_user.auth_response_field_end);
  EXPECT_LT(change_user.auth_response_field_end, payload.size());
  Buffer out(payload.size() + 20 + 9);
  EXPECT_GT(ReplaceAuthResponse(payload, flags, change_user, Buffer(20, 'x'), out), 0u);
  if (change_user.auth_plugin_name_begin == 0) {
    return;
  }
  Buffer asking(payload.size() + kAskingPluginRoom);
  asking.resize(WriteAskingChangeUser(payload, change_user, asking));
  ChangeUser after;
  ASSERT_EQ(ParseChangeUser(asking, flags, &after), Parse::kOk);
  EXPECT_TRUE(after.auth_response.empty());
  EXPECT_EQ(after.username, change_user.username);
  EXPECT_EQ(after.database, change_user.database);
  EXPECT_EQ(after.auth_plugin_name, kAskingPlugin);
}

void CheckServerPackets(Bytes payload) {
  ClassifyAuthPacket(payload, true);
  EXPECT_TRUE(Within(PluginData(payload), payload));
  AuthSwitch auth_switch;
  if (ParseAuthSwitch(payload, &auth_switch) == Parse::kOk) {
    EXPECT_TRUE(Within(auth_switch.auth_plugin_name, payload));
    EXPECT_TRUE(Within(auth_switch.auth_plugin_data, payload));
    Nonce nonce;
    ReadNonce(auth_switch.auth_plugin_data, &nonce);
  }
  Error error;
  if (ParseErrorPacket(payload, &error) == Parse::kOk) {
    EXPECT_TRUE(Within(error.sqlstate, payload));
    EXPECT_TRUE(Within(error.message, payload));
  }
}

void CheckAll(const Buffer& payload, uint32_t flags) {
  CheckGreeting(payload);
  CheckHandshakeResponse(payload);
  CheckChangeUser(payload, flags);
  CheckServerPackets(payload);
}

TEST(RandomInput, OfNoiseLeadsNowhereOutside) {
  Random random(1);
  for (int round = 0; round < 20000; ++round) {
    CheckAll(random.Some(random.UpTo(100)), static_cast<uint32_t>(random.UpTo(UINT32_MAX)));
  }
}

TEST(RandomInput, OfRealPacketsWithSomeBytesChangedLeadsNowhereOutside) {
  Random random(2);
  for (const std::string_view hex :
       {kMariaDbGreeting, kMySqlGreeting, kMariaDbResponseWithDatabase, kMySqlResponseWithDatabase,
        kMariaDbResponse, kMySqlResponse, kMysqlndResponse, kMysqlndChangeUser, kMariaDbAuthSwitch,
        kMySqlAuthSwitch, kMariaDbError, kMariaDbOk}) {
    const Buffer real = HexPayload(hex);
    for (int round = 0; round < 3000; ++round) {
      Buffer payload = real;
      for (size_t n = random.UpTo(4); n > 0; --n) {
        payload[random.UpTo(payload.size() - 1)] = random.UpTo(2) == 0   ? uint8_t{0}
                                                   : random.UpTo(1) == 0 ? uint8_t{0xFC}
                                                                         : random.Byte();
      }
      if (random.UpTo(2) == 0) {
        payload = Exact(Bytes(payload).first(random.UpTo(payload.size())));
      }
      CheckAll(payload, static_cast<uint32_t>(random.UpTo(UINT32_MAX)));
    }
  }
}

// Noise as a stream: headers announce anything. Assembler and CommandWatch lose no byte of it.
TEST(RandomInput, AsAStreamLosesNoByte) {
  Random random(3);
  for (int round = 0; round < 3000; ++round) {
    CommandWatch watch;
    Assembler assembler(300);
    size_t given = 0;
    size_t seen_bytes = 0;
    bool assembling = true;
    for (int i = 0; i < 30; ++i) {
      Buffer bytes = random.Some(random.UpTo(40));
      for (uint8_t& byte : bytes) {
        byte = random.UpTo(1) == 0 ? uint8_t{0} : static_cast<uint8_t>(byte % 20);
      }
      given += bytes.size();
      const CommandWatch::Seen seen = watch.Scan(bytes);
      seen_bytes += seen.released_size + seen.pass;
      if (seen.change_user) {
        given -= bytes.size() - seen.pass + watch.held().size();
        watch.ForgetHeld();
      }
      EXPECT_EQ(given, seen_bytes + watch.held().size());
      MutableBytes in(bytes);
      MutableBytes packet;
      for (Assembler::Result result = Assembler::Result::kPacket;
           assembling && result == Assembler::Result::kPacket;) {
        result = assembler.Next(&in, &packet);
        assembling = result != Assembler::Result::kTooLong;
        if (result == Assembler::Result::kPacket) {
          EXPECT_EQ(packet.size(), kHeaderSize + assembler.header().payload_length);
        }
      }
    }
  }
}

}  // namespace
}  // namespace sallyport::packet
