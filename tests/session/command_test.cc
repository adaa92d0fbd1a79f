// The command phase: bytes pass, both ways, whatever they are; and how it ends.
#include <gtest/gtest.h>

#include <random>

#include "proxy/limits.h"
#include "tests/session/conversation.h"
#include "tests/session/heap_watch.h"

namespace sallyport::tests {
namespace {

void LoggedInOnTls(Conversation& c) {
  LogIn(c, {Scramble()});
  Accept(c, 2, 3);
}

void LoggedInPlain(Conversation& c) {
  LogInPlain(c, {Scramble()});
  Accept(c, 2, 2);
}

std::string RandomBytes(std::mt19937& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Any bytes where no packet is looked for, else commands with random payloads.
void RelayRandomly(Conversation& c, bool packets, int rounds, size_t size_max) {
  std::mt19937 random(static_cast<uint32_t>(size_max));
  for (int round = 0; round < rounds && !c.failed(); ++round) {
    std::string said = RandomBytes(random, random() % size_max);
    if (packets) said = Packet(0, "\x03" + said);
    const std::string answered = RandomBytes(random, random() % size_max);
    c.ClientBytes(said);
    c.ServerBytes(answered);
    c.ExpectServerBytes(said);
    c.ExpectClientBytes(answered);
  }
}

TEST(Command, RelaysAnyBytesOnTls) {
  Converse({}, [](Conversation& c) {
    LoggedInOnTls(c);
    RelayRandomly(c, true, 30, 300);
    RelayRandomly(c, true, 3, 40'000);
  });
  ConverseIn({Way::kWhole, Way::kPieces}, {}, [](Conversation& c) {
    LoggedInOnTls(c);
    RelayRandomly(c, true, 10, 2'000'000);
  });
}

TEST(Command, RelaysAnyBytesWithoutTls) {
  Converse({}, [](Conversation& c) {
    LoggedInPlain(c);
    RelayRandomly(c, false, 30, 300);
    RelayRandomly(c, false, 3, 40'000);
  });
  ConverseIn({Way::kWhole, Way::kPieces}, {}, [](Conversation& c) {
    LoggedInPlain(c);
    RelayRandomly(c, false, 10, 2'000'000);
  });
}

TEST(Command, RelaysAnyBytesToAUnixSocket) {
  Converse({.unix_server = true}, [](Conversation& c) {
    LoggedInOnTls(c);
    RelayRandomly(c, true, 10, 3'000);
  });
  Converse({.unix_server = true}, [](Conversation& c) {
    LoggedInPlain(c);
    RelayRandomly(c, true, 10, 3'000);
  });
}

TEST(Command, AReceiveOfTheLargestSizeFits) {
  ConverseIn({Way::kWhole}, {}, [](Conversation& c) {
    LoggedInOnTls(c);
    const std::string rows(4 * kReceiveBytesMax, 'r');
    c.ServerBytes(rows);
    c.ExpectClientBytes(rows);
    const std::string insert = Packet(0, Query(std::string(4 * kReceiveBytesMax, 'i')));
    c.ClientBytes(insert);
    c.ExpectServerBytes(insert);
  });
}

TEST(Command, PacketsOver16MiBPass) {
  ConverseIn({Way::kWhole, Way::kPieces}, {}, [](Conversation& c) {
    LoggedInOnTls(c);
    for (const size_t size : {0xFFFFFFu, 0xFFFFFFu + 1}) {
      const std::string insert = Packet(0, std::string(size, '\x03'));
      c.ClientBytes(insert);
      c.ExpectServerBytes(insert);
    }
    Command(c);
  });
}

TEST(Command, KeyUpdatesOfTheClientChangeNothing) {
  Converse({}, [](Conversation& c) {
    LoggedInOnTls(c);
    for (const bool answer : {false, true, true}) {
      c.ClientUpdatesKeys(answer);
      Command(c);
    }
  });
}

// What an idle connection costs: nothing of the log-in is left.
TEST(Command, NothingIsHeld) {
  Converse({}, [](Conversation& c) {
    const size_t before = HeapWatch::bytes_held();
    LoggedInOnTls(c);
    Command(c);
    EXPECT_LT(HeapWatch::bytes_held() - before, 1024u);
  });
}

// --- The end.

TEST(Command, TheServerEndsFirst) {
  Converse({}, [](Conversation& c) {
    LoggedInOnTls(c);
    c.ServerBytes("last words");
    c.Ends(Side::kServer);
    c.ExpectClientBytes("last words");
    c.ExpectCloseNotify();
    c.ExpectEnd(Side::kClient);
    EXPECT_FALSE(c.session().closed());
    // The other half is open still.
    c.Client(0, Query());
    c.ExpectServer(0, Query());
    c.ClientClosesTls();
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kServerClosed);
  });
}

TEST(Command, TheClientEndsFirstAndStillGetsItsAnswer) {
  for (const bool fin : {false, true}) {
    Converse({}, [&](Conversation& c) {
      LoggedInOnTls(c);
      c.Client(0, Query());
      c.ClientClosesTls();
      if (fin) c.Ends(Side::kClient);
      c.ExpectServer(0, Query());
      c.ExpectEnd(Side::kServer);
      EXPECT_FALSE(c.session().accepts(Side::kClient));
      c.ServerBytes(Packet(1, Ok()));
      c.ExpectClient(1, Ok());
      c.ExpectOpen(Side::kClient);
      c.Ends(Side::kServer);
      c.ExpectCloseNotify();
      c.ExpectEnd(Side::kClient);
      c.ExpectClosed(CloseReason::kClientClosed);
    });
  }
}

TEST(Command, HalfCloseWithoutTls) {
  Converse({}, [](Conversation& c) {
    LoggedInPlain(c);
    c.ClientBytes("question");
    c.Ends(Side::kClient);
    c.ExpectServerBytes("question");
    c.ExpectEnd(Side::kServer);
    c.ServerBytes("answer");
    c.ExpectClientBytes("answer");
    c.ExpectOpen(Side::kClient);
    c.Ends(Side::kServer);
    c.ExpectEnd(Side::kClient);
    c.ExpectClosed(CloseReason::kClientClosed);
  });
  Converse({}, [](Conversation& c) {
    LoggedInPlain(c);
    c.Ends(Side::kServer);
    c.ExpectEnd(Side::kClient);
    c.ClientBytes("question");
    c.ExpectServerBytes("question");
    c.Ends(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kServerClosed);
  });
}

// A stream that breaks off without close_notify: MySQL's clients do that all the time.
TEST(Command, ATruncatedStreamIsAnEnd) {
  Converse({}, [](Conversation& c) {
    LoggedInOnTls(c);
    c.Client(0, Query());
    c.Ends(Side::kClient);
    c.ExpectServer(0, Query());
    c.ExpectEnd(Side::kServer);
    c.Ends(Side::kServer);
    c.ExpectClosed(CloseReason::kClientClosed);
  });
  Converse({}, [](Conversation& c) {  // In a record's middle: what is there can't be told.
    LoggedInOnTls(c);
    const std::string record = c.SealedByClient(Packet(0, Query()));
    c.ClientWire(record.substr(0, record.size() - 1));
    c.Ends(Side::kClient);
    c.ExpectEnd(Side::kServer);
  });
}

// A client must be able to tell a broken connection from an ended one.
TEST(Command, AResetServerGetsNoCloseNotify) {
  Converse({}, [](Conversation& c) {
    LoggedInOnTls(c);
    c.ServerBytes("some rows");
    c.Resets(Side::kServer);
    c.ExpectClientBytes("some rows");
    c.ExpectEnd(Side::kClient);
    c.ExpectCloseNotify(false);
    c.ExpectClosed(CloseReason::kServerError);
  });
}

TEST(Command, AResetClientEndsTheServersSide) {
  Converse({}, [](Conversation& c) {
    LoggedInOnTls(c);
    c.Client(0, Query());
    c.Resets(Side::kClient);
    c.ExpectServer(0, Query());
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kClientError);
  });
}

TEST(Command, ADamagedRecordEndsTheSession) {
  Converse({}, [](Conversation& c) {
    LoggedInOnTls(c);
    std::string record = c.SealedByClient(Packet(0, Query()));
    record.back() ^= 1;
    c.ClientWire(record);
    c.ExpectNothing(Side::kServer);
    c.ExpectTlsError("SSLV3_ALERT_BAD_RECORD_MAC");
    c.ExpectEnd(Side::kClient);
    c.ExpectEnd(Side::kServer);
    c.ExpectClosed(CloseReason::kTlsFailed);
    EXPECT_FALSE(c.session().summary().detail.empty());
  });
}

TEST(Command, ACloseOfOursIsAnEndForBoth) {
  for (const CloseReason reason : {CloseReason::kIdleTimeout, CloseReason::kShutdown}) {
    Converse({}, [&](Conversation& c) {
      LoggedInOnTls(c);
      c.ServerBytes("rows");
      c.Close(reason);
      c.ExpectClientBytes("rows");  // And no ERR, which would be read as an answer.
      c.ExpectCloseNotify();
      c.ExpectEnd(Side::kClient);
      c.ExpectEnd(Side::kServer);
      c.ExpectClosed(reason);
    });
    Converse({}, [&](Conversation& c) {
      LoggedInPlain(c);
      c.Ends(Side::kServer);
      c.Close(reason);
      c.ExpectClosed(CloseReason::kServerClosed);
    });
  }
}

}  // namespace
}  // namespace sallyport::tests
