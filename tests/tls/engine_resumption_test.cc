// Tickets: a client comes back to any worker of the same Context without a new key exchange.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/tls/wire.h"

namespace sallyport::tls {
namespace {

using tests::KeyType;
using tests::kTls12;
using tests::kTls13;

class ResumptionTest : public ::testing::TestWithParam<uint16_t> {
 protected:
  // Ticket is what a full handshake with `context` leaves the client with.
  Bytes Ticket(const Context& context) {
    Pair pair(OnlyVersion(GetParam()), &context);
    EXPECT_FALSE(pair.server->engine().parameters().resumed);
    return pair.client->session();
  }

  TlsClientOptions With(const Bytes& ticket) {
    TlsClientOptions options = OnlyVersion(GetParam());
    options.session = ticket;
    return options;
  }

  std::unique_ptr<Context> context_ = MakeContext();
};

INSTANTIATE_TEST_SUITE_P(Versions, ResumptionTest, ::testing::Values(kTls12, kTls13),
                         [](const ::testing::TestParamInfo<uint16_t>& version) {
                           return version.param == kTls12 ? "Tls12" : "Tls13";
                         });

TEST_P(ResumptionTest, AnotherEngineOfTheContextResumes) {
  const Bytes ticket = Ticket(*context_);
  ASSERT_FALSE(ticket.empty());
  for (int i = 0; i < 3; ++i) {  // One ticket is good more than once.
    Pair pair(With(ticket), context_.get());
    EXPECT_TRUE(pair.client->resumed());
    const Parameters parameters = pair.server->engine().parameters();
    EXPECT_TRUE(parameters.resumed);
    EXPECT_EQ(parameters.group.empty(), GetParam() == kTls12) << "no key exchange, no group";
    EXPECT_EQ(SendToServer(&pair, ToBytes("back")), ToBytes("back"));
    EXPECT_EQ(SendToClient(&pair, ToBytes("again")), ToBytes("again"));
  }
}

TEST_P(ResumptionTest, ResumesInPieces) {
  const Bytes ticket = Ticket(*context_);
  Server server(*context_);
  TlsClient client(With(ticket));
  EXPECT_TRUE(Shake(&server, &client, 1));
  EXPECT_TRUE(server.engine().parameters().resumed);
}

TEST_P(ResumptionTest, AnotherContextShakesHandsInFull) {
  const Bytes ticket = Ticket(*context_);
  const std::unique_ptr<Context> reloaded = MakeContext();
  Pair pair(With(ticket), reloaded.get());
  EXPECT_FALSE(pair.client->resumed());
  EXPECT_FALSE(pair.server->engine().parameters().resumed);
  EXPECT_EQ(SendToServer(&pair, ToBytes("x")), ToBytes("x"));
}

// Whichever byte of a hello that asks to resume is hit, nothing is agreed on: either the hello is
// refused, or both ends see different hellos and their Finished do not match.
TEST_P(ResumptionTest, AGarbledHelloNeverResumes) {
  const Bytes ticket = Ticket(*context_);
  TlsClient probe(With(ticket));
  Bytes hello;
  std::span<const uint8_t> nothing;
  probe.Handshake(&nothing, &hello);
  for (size_t i = 9; i < hello.size(); i += 3) {  // Behind the headers of record and message.
    Server server(*context_);
    TlsClient client(With(ticket));
    Bytes in;
    Bytes out;
    client.Handshake(&nothing, &in);
    ASSERT_LT(i, in.size());
    in[i] ^= 1;
    ASSERT_NE(server.Handshake(&in, &out), Engine::Status::kOk) << i;
    std::span<const uint8_t> answer(out);
    Bytes finished;
    const TlsClient::Status status = client.Handshake(&answer, &finished);
    if (status != TlsClient::Status::kError && !finished.empty()) {
      EXPECT_NE(server.Handshake(&finished, &out), Engine::Status::kOk) << i;
    }
  }
}

// Two workers, one Context, clients that come back: what ThreadSanitizer should watch.
TEST_P(ResumptionTest, AcrossThreads) {
  constexpr int kThreads = 2;
  constexpr int kRounds = 40;
  const Bytes ticket = Ticket(*context_);
  std::atomic<int> resumed = 0;
  std::atomic<int> full = 0;
  std::vector<std::thread> workers;
  for (int t = 0; t < kThreads; ++t) {
    workers.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        Pair back(With(ticket), context_.get());
        resumed += back.server->engine().parameters().resumed ? 1 : 0;
        Pair fresh(OnlyVersion(GetParam()), context_.get());
        full += fresh.server->engine().parameters().resumed ? 0 : 1;
        EXPECT_EQ(SendToServer(&back, ToBytes("x")), ToBytes("x"));
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  EXPECT_EQ(resumed, kThreads * kRounds);
  EXPECT_EQ(full, kThreads * kRounds);
}

TEST(Resumption, AnEngineOutlivesItsContext) {
  std::unique_ptr<Context> context = MakeContext();
  Pair pair({}, context.get());
  context.reset();  // A reload: connections go on with what they have.
  EXPECT_EQ(SendToServer(&pair, ToBytes("still")), ToBytes("still"));
  EXPECT_EQ(SendToClient(&pair, ToBytes("here")), ToBytes("here"));
}

}  // namespace
}  // namespace sallyport::tls
