// What an operator asks of workers: those that answer, those that hang, those that have ended.
#include "proxy/overseer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class OverseerTest : public testing::Test {
 protected:
  OverseerTest() {
    auto service = std::make_shared<Service>();
    service->name = "one";
    service->max_connections = 7;
    service->open_in_process = &counts_[0];
    service->open = &counts_[1];
    for (const char* server : {"127.0.0.1:3306", "127.0.0.1:3307"}) {
      service->servers.push_back({ResolveAddress(server)->front(), server});
      service->servers.back().drain = drains_.Of(server);
    }
    services_.push_back(std::move(service));
  }

  // A worker without sockets; its thread runs once it is started.
  std::unique_ptr<Worker> MakeWorker(int index) {
    return std::make_unique<Worker>(services_, index, MakeEpollRing(), std::vector<ListenSocket>());
  }

  ServerDrains drains_;
  std::vector<OpenCount> counts_ = std::vector<OpenCount>(2);
  Services services_;
};

TEST_F(OverseerTest, AWorkerThatRunsAnswersAtOnce) {
  const auto worker = MakeWorker(0);
  ASSERT_TRUE(worker->Start().ok());
  const Overseer overseer({worker.get()}, &drains_, {});
  for (int i = 0; i < 100; ++i) {
    const SessionList list = overseer.ListSessions(0, 10);
    EXPECT_EQ(list.sessions.size(), 0u);
    EXPECT_EQ(list.silent_workers, 0u);
    EXPECT_FALSE(list.next.has_value());
    EXPECT_EQ(overseer.CloseSession(1), CloseOutcome::kNoSuchSession);
  }
  worker->Drain();
  worker->Join();
  EXPECT_EQ(overseer.ListSessions(0, 10).silent_workers, 0u);  // It has ended, and no sessions.
  EXPECT_EQ(overseer.CloseSession(1), CloseOutcome::kNoSuchSession);
}

TEST_F(OverseerTest, AWorkerThatHangsKeepsNobodyWaiting) {
  const auto hanging = MakeWorker(0), other = MakeWorker(1);
  ASSERT_TRUE(other->Start().ok());
  const Overseer overseer({hanging.get(), hanging.get(), hanging.get(), other.get()}, &drains_, {});
  const steady_clock::time_point start = steady_clock::now();
  const SessionList list = overseer.ListSessions(0, 10);
  const auto took = steady_clock::now() - start;
  EXPECT_GE(list.silent_workers, 3u);
  EXPECT_FALSE(list.next.has_value());
  EXPECT_LT(took, milliseconds(3'000));
  EXPECT_EQ(overseer.CloseSession(1), CloseOutcome::kNoAnswer);
  EXPECT_EQ(overseer.CloseSession(uint64_t{4} << 48), CloseOutcome::kNoSuchSession);
  other->Drain();
  other->Join();
}

// What nobody does must not pile up.
TEST_F(OverseerTest, ErrandsOfAWorkerThatHangsAreBounded) {
  const auto hanging = MakeWorker(0);
  int taken = 0;
  for (int i = 0; i < 1000; ++i) taken += hanging->List({}).valid() ? 1 : 0;
  EXPECT_GT(taken, 0);
  EXPECT_LE(taken, 100);
  EXPECT_FALSE(hanging->CloseSession(1).valid());
}

TEST_F(OverseerTest, ACursorFromNowhereIsTheEnd) {
  const auto worker = MakeWorker(0);
  ASSERT_TRUE(worker->Start().ok());
  const Overseer overseer({worker.get()}, &drains_, {});
  for (const uint64_t after : {uint64_t{1}, uint64_t{0xFFFF'FFFF}, uint64_t{1} << 32, UINT64_MAX}) {
    const SessionList list = overseer.ListSessions(after, 10);
    EXPECT_TRUE(list.sessions.empty());
    EXPECT_FALSE(list.next.has_value()) << after;
  }
  worker->Drain();
  worker->Join();
}

TEST_F(OverseerTest, DrainsServersThatAListenerHas) {
  Overseer overseer({}, &drains_, {{"0.0.0.0:6033"}});
  EXPECT_FALSE(overseer.DrainServer("127.0.0.1:3306", true));  // Nobody has it yet.
  overseer.SetServices(services_);
  EXPECT_TRUE(overseer.DrainServer("127.0.0.1:3306", true));
  EXPECT_FALSE(overseer.DrainServer("127.0.0.1:9999", true));
  EXPECT_TRUE(services_[0]->servers[0].drained());
  const std::vector<ListenerFacts> listeners = overseer.Listeners();
  ASSERT_EQ(listeners.size(), 1u);
  EXPECT_EQ(listeners[0].name, "one");
  EXPECT_EQ(listeners[0].addresses, std::vector<std::string>{"0.0.0.0:6033"});
  EXPECT_EQ(listeners[0].tls_mode, "disabled");
  EXPECT_FALSE(listeners[0].certificate.has_value());
  EXPECT_EQ(listeners[0].max_connections, 7u);
  ASSERT_EQ(listeners[0].servers.size(), 2u);
  EXPECT_TRUE(listeners[0].servers[0].drained);
  EXPECT_FALSE(listeners[0].servers[1].drained);
  EXPECT_TRUE(overseer.DrainServer("127.0.0.1:3306", false));
  EXPECT_FALSE(services_[0]->servers[0].drained());
}

}  // namespace
}  // namespace sallyport
