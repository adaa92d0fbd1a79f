// Ticket keys: a file that machines share, and those in memory.
#include "tls/ticket_keys.h"

#include <gtest/gtest.h>
#include <openssl/base64.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/time.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::kTestNow;
using tests::kTls12;
using tests::kTls13;

// What the library takes for the time.
std::atomic<int64_t> test_time = kTestNow;

void UseTestTime(const Context& context) {
  SSL_CTX_set_current_time_cb(context.ssl_ctx(), [](const SSL*, timeval* now) {
    *now = {.tv_sec = static_cast<time_t>(test_time.load()), .tv_usec = 0};
  });
}

// Line is a key's line; keys of another `seed` are others.
std::string Line(char seed, size_t size = 80) {
  const std::string key(size, seed);
  std::string line(size * 2, '\0');
  line.resize(EVP_EncodeBlock(reinterpret_cast<uint8_t*>(line.data()),
                              reinterpret_cast<const uint8_t*>(key.data()), size));
  return line + "\n";
}

std::string Why(const std::string& text) {
  const auto keys = TicketKeys::Read(text);
  EXPECT_EQ(ERR_peek_error(), 0u) << "the library's error queue isn't empty";
  if (keys.ok()) {
    return "accepted";
  }
  EXPECT_EQ(keys.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(keys.status().message());
}

std::unique_ptr<Context> MakeContextWith(std::shared_ptr<const TicketKeys> keys) {
  const std::string& key = tests::TestKeyPem(tests::KeyType::kP256);
  const std::string certificate = tests::MakeCertificatePem(key, {});
  auto context = Context::Create({.certificate_pem = certificate,
                                  .private_key_pem = key,
                                  .now = kTestNow,
                                  .ticket_keys = std::move(keys)});
  EXPECT_TRUE(context.ok()) << context.status();
  UseTestTime(**context);
  return *std::move(context);
}

std::unique_ptr<Context> MakeContextFrom(const std::string& text) {
  auto keys = TicketKeys::Read(text);
  EXPECT_TRUE(keys.ok()) << keys.status();
  return MakeContextWith(*std::move(keys));
}

TEST(TicketKeysFile, IsRead) {
  EXPECT_EQ(Why(Line('a') + Line('b') + Line('c')), "accepted");
  EXPECT_EQ(Why(Line('a', 48) + Line('b', 48) + Line('c', 48)), "accepted");
  EXPECT_EQ(Why(Line('a', 48) + Line('b', 80) + Line('c', 80)), "accepted");
  EXPECT_EQ(Why("\r\n" + Line('a') + "\n  " + Line('b') + "\t\r\n" + Line('c')), "accepted");
  std::string many;
  for (char c = 'A'; c < 'A' + 40; ++c) {
    many += Line(c);
  }
  EXPECT_EQ(Why(many), "accepted");
}

TEST(TicketKeysFile, ComplaintsNameTheLineAndShowNothingOfIt) {
  EXPECT_EQ(Why(Line('a') + "secret!" + "\n" + Line('c')),
            "line 2 of the ticket keys is no base64");
  EXPECT_EQ(Why(Line('a') + "\n" + Line('b', 47)),
            "line 3 of the ticket keys has 47 bytes; a key has 80 or 48");
  EXPECT_EQ(Why(Line('a', 81)), "line 1 of the ticket keys has 81 bytes; a key has 80 or 48");
  const std::string few = "; at least 3 are needed, of which the one before the last makes tickets";
  EXPECT_EQ(Why(""), "the ticket keys have 0 lines" + few);
  EXPECT_EQ(Why(Line('a')), "the ticket keys have 1 line" + few);
  EXPECT_EQ(Why(Line('a') + Line('b')), "the ticket keys have 2 lines" + few);
}

class TicketKeysTest : public ::testing::TestWithParam<uint16_t> {
 protected:
  void SetUp() override { test_time = kTestNow; }

  Bytes Ticket(const Context& context) {
    Pair pair(OnlyVersion(GetParam()), &context);
    return pair.client->session();
  }
  // Resumes also says, by `*renewed`, whether the client got another ticket.
  bool Resumes(const Context& context, const Bytes& ticket, Bytes* renewed = nullptr) {
    TlsClientOptions options = OnlyVersion(GetParam());
    options.session = ticket;
    Pair pair(options, &context);
    EXPECT_EQ(pair.client->resumed(), pair.server->engine().parameters().resumed);
    EXPECT_EQ(SendToServer(&pair, ToBytes("x")), ToBytes("x"));
    if (renewed != nullptr) {
      *renewed = pair.client->session();
    }
    return pair.client->resumed();
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, TicketKeysTest, ::testing::Values(kTls12, kTls13));

TEST_P(TicketKeysTest, MachinesShareAFile) {
  for (const size_t size : {48, 80}) {
    const std::string text = Line('a', size) + Line('b', size) + Line('c', size);
    const auto one = MakeContextFrom(text);
    const auto two = MakeContextFrom(text);
    const Bytes ticket = Ticket(*one);
    EXPECT_TRUE(Resumes(*one, ticket));
    EXPECT_TRUE(Resumes(*two, ticket));
    const auto other = MakeContextFrom(Line('x', size) + Line('y', size) + Line('z', size));
    EXPECT_FALSE(Resumes(*other, ticket));
  }
}

// The line before the last makes tickets, and all lines read: so a file is rotated on machine after
// machine without a full handshake too many.
TEST_P(TicketKeysTest, MachinesRotateAFileOneAfterTheOther) {
  const auto before = MakeContextFrom(Line('a') + Line('b') + Line('c'));
  const auto after = MakeContextFrom(Line('b') + Line('c') + Line('d'));
  EXPECT_TRUE(Resumes(*after, Ticket(*before)));
  EXPECT_TRUE(Resumes(*before, Ticket(*after)));
  const auto later = MakeContextFrom(Line('c') + Line('d') + Line('e'));
  EXPECT_FALSE(Resumes(*later, Ticket(*before))) << "its key is gone";
  EXPECT_TRUE(Resumes(*later, Ticket(*after)));
  const auto only_c_in_the_middle = MakeContextFrom(Line('x') + Line('c') + Line('y'));
  EXPECT_TRUE(Resumes(*only_c_in_the_middle, Ticket(*after)));
  const auto only_d = MakeContextFrom(Line('x') + Line('d') + Line('y'));
  EXPECT_FALSE(Resumes(*only_d, Ticket(*after))) << "the last line makes none";
}

TEST_P(TicketKeysTest, TheLastSixteenLinesRead) {
  std::string text = Line('a') + Line('a') + Line('0');
  const auto old = MakeContextFrom(Line('x') + Line('0') + Line('y'));
  const Bytes ticket = Ticket(*old);
  for (char c = 'A'; c < 'A' + 15; ++c) {
    text += Line(c);
  }
  EXPECT_TRUE(Resumes(*MakeContextFrom(text), ticket));
  EXPECT_FALSE(Resumes(*MakeContextFrom(text + Line('Z')), ticket));
}

// A ticket under an older key is replaced, so that its holder keeps up with the rotation.
TEST_P(TicketKeysTest, OldTicketsAreReplaced) {
  const auto before = MakeContextFrom(Line('a') + Line('b') + Line('c'));
  const auto after = MakeContextFrom(Line('b') + Line('c') + Line('d'));
  const auto later = MakeContextFrom(Line('c') + Line('d') + Line('e'));
  Bytes renewed;
  EXPECT_TRUE(Resumes(*after, Ticket(*before), &renewed));
  ASSERT_FALSE(renewed.empty());
  EXPECT_TRUE(Resumes(*later, renewed));
}

TEST_P(TicketKeysTest, OneBitOfTheTicketAndItIsNone) {
  const auto context = MakeContextFrom(Line('a') + Line('b') + Line('c'));
  // The ticket is the largest string in the session, and begins with the key's name.
  const Bytes session = Ticket(*context);
  const Bytes name(16, 'b');
  const auto at = std::search(session.begin(), session.end(), name.begin(), name.end());
  ASSERT_NE(at, session.end());
  for (const ptrdiff_t offset : {0, 15, 16, 31, 32, 60}) {
    Bytes changed = session;
    changed[static_cast<size_t>(at - session.begin() + offset)] ^= 1;
    EXPECT_FALSE(Resumes(*context, changed)) << offset;
  }
  EXPECT_TRUE(Resumes(*context, session));
}

TEST_P(TicketKeysTest, AReloadTakesOverTheKeys) {
  const auto before = MakeContextWith(nullptr);
  const auto after = MakeContextWith(before->ticket_keys());
  const auto other = MakeContextWith(nullptr);
  const Bytes ticket = Ticket(*before);
  EXPECT_TRUE(Resumes(*after, ticket));
  EXPECT_TRUE(Resumes(*before, Ticket(*after))) << "connections of the old one may still come";
  EXPECT_FALSE(Resumes(*other, ticket));
}

TEST_P(TicketKeysTest, KeysInMemoryAreReplacedEachDay) {
  const auto context = MakeContextWith(nullptr);
  const Bytes first = Ticket(*context);
  test_time += TicketKeys::kSecondsPerKey - 60;
  const Bytes late = Ticket(*context);
  test_time += 60;  // From now on there is a second key.
  Ticket(*context);
  EXPECT_TRUE(Resumes(*context, late));
  Bytes renewed;
  EXPECT_EQ(Resumes(*context, first, &renewed), GetParam() == kTls13) << "TLS 1.2 gives 2 hours";
  test_time += TicketKeys::kSecondsPerKey;
  Ticket(*context);
  EXPECT_FALSE(Resumes(*context, late)) << "its key is gone";
  EXPECT_EQ(Resumes(*context, renewed), GetParam() == kTls13);
}

TEST_P(TicketKeysTest, NobodyForDaysAndNoKeyIsLeft) {
  const auto context = MakeContextWith(nullptr);
  const Bytes ticket = Ticket(*context);
  test_time += 2 * TicketKeys::kSecondsPerKey;
  Ticket(*context);
  test_time = kTestNow;  // So that only the key can be the reason.
  EXPECT_FALSE(Resumes(*context, ticket));
}

// Two workers across a rotation: what ThreadSanitizer should watch.
TEST_P(TicketKeysTest, AcrossThreads) {
  const auto context = MakeContextWith(nullptr);
  std::vector<std::thread> workers;
  for (int i = 0; i < 2; ++i) {
    workers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const Bytes ticket = Ticket(*context);
        test_time += 3600;
        Resumes(*context, ticket);
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

}  // namespace
}  // namespace sallyport::tls
