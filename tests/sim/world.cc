#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tests/sim/arrival.h"
#include "tests/sim/failure.h"
#include "tests/support/test_certs.h"

namespace sallyport::sim {
namespace {

// Far above what any world needs; one that goes on for ever is stuck in a circle.
constexpr size_t kRoundsMax = 3'000'000;
constexpr size_t kJumpsMax = 20'000;

template <typename LabelSet>
uint64_t SumOf(const Counters<LabelSet>& counters) {
  uint64_t sum = 0;
  for (size_t i = 0; i < LabelSet::kCount; ++i) sum += counters[i].value();
  return sum;
}

}  // namespace

// Ed25519: a signature of which every time has the same size, so that a world is the same again.
Keys MakeKeys() {
  const std::string& key = tests::TestKeyPem(tests::KeyType::kEd25519);
  const std::string certificate = tests::MakeCertificatePem(key, {});
  Keys keys;
  auto context = tls::Context::Create({certificate, key, tests::kTestNow});
  Require(context.ok(), "tls::Context::Create");
  keys.tls = *std::move(context);
  auto password_key = tls::PasswordKey::Generate();
  Require(password_key.ok(), "tls::PasswordKey::Generate");
  keys.password_key = *std::move(password_key);
  return keys;
}

World::World(uint64_t seed, const Keys& keys, Coverage* counts) : Host(seed, counts) {
  DrawOptions();
  DrawAddressLimits(Dice(~seed));
  options.greets = Dice(~seed + 1).OneIn(6);  // Likewise.
  DrawHeaders(Dice(~seed + 2));
  DrawKernel();
  DrawKernelTls(Dice(~seed + 3));
  MakeServices(keys);
  StartWorkers();
}

void World::StartWorkers() {
  for (size_t i = 0; i < options.workers; ++i) {
    Running running;
    std::vector<ListenSocket> sockets;
    for (uint32_t listener = 0; listener < services_.size(); ++listener) {
      running.listeners.push_back(net.Add({.kind = File::Kind::kListener}));
      sockets.push_back({running.listeners.back(), listener});
    }
    auto ring = std::make_unique<SimRing>(this);
    running.ring = ring.get();
    running.worker = std::make_unique<Worker>(services_, static_cast<int>(i), std::move(ring),
                                              std::move(sockets));
    Require(running.worker->Begin().ok(), "Worker::Begin");
    workers_.push_back(std::move(running));
  }
}

// --- Who is there.

Wire* World::NewWire() {
  constexpr size_t kCapacityMax = 256 * 1024;
  if (options.bulk && !dice.OneIn(4)) return net.NewWire(8 * kCapacityMax, 8 * kCapacityMax);
  constexpr size_t kCapacityMin = 64;
  return net.NewWire(kCapacityMin + dice.Size(kCapacityMax),
                     kCapacityMin + dice.Size(kCapacityMax));
}

Wire* World::Dial() {
  Wire* const wire = NewWire();
  wire->to_server = true;
  wire->secure = options.unix_server;
  servers_.push_back(std::make_unique<Server>(this, wire, servers_.size()));
  peers_.push_back(servers_.back().get());
  return wire;
}

Client* World::FindClient(std::string_view user) {
  for (const auto& client : clients_) {
    if (client->plan().user == user) return client.get();
  }
  return nullptr;
}

Server* World::FindServer(std::string_view nonce) {
  for (const auto& server : servers_) {
    if (server->key() == nonce) return server.get();
  }
  return nullptr;
}

const Client* World::ClientOf(const Wire* wire) {
  for (const auto& client : clients_) {
    if (&client->wire() == wire) return client.get();
  }
  return nullptr;
}

void World::MaybeConnect() {
  if (connected_ == options.sessions || ordered_ || (!eager && !dice.OneIn(6))) return;
  ++connected_;
  ++progress;
  ++coverage.sessions;
  Wire* const wire = NewWire();
  clients_.push_back(std::make_unique<Client>(this, wire, MakePlan(this, connected_)));
  peers_.push_back(clients_.back().get());
  const std::vector<int>& listeners = workers_[dice.Below(workers_.size())].listeners;
  net.file(listeners[dice.Below(listeners.size())], "connect").backlog.push_back(wire);
}

// --- Time.

bool World::all_quiet() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const Running& running) { return running.worker->quiet(); });
}

void World::Run() {
  size_t rounds = 0;
  while (!all_quiet()) {
    const uint64_t before = progress;
    Round();
    if (progress == before) {
      eager = true;
      Round();
      eager = false;
    }
    if (progress == before) {
      JumpClock();
    } else {
      jumps_ = 0;
    }
    Require(++rounds < kRoundsMax, "the world does not come to its end");
  }
  // The peers see that the proxy has gone.
  eager = true;
  for (size_t i = 0; i < 1000 && !peers_.empty(); ++i) {
    for (const auto& client : clients_) client->Step();
    for (const auto& server : servers_) server->Step();
    std::erase_if(peers_, [](const Peer* peer) { return peer->gone(); });
    JumpClock();
  }
  CheckEnd();
}

// Everybody has a turn, in an order that changes.
void World::Round() {
  now_ms += dice.OneIn(4) ? 1 : 0;
  if (options.clock_jumps && !eager && dice.OneIn(200)) now_ms += dice.Size(30'000);
  MaybeConnect();
  const size_t count = peers_.size();
  const size_t first = count == 0 ? 0 : dice.Below(count);
  for (size_t i = 0; i < count; ++i) peers_[(first + i) % count]->Step();
  std::erase_if(peers_, [](const Peer* peer) { return peer->gone(); });
  for (const Running& running : workers_) {
    if (!running.worker->quiet()) running.worker->Turn();
  }
  MaybeReload();
  MaybeInspect();
  MaybeOrder();
}

// New snapshots for the connections that come; those that are there keep theirs.
void World::MaybeReload() {
  if (!options.reloads || !dice.OneIn(200)) return;
  for (auto& service : services_) service = std::make_shared<Service>(*service);
  for (const Running& running : workers_) {
    running.worker->Replace(services_);
    running.worker->Ping();
  }
}

// An operator looks, which disturbs nobody, and where workers may be stopped he closes a session.
void World::MaybeInspect() {
  if (!dice.OneIn(200)) return;
  const Running& running = workers_[dice.Below(workers_.size())];
  if (running.worker->quiet()) return;
  const std::vector<SessionInfo> sessions = running.worker->ListNow({}).sessions;
  Require(sessions.size() == running.worker->stats().connections_open.value(),
          "a session is not on the list");
  for (const SessionInfo& session : sessions) {
    const Client* const client = options.hostile ? nullptr : FindClient(session.user);
    Require(client == nullptr ||
                session.client == SocketAddress(client->plan().arrival.known).ToString(),
            "a session is listed under another address");
  }
  if (!options.stops || sessions.empty()) return;
  stopped = true;
  (void)running.worker->CloseSession(sessions[dice.Below(sessions.size())].id);
}

// The end: when everybody has gone, or, in some worlds, in the middle of things.
void World::MaybeOrder() {
  const bool over = connected_ == options.sessions &&
                    std::all_of(clients_.begin(), clients_.end(),
                                [](const auto& client) { return client->gone(); });
  if (!over && !(options.stops && dice.OneIn(1500))) return;
  const bool stop = dice.OneIn(2);
  if (ordered_ && !stop) return;
  ordered_ = true;
  stopped = stopped || (stop && !over);
  for (const Running& running : workers_) {
    if (stop) {
      running.worker->Stop();
    } else {
      running.worker->Drain();
    }
  }
}

// Nothing can happen before the next deadline.
void World::JumpClock() {
  uint64_t next = UINT64_MAX;
  for (const Running& running : workers_) {
    if (!running.worker->quiet()) next = std::min(next, running.ring->deadline_ms());
  }
  for (const Peer* peer : peers_) next = std::min(next, peer->deadline_ms());
  if (next == UINT64_MAX && all_quiet()) return;
  if (next == UINT64_MAX || ++jumps_ > kJumpsMax) {
    Describe();
    for (const auto& client : clients_) client->CheckEnd();
    Fail("stuck: nothing can happen any more");
  }
  now_ms = std::max(next, now_ms + 1);
}

// What is left of a world that is stuck.
void World::Describe() const {
  for (const Running& running : workers_) {
    std::fprintf(stderr, "worker: quiet %d, connections %llu, ops in flight %zu\n",
                 running.worker->quiet(),
                 static_cast<unsigned long long>(running.worker->stats().connections_open.value()),
                 running.ring->ops_in_flight());
  }
  std::fprintf(stderr, "clients: %zu of %zu, workers told to end: %d\n", connected_,
               options.sessions, ordered_);
  for (const Peer* peer : peers_) std::fprintf(stderr, "%s\n", peer->Describe().c_str());
}

// What the workers counted is what the simulator saw.
void World::CheckCounters() const {
  uint64_t headers_bad = 0, handed_over = 0;
  for (const Running& running : workers_) {
    headers_bad += running.worker->stats().proxy_headers_bad.value();
    handed_over += running.worker->stats().kernel_tls_sessions.value();
  }
  const auto unwelcome = std::count_if(clients_.begin(), clients_.end(), [](const auto& client) {
    return !client->plan().arrival.welcome();
  });
  Require(!options.calm() || headers_bad == static_cast<uint64_t>(unwelcome),
          "proxy_headers_bad differs");
  const auto encrypted = std::count_if(net.wires().begin(), net.wires().end(),
                                       [](const Wire& wire) { return wire.kernel_tls != nullptr; });
  Require(handed_over == static_cast<uint64_t>(encrypted), "kernel_tls_sessions differs");
}

void World::CheckEnd() {
  for (const auto& client : clients_) client->CheckEnd();
  uint64_t accepted = 0, ended = 0;
  for (const Running& running : workers_) {
    Require(running.ring->ops_in_flight() <= 1, "an op is in flight at the end");  // The wake-up.
    const Stats& stats = running.worker->stats();
    Require(stats.connections_open.value() == 0, "connections_open is not 0");
    Require(stats.send_queue_bytes.value() + stats.pipe_bytes.value() == 0,
            "bytes are counted as waiting at the end");
    ended += SumOf(stats.connections_ended);
    // Who is refused after his PROXY header, or in his handshake, is counted in both.
    accepted += stats.connections_accepted.value() - SumOf(stats.connections_refused) +
                stats.connections_ended[size_t(CloseReason::kAddressRefused)].value();
  }
  Require(accepted == ended, "a connection ended without a reason, or twice");
  CheckCounters();
  for (OpenCount& count : counts_) Require(count.TryAdd(1), "an OpenCount is not 0");
  for (const ServerAddress& server : services_[0]->servers) {
    Require(server.state->open() == 0, "a server's open connections are not 0");
  }
  for (uint32_t listener = 1; listener < counts_.size(); ++listener) {
    for (const IpAddress& address : ClientAddresses()) {
      const auto admission = limiter_.Admit(AddressKey(address, listener), {.connections = 1}, 0);
      Require(admission.counted, "a connection is still counted for its address");
    }
  }
  workers_.clear();
  Require(net.open_files() == 0, "a file descriptor was never closed");
}

}  // namespace sallyport::sim
