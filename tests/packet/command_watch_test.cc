#include "packet/command_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/packet/bytes.h"
#include "tests/packet/real_packets.h"

namespace sallyport::packet {
namespace {

constexpr std::string_view kQuery = "\x03select 1";
constexpr std::string_view kChangeUser = "\x11user";

// Caller does with a watch what it is made for: it passes bytes on to a server and takes each
// COM_CHANGE_USER whole out of the stream.
class Caller {
 public:
  // Give hands over the next bytes, in a buffer of their own.
  void Give(Bytes bytes) {
    const Buffer exact = Exact(bytes);
    Bytes rest = exact;
    while (!rest.empty()) {
      rest = taking_ ? Take(rest) : Scan(rest);
    }
  }

  Buffer server;              // What went on to the server.
  std::vector<Buffer> taken;  // The COM_CHANGE_USER packets.
  size_t held() const { return watch_.held().size(); }

 private:
  Bytes Scan(Bytes bytes) {
    const size_t held_before = watch_.held().size();
    const CommandWatch::Seen seen = watch_.Scan(bytes);
    EXPECT_LE(seen.pass, bytes.size());
    EXPECT_LE(watch_.held().size(), kHeaderSize);
    EXPECT_TRUE(seen.released_size == 0 || seen.released_size == held_before);
    Append(Bytes(seen.released).first(seen.released_size), &server);
    Append(bytes.first(seen.pass), &server);
    if (!seen.change_user) {
      // Nothing is lost: what didn't pass is held.
      const size_t kept = held_before - seen.released_size + bytes.size() - seen.pass;
      EXPECT_EQ(watch_.held().size(), kept);
      return {};
    }
    EXPECT_TRUE(watch_.held().empty() || seen.pass == 0);
    Append(watch_.held(), &packet_);
    watch_.ForgetHeld();
    EXPECT_TRUE(watch_.held().empty());
    taking_ = true;
    return bytes.subspan(seen.pass);
  }

  Bytes Take(Bytes bytes) {
    while (!bytes.empty()) {
      packet_.push_back(bytes[0]);
      bytes = bytes.subspan(1);
      Header header;
      if (ReadHeader(packet_, &header) == Parse::kOk &&
          packet_.size() == kHeaderSize + header.payload_length) {
        taken.push_back(packet_);
        packet_.clear();
        taking_ = false;
        break;
      }
    }
    return bytes;
  }

  static void Append(Bytes bytes, Buffer* to) { to->insert(to->end(), bytes.begin(), bytes.end()); }

  CommandWatch watch_;
  bool taking_ = false;
  Buffer packet_;
};

// A stream as it was made: the packets, and which of them are COM_CHANGE_USER.
struct Script {
  Buffer stream;
  Buffer server;
  std::vector<Buffer> taken;

  void Relayed(const Buffer& packet) {
    stream.insert(stream.end(), packet.begin(), packet.end());
    server.insert(server.end(), packet.begin(), packet.end());
  }
  void Taken(const Buffer& packet) {
    stream.insert(stream.end(), packet.begin(), packet.end());
    taken.push_back(packet);
  }
};

void ExpectSeen(const Script& script, const Caller& caller) {
  EXPECT_TRUE(caller.server == script.server);
  EXPECT_EQ(caller.taken, script.taken);
  EXPECT_EQ(caller.held(), 0u);
}

// Small scripts are given whole, byte by byte, in all pieces of one size, and cut in two anywhere.
void ExpectSeenHoweverCut(const Script& script) {
  const Bytes stream = script.stream;
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    Caller caller;
    for (size_t at = 0; at < stream.size(); at += piece) {
      caller.Give(stream.subspan(at, std::min(piece, stream.size() - at)));
    }
    ExpectSeen(script, caller);
    Caller in_two;
    in_two.Give(stream.first(piece));
    in_two.Give(stream.subspan(piece));
    ExpectSeen(script, in_two);
  }
}

TEST(CommandWatch, PassesCommandsThatAreNoChangeUser) {
  Script script;
  script.Relayed(Packet(0, kQuery));
  script.Relayed(Packet(0, "\x01"));
  script.Relayed(Packet(0, ""));  // No command byte at all: nothing to wait for.
  script.Relayed(Packet(0, "\x03\x11"));
  script.Relayed(Packet(0, "\x0e"));
  ExpectSeenHoweverCut(script);
}

TEST(CommandWatch, TakesChangeUserFromAmongPipelinedCommands) {
  Script script;
  script.Taken(Packet(0, kChangeUser));
  script.Relayed(Packet(0, kQuery));
  script.Taken(Packet(0, "\x11"));
  script.Taken(Packet(0, kChangeUser));
  script.Relayed(Packet(0, ""));
  script.Relayed(Packet(0, kQuery));
  script.Taken(Hex(kMysqlndChangeUser));
  script.Relayed(Packet(0, "\x01"));
  ExpectSeenHoweverCut(script);
}

TEST(CommandWatch, LooksAtNoByteOfAPayloadButTheFirst) {
  Script script;
  script.Relayed(Packet(0, Join({AsBytes(kQuery), Packet(0, kChangeUser)})));
  script.Taken(Packet(0, Join({AsBytes(kChangeUser), Packet(0, kQuery)})));
  script.Relayed(Packet(0, kQuery));
  ExpectSeenHoweverCut(script);
}

TEST(CommandWatch, PassesALocalInfileThatLooksLikeChangeUser) {
  Script script;
  script.Relayed(Packet(0, "\x03load data local infile"));
  script.Relayed(Packet(2, kChangeUser));
  script.Relayed(Packet(3, "\x11"));
  script.Relayed(Packet(4, Packet(0, kChangeUser)));
  script.Relayed(Packet(5, ""));
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenHoweverCut(script);
}

TEST(CommandWatch, IsAtACommandAgainBehindAnEmptyLocalInfile) {
  Script script;
  script.Relayed(Packet(0, "\x03load data local infile"));
  script.Relayed(Packet(2, ""));
  script.Taken(Packet(0, kChangeUser));
  script.Relayed(Packet(0, "\x03load data local infile"));
  script.Relayed(Packet(5, ""));  // Behind other results of a multi-statement.
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenHoweverCut(script);
}

TEST(CommandWatch, FollowsALocalInfileThroughTheWrapOfSequenceIds) {
  Script script;
  script.Relayed(Packet(0, "\x03load data local infile"));
  uint8_t sequence_id = 2;
  for (int i = 0; i < 600; ++i) {
    script.Relayed(Packet(sequence_id++, kChangeUser));
  }
  script.Relayed(Packet(sequence_id, ""));
  script.Taken(Packet(0, kChangeUser));
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{7}, script.stream.size()}) {
    Caller caller;
    for (size_t at = 0; at < script.stream.size(); at += piece) {
      caller.Give(Bytes(script.stream).subspan(at, std::min(piece, script.stream.size() - at)));
    }
    ExpectSeen(script, caller);
  }
}

// The file's end falls on sequence_id 0, where an impatient reader would see a command end.
TEST(CommandWatch, KnowsAnEmptyPacketWithSequenceIdZeroForTheFilesEnd) {
  Script script;
  script.Relayed(Packet(0, "\x03load data local infile"));
  script.Relayed(Packet(254, "data"));
  script.Relayed(Packet(255, "data"));
  script.Relayed(Packet(0, ""));
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenHoweverCut(script);
}

// A server would have cut such a client off. A watch that waited for the file's end would miss what
// a server that didn't takes for a command.
TEST(CommandWatch, TakesASequenceIdOutOfTurnForACommand) {
  Script script;
  script.Relayed(Packet(2, "data"));
  script.Relayed(Packet(3, "data"));
  script.Taken(Packet(0, kChangeUser));
  script.Relayed(Packet(9, "data"));
  script.Relayed(Packet(7, "data"));
  script.Relayed(Packet(8, "data"));
  script.Relayed(Packet(8, ""));
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenHoweverCut(script);
}

TEST(CommandWatch, HoldsAtMostAHeaderUntilItsCommandByte) {
  const Buffer packet = Packet(0, kChangeUser);
  CommandWatch watch;
  for (size_t i = 0; i < kHeaderSize; ++i) {
    const Buffer byte = {packet[i]};
    const CommandWatch::Seen seen = watch.Scan(byte);
    EXPECT_EQ(seen.pass, 0u);
    EXPECT_EQ(seen.released_size, 0u);
    EXPECT_FALSE(seen.change_user);
    EXPECT_EQ(Exact(watch.held()), Exact(Bytes(packet).first(i + 1)));
  }
  EXPECT_FALSE(watch.Scan({}).change_user);
  const Buffer rest = Exact(Bytes(packet).subspan(kHeaderSize));
  const CommandWatch::Seen seen = watch.Scan(rest);
  EXPECT_TRUE(seen.change_user);
  EXPECT_EQ(seen.pass, 0u);
  EXPECT_EQ(seen.released_size, 0u);
  EXPECT_EQ(Exact(watch.held()), Hex("05 00 00 00"));
}

TEST(CommandWatch, HoldsNoHeaderThatIsWholeAndBeginsNoCommand) {
  CommandWatch watch;
  EXPECT_EQ(watch.Scan(Hex("00 00 00 00")).pass, 4u);
  EXPECT_EQ(watch.Scan(Hex("05 00 00 02")).pass, 4u);
  EXPECT_TRUE(watch.held().empty());
  EXPECT_EQ(watch.Scan(Hex("11 11 11 11 11 00 00 00 03")).pass, 9u);
  EXPECT_EQ(watch.Scan(Hex("05 00 00 00")).pass, 0u);
  EXPECT_EQ(watch.held().size(), 4u);
  const CommandWatch::Seen seen = watch.Scan(Hex("03"));
  EXPECT_EQ(seen.released_size, 4u);
  EXPECT_EQ(Exact(seen.released), Hex("05 00 00 00"));
  EXPECT_EQ(seen.pass, 1u);
}

TEST(CommandWatch, SaysWhereChangeUserBeginsBehindWhatMayPass) {
  const Buffer query = Packet(0, kQuery);
  const Buffer bytes = Join({query, Packet(0, kChangeUser)});
  CommandWatch watch;
  const CommandWatch::Seen seen = watch.Scan(bytes);
  EXPECT_TRUE(seen.change_user);
  EXPECT_EQ(seen.pass, query.size());
  EXPECT_TRUE(watch.held().empty());
}

TEST(CommandWatchDeathTest, WantsItsHeldBytesTakenWithAChangeUser) {
  CommandWatch watch;
  watch.Scan(Hex("05 00"));
  EXPECT_TRUE(watch.Scan(Hex("00 00 11")).change_user);
  EXPECT_DEATH(watch.Scan(Hex("11")), "check failed");
}

// Payloads of 2^24-1 bytes: filled with 11, so that a watch that lost its place would see commands.
class LargePayloads : public testing::Test {
 protected:
  static constexpr uint8_t kFill = 0x11;

  LargePayloads() : full_(kPayloadLengthMax, kFill) {}

  // A command or file chunk of 2^24-1 bytes and its continuations, the last of `last` bytes.
  void Large(Script* script, uint8_t sequence_id, uint8_t first_byte, int full, size_t last) {
    full_[0] = first_byte;
    for (int i = 0; i < full; ++i) {
      script->Relayed(Packet(sequence_id++, full_));
      full_[0] = kFill;
    }
    script->Relayed(Packet(sequence_id, Buffer(last, kFill)));
  }

  // Pieces of 64 KiB less some, and single bytes around each header.
  static void ExpectSeenInPieces(const Script& script) {
    for (const size_t piece : {size_t{65521}, script.stream.size()}) {
      Caller caller;
      for (size_t at = 0; at < script.stream.size(); at += piece) {
        caller.Give(Bytes(script.stream).subspan(at, std::min(piece, script.stream.size() - at)));
      }
      ExpectSeen(script, caller);
    }
    Caller caller;
    Bytes rest = script.stream;
    while (!rest.empty()) {
      for (int i = 0; i < 8 && !rest.empty(); ++i) {
        caller.Give(rest.first(1));
        rest = rest.subspan(1);
      }
      const Bytes bulk = rest.first(std::min<size_t>(rest.size(), kPayloadLengthMax - 7));
      caller.Give(bulk);
      rest = rest.subspan(bulk.size());
    }
    ExpectSeen(script, caller);
  }

  Buffer full_;
};

TEST_F(LargePayloads, ContinueInThePacketBehindEvenWhenThatIsEmpty) {
  Script script;
  Large(&script, 0, 0x03, 1, 0);
  script.Taken(Packet(0, kChangeUser));
  Large(&script, 0, 0x03, 1, 5);
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenInPieces(script);
}

TEST_F(LargePayloads, ContinueMoreThanOnce) {
  Script script;
  Large(&script, 0, 0x03, 2, 1);
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenInPieces(script);
}

TEST_F(LargePayloads, OfLocalInfileDoNotEndTheFileWithTheirEmptyLastPacket) {
  Script script;
  script.Relayed(Packet(0, "\x03load data local infile"));
  Large(&script, 2, kFill, 1, 0);  // A chunk of exactly 2^24-1 bytes: packets 2 and 3.
  script.Relayed(Packet(4, kChangeUser));
  script.Relayed(Packet(5, ""));
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenInPieces(script);
}

TEST_F(LargePayloads, OfLocalInfileWrapTheirSequenceIdsToo) {
  Script script;
  script.Relayed(Packet(0, "\x03load data local infile"));
  script.Relayed(Packet(254, kChangeUser));
  Large(&script, 255, kFill, 1, 3);  // Its continuation has sequence_id 0.
  script.Relayed(Packet(1, kChangeUser));
  script.Relayed(Packet(2, ""));
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenInPieces(script);
}

// The one place where only the state tells: what follows has sequence_id 0 and is still data.
TEST_F(LargePayloads, OfLocalInfileLeadBackToTheFileWhereSequenceIdsWrap) {
  Script script;
  script.Relayed(Packet(0, "\x03load data local infile"));
  Large(&script, 254, kFill, 1, 0);
  script.Relayed(Packet(0, kChangeUser));
  script.Relayed(Packet(1, ""));
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenInPieces(script);
}

TEST_F(LargePayloads, DoNotContinueOneByteBelow) {
  Script script;
  script.Relayed(Packet(0, Buffer(kPayloadLengthMax - 1, 0x03)));
  script.Taken(Packet(0, kChangeUser));
  ExpectSeenInPieces(script);
}

TEST_F(LargePayloads, OfChangeUserAreCalledChangeUser) {
  const Buffer packet = Packet(0, full_);
  CommandWatch watch;
  EXPECT_TRUE(watch.Scan(packet).change_user);
}

TEST(CommandWatch, SeesRandomConversationsRightInRandomPieces) {
  Random random(424242);
  for (int round = 0; round < 2000; ++round) {
    Script script;
    for (size_t n = random.UpTo(12); n > 0; --n) {
      Buffer payload = random.Some(random.UpTo(20));
      const size_t kind = random.UpTo(3);
      if (kind == 0) {
        payload.insert(payload.begin(), 0x11);
        script.Taken(Packet(0, payload));
      } else if (kind == 1) {
        uint8_t sequence_id = static_cast<uint8_t>(1 + random.UpTo(254));
        for (size_t chunks = random.UpTo(5); chunks > 0; --chunks) {
          script.Relayed(Packet(sequence_id++, random.Some(1 + random.UpTo(20))));
        }
        script.Relayed(Packet(sequence_id, ""));
        if (sequence_id == 0 && random.UpTo(1) == 0) {
          script.Relayed(Packet(0, "\x0e"));
        }
      } else {
        payload.insert(payload.begin(), static_cast<uint8_t>(0x12 + random.UpTo(12)));
        script.Relayed(Packet(0, payload));
      }
    }
    Caller caller;
    for (Bytes rest = script.stream; !rest.empty();) {
      const size_t piece = std::min(rest.size(), 1 + random.UpTo(random.UpTo(1) == 0 ? 4 : 40));
      caller.Give(rest.first(piece));
      rest = rest.subspan(piece);
    }
    ExpectSeen(script, caller);
  }
}

}  // namespace
}  // namespace sallyport::packet
