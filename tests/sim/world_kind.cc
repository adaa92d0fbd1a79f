// What kind of world: drawn, and made into what the proxy serves.
#include <algorithm>

#include "tests/sim/addresses.h"
#include "tests/sim/arrival.h"
#include "tests/sim/failure.h"
#include "tests/sim/kernel_tx.h"
#include "tests/sim/world.h"

namespace sallyport::sim {

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
  return KernelTls::Probe([this](std::span<const uint8_t> crypto_info, bool* changes_keys) {
    const std::optional<tls::WriteKeys> keys = KernelTx::ReadKeys(crypto_info);
    const bool taken = keys.has_value() && (options.kernel.encrypts & KernelTx::Bit(*keys)) != 0;
    if (changes_keys != nullptr) *changes_keys = taken && options.kernel.changes_keys;
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

}  // namespace sallyport::sim
