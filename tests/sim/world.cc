#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tests/sim/addresses.h"
#include "tests/sim/failure.h"
#include "tests/sim/kernel_tx.h"
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

// --- What kind of world.

void World::DrawOptions() {
  options.sessions = dice.Between(1, 60);
  options.workers = dice.Between(1, 2);
  options.tls_offered = !dice.OneIn(6);
  options.tls_required = options.tls_offered && dice.OneIn(6);
  options.unix_server = dice.OneIn(4);
  options.allow_cleartext_password = dice.OneIn(4);
  options.bulk = dice.OneIn(8);
  options.large = dice.OneIn(300);
  if (options.bulk || options.large) options.sessions = std::min<size_t>(options.sessions, 12);
  if (dice.OneIn(8)) options.max_connections = static_cast<uint32_t>(dice.Between(1, 20));
  if (dice.OneIn(16)) {
    options.max_connections_of_listener = static_cast<uint32_t>(dice.Between(1, 10));
  }
  options.leavers = dice.OneIn(2);
  options.hostile = options.leavers && dice.OneIn(4);
  options.clock_jumps = dice.OneIn(8);
  options.stops = dice.OneIn(8);
  options.reloads = dice.OneIn(8);
}

// From dice of its own: in most worlds there are none, and those are as they were without.
void World::DrawAddressLimits(Dice dice_of_limits) {
  if (!dice_of_limits.OneIn(16)) return;
  const auto draw = [&](size_t least, size_t most) {
    return static_cast<uint32_t>(dice_of_limits.Between(least, most));
  };
  AddressLimits& limits = options.of_address;
  limits.connections = draw(1, 10);
  limits.connections_per_second = draw(0, 100);
  limits.handshakes_per_second = draw(0, 20);
  limits.login_failures = draw(0, 10);
  limits.block_ms = 1000;
}

void World::DrawHeaders(Dice dice_of_headers) {
  options.behind_balancer = dice_of_headers.OneIn(8);
  if (!dice_of_headers.OneIn(8)) return;
  options.header_out = dice_of_headers.OneIn(2) ? 1 : 2;
  options.unix_clients = dice_of_headers.OneIn(3);
}

void World::DrawKernel() {
  KernelTraits& kernel = options.kernel;
  kernel.takes_early = dice.OneIn(2);
  kernel.queue_full = dice.Between(2, 16);
  if (dice.OneIn(3)) kernel.buffers = dice.Between(1, 64);
  if (options.bulk && dice.OneIn(2)) return;  // A kernel that is in no bulk's way.
  if (dice.OneIn(2)) kernel.lazy = dice.Between(2, 6);
  if (dice.OneIn(2)) kernel.short_io = dice.Between(1, 6);
  if (dice.OneIn(2)) kernel.busy = dice.Between(2, 20);
  if (dice.OneIn(2)) kernel.recv_ends = dice.Between(2, 20);
  if (dice.OneIn(2)) return;  // Nothing fails.
  if (dice.OneIn(2)) kernel.accept_fails = dice.Between(4, 20);
  if (dice.OneIn(2)) kernel.open_fails = dice.Between(4, 40);
  if (dice.OneIn(2)) kernel.connect_fails = dice.Between(4, 40);
  if (dice.OneIn(3)) kernel.connect_hangs = dice.Between(4, 40);
  if (dice.OneIn(3)) kernel.breaks = dice.Between(20, 2000);
}

void World::DrawKernelTls(Dice dice_of_tls) {
  KernelTraits& kernel = options.kernel;
  if (!options.tls_offered || !dice_of_tls.OneIn(options.bulk ? 2 : 3)) return;
  kernel.encrypts = 0b11'1111;
  if (dice_of_tls.OneIn(3)) kernel.encrypts &= static_cast<uint8_t>(dice_of_tls.Next());
  if (dice_of_tls.OneIn(4)) kernel.encrypt_fails = dice_of_tls.Between(2, 10);
  kernel.changes_keys = dice_of_tls.OneIn(2);
}

KernelTls World::TakenByKernel() const {
  return KernelTls::Probe([this](std::span<const uint8_t> crypto_info) {
    const std::optional<tls::WriteKeys> keys = KernelTx::ReadKeys(crypto_info);
    const bool taken = keys.has_value() && (options.kernel.encrypts & KernelTx::Bit(*keys)) != 0;
    return taken ? absl::OkStatus() : absl::UnavailableError("not by this kernel");
  });
}

// One or two listeners, which differ in nothing but their counts.
void World::MakeServices(const Keys& keys) {
  Service service;
  service.session.tls = options.tls_offered ? keys.tls.get() : nullptr;
  service.session.tls_required = options.tls_required;
  service.session.auth.allow_cleartext_password = options.allow_cleartext_password;
  service.session.auth.password_key = keys.password_key.get();
  if (options.behind_balancer) {
    Require(service.proxy_protocol_networks.Add(kBalancerNetwork).ok(), "Networks::Add");
  }
  service.kernel_tls = TakenByKernel();
  service.proxy_protocol_out = options.header_out;
  service.session.greets = service.session.keeps_greetings = options.greets;
  const size_t count = dice.Between(1, kServersMax);
  options.servers_down.assign(count, false);
  for (size_t place = 0; place < count; ++place) {
    // One that lives at least, or sessions couldn't come to their end.
    const bool another_lives = place > 0 && !options.servers_down[0];
    options.servers_down[place] = (another_lives || place + 1 < count) && dice.OneIn(4);
    const Address address = ServerAddressOf(place, options.unix_server);
    service.servers.push_back(
        {address, address.ToString(), {}, std::make_shared<ServerState>(address.ToString())});
    if (options.greets) service.servers.back().state->greeting().Learn(Server::Traits());
  }
  service.groups.resize(1);
  service.groups[0].count = count;
  service.balance = static_cast<Balance>(dice.Below(3));
  service.max_connections_in_process = options.max_connections;
  service.max_connections = options.max_connections_of_listener;
  service.connect_timeout_ms = static_cast<uint32_t>(dice.Between(1000, 10'000));
  service.handshake_timeout_ms = 60'000;
  // Who garbles the length of a packet lets the other wait for ever.
  service.idle_timeout_ms = dice.OneIn(2) && !options.hostile ? 0 : 120'000;
  counts_ = std::vector<OpenCount>(1 + dice.Between(1, 2));
  for (size_t i = 1; i < counts_.size(); ++i) {
    service.open_in_process = &counts_[0];
    service.open = &counts_[i];
    service.address_limits = options.of_address;
    service.limiter = &limiter_;
    service.listener = static_cast<uint32_t>(i);
    services_.push_back(std::make_shared<Service>(service));
  }
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
